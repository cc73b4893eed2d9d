from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording, LibraryMissing
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.parquet_writer import write_parquet
from tests.drivers.formats.made import recording, recordings

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=40)
@given(made=recordings(texts=ANY_TEXT, most_channels=64))
def test_nothing_is_lost(made: Recording) -> None:
    with TemporaryDirectory() as folder:
        write_parquet(made, Path(folder) / "made.parquet")
        found = read_recording(Path(folder) / "made.parquet")
    np.testing.assert_array_equal(found.data, made.data)
    np.testing.assert_array_equal(found.timestamps, made.timestamps)
    np.testing.assert_array_equal(found.index, made.index)
    assert sorted(found.markers, key=repr) == sorted(made.markers, key=repr)
    assert found.info == replace(made.info, name=found.info.name, source_id=found.info.source_id)


def test_the_columns_are_as_described(tmp_path: Path) -> None:
    made = recording(lost=((300, 100),), labels=((2, "a"), (2, "b"), (350, "in a gap")))
    write_parquet(made, tmp_path / "made.parquet")
    table = parquet.read_table(tmp_path / "made.parquet")
    kinds = {field.name: str(field.type) for field in table.schema}
    floats = dict.fromkeys(made.info.ch_names, "float")
    assert kinds == {"index": "int64", "timestamp": "double", **floats, "marker": "string"}
    assert table["index"].to_pylist() == made.index.tolist()
    labels = table["marker"].to_pylist()
    assert labels[2] == "a; b"
    assert labels.count(None) == 599


def test_channels_are_chosen(tmp_path: Path) -> None:
    made = recording()
    write_parquet(made, tmp_path / "made.parquet")
    found = read_recording(tmp_path / "made.parquet", ChannelChoice(("AF8",)))
    np.testing.assert_array_equal(found.data, made.data[:, [2]])
    with pytest.raises(BadRecording, match="Remove it"):
        read_recording(tmp_path / "made.parquet", options=ReadOptions(stream="x"))


def test_a_parquet_file_of_others_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [1, 2]}), tmp_path / "other.parquet")
    with pytest.raises(BadRecording, match="that mimamba wrote"):
        read_recording(tmp_path / "other.parquet")


def test_facts_that_do_not_fit_the_columns_are_refused(tmp_path: Path) -> None:
    write_parquet(recording(), tmp_path / "made.parquet")
    table = parquet.read_table(tmp_path / "made.parquet")
    parquet.write_table(table.drop_columns(["AF7"]), tmp_path / "less.parquet")
    with pytest.raises(BadRecording, match="6 columns"):
        read_recording(tmp_path / "less.parquet")
    texts = table.set_column(2, "TP9", pa.array(["x"] * 600))
    parquet.write_table(texts, tmp_path / "text.parquet")
    with pytest.raises(BadRecording, match="a column of string"):
        read_recording(tmp_path / "text.parquet")


def test_mutated_files_give_a_recording_or_one_clear_line(tmp_path: Path) -> None:
    write_parquet(recording(labels=((9, "x"),)), tmp_path / "made.parquet")
    whole = (tmp_path / "made.parquet").read_bytes()
    random = np.random.default_rng(4)
    refused: list[str] = []
    for round_ in range(20):
        broken = bytearray(whole)
        for at in random.integers(4, len(broken), 5):
            broken[at] = random.integers(256)
        end = len(broken) if round_ % 2 else random.integers(10, len(broken))
        (tmp_path / "broken.parquet").write_bytes(broken[:end])
        try:
            read_recording(tmp_path / "broken.parquet")
        except BadRecording as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert all("\n" not in each for each in refused)


def test_one_flipped_bit_of_a_value_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    write_parquet(recording(), path)
    whole = bytearray(path.read_bytes())
    column = parquet.ParquetFile(path).metadata.row_group(0).column(3)
    whole[column.data_page_offset + column.total_compressed_size - 50] ^= 1
    path.write_bytes(whole)
    with pytest.raises(BadRecording, match="complete file"):
        read_recording(path)


def test_more_rows_than_bytes_are_not_read(tmp_path: Path) -> None:
    write_parquet(recording(), tmp_path / "made.parquet")
    metadata = parquet.read_table(tmp_path / "made.parquet").schema.metadata
    names = ["index", "timestamp", "TP9", "AF7", "AF8", "TP10", "marker"]
    zeros = pa.array(np.zeros(200_000))
    table = pa.table([zeros] * 7, names).replace_schema_metadata(metadata)
    parquet.write_table(table, tmp_path / "bomb.parquet")
    with pytest.raises(BadRecording, match="200000 rows"):
        read_recording(tmp_path / "bomb.parquet")


def test_without_pyarrow_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LibraryMissing, match="pip install pyarrow"):
        read_recording(tmp_path / "made.parquet")
