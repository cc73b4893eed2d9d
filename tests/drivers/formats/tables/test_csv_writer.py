from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.csv_writer import write_csv
from tests.drivers.formats.made import recording, recordings

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def again(made: Recording, folder: Path) -> Recording:
    path = folder / "made.csv"
    path.unlink(missing_ok=True)
    write_csv(made, path)
    return read_recording(path)


@settings(max_examples=60)
@given(made=recordings(texts=ANY_TEXT, most_channels=64))
def test_nothing_is_lost(made: Recording) -> None:
    with TemporaryDirectory() as folder:
        found = again(made, Path(folder))
    np.testing.assert_array_equal(found.data, made.data)
    np.testing.assert_array_equal(found.timestamps, made.timestamps)
    np.testing.assert_array_equal(found.index, made.index)
    assert sorted(found.markers, key=repr) == sorted(made.markers, key=repr)
    kept = replace(made.info, name=found.info.name, source_id=found.info.source_id)
    assert found.info == kept


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_float32_comes_back(value: float) -> None:
    made = recording(n_times=3)
    made.data[1, 2] = value
    with TemporaryDirectory() as folder:
        assert again(made, Path(folder)).data[1, 2] == np.float32(value)


def test_the_layout_is_plain_csv_after_comments(tmp_path: Path) -> None:
    labels = ((2, 'say "x", y # z'), (2, "two\nlines"), (350, "in a gap"))
    write_csv(recording(lost=((300, 100),), labels=labels), tmp_path / "made.csv")
    lines = (tmp_path / "made.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# mimamba CSV 1"
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    assert rows[0] == ["index", "timestamp", "TP9", "AF7", "AF8", "TP10", "marker"]
    assert {len(row) for row in rows} == {7}
    assert rows[3][6] == 'say "x", y # z; two lines'
    assert [row[0] for row in rows[300:302]] == ["299", "400"]
    assert [row[6] for row in rows].count("") == 599


def test_numpy_reads_the_numbers_without_us(tmp_path: Path) -> None:
    made = recording(lost=((300, 100),))
    write_csv(made, tmp_path / "made.csv")
    table = np.genfromtxt(
        tmp_path / "made.csv", delimiter=",", skip_header=4, usecols=range(6), encoding="utf-8"
    )
    np.testing.assert_array_equal(table[:, 0], made.index)
    np.testing.assert_array_equal(table[:, 2:].astype(np.float32), made.data)


def test_channels_may_be_called_as_columns(tmp_path: Path) -> None:
    made = recording(ch_names=("index", "a,b", "#c", 'd"e'))
    assert again(made, tmp_path).info.ch_names == ("index", "a,b", "#c", 'd"e')
    header = (tmp_path / "made.csv").read_text().splitlines()[3]
    assert header == 'index,timestamp,channel index,"a,b","#c","d""e",marker'


def test_channels_are_chosen(tmp_path: Path) -> None:
    made = recording()
    write_csv(made, tmp_path / "made.csv")
    found = read_recording(tmp_path / "made.csv", ChannelChoice(("TP10", "1"), ("a", "b")))
    assert found.info.ch_names == ("a", "b")
    np.testing.assert_array_equal(found.data, made.data[:, [3, 0]])


def test_a_cut_file_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    made = recording(labels=((5, "kept"), (599, "cut")))
    path = tmp_path / "made.csv"
    write_csv(made, path)
    path.write_bytes(path.read_bytes()[:-20])
    found = read_recording(path)
    np.testing.assert_array_equal(found.data, made.data[:-1])
    assert [marker.label for marker in found.markers] == ["kept"]
    assert found.info.notices == (
        "The last row has no line end: it may be incomplete, and is left out.",
        "Markers after the last sample are left out: 1.",
    )


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("# mimamba CSV 1", "# mimamba CSV 2", "CSV 2"),
        ("# facts: {", "# facts: ", "Expected `object`"),
        ("# facts: {", "# facts: {{", "malformed"),
        ("# facts:", "# fact:", "0 lines of facts"),
        ('"sfreq":256.0', '"sfreq":0', "a rate of 0 Hz"),
        ('"sfreq":256.0', '"sfreq":"x"', "sfreq"),
        ('["TP9",', '["TP9","X",', "could not convert|invalid column"),
        ("\n7,", "\n3,", "index that does not grow"),
        ("\n7,", "\n6.5,", "an index that is not a whole number"),
        ("\n7,", "\nseven,", "could not convert"),
        ('"index":9', '"index":-9', "a marker at an invalid position"),
        ("\n7,1000.02734375", "\n7,1", "timestamp that does not grow"),
    ],
)
def test_a_file_that_contradicts_itself(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = tmp_path / "made.csv"
    write_csv(recording(labels=((9, "x"),)), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadRecording, match=found) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)


def test_mutated_files_give_a_recording_or_one_clear_line(tmp_path: Path) -> None:
    write_csv(recording(labels=((9, "x"),)), tmp_path / "made.csv")
    whole = (tmp_path / "made.csv").read_bytes()
    random = np.random.default_rng(4)
    refused: list[str] = []
    for _ in range(20):
        broken = bytearray(whole)
        for at in random.integers(0, min(len(broken), 2000), 3):
            broken[at] = random.integers(256)
        (tmp_path / "broken.csv").write_bytes(broken[: random.integers(100, len(broken))])
        try:
            read_recording(tmp_path / "broken.csv")
        except BadRecording as error:
            refused.append(str(error))
    assert refused
    assert all("\n" not in each for each in refused)


def test_a_stream_s_name_is_refused(tmp_path: Path) -> None:
    write_csv(recording(), tmp_path / "made.csv")
    with pytest.raises(BadRecording, match="Remove it"):
        read_recording(tmp_path / "made.csv", options=ReadOptions(stream="x"))


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text("mine")
    with pytest.raises(FileExistsError):
        write_csv(recording(), tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_text() == "mine"


def test_markers_at_one_sample_keep_their_sources(tmp_path: Path) -> None:
    made = recording()
    markers = (Marker(1000.0, 0, "a", "one"), Marker(1000.0, 0, "b", "two"))
    assert again(replace(made, markers=markers), tmp_path).markers == markers
