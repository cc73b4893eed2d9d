from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from typer.testing import CliRunner

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording, CannotWrite, LibraryMissing
from mimamba.drivers.formats.convert import export, summarize
from mimamba.drivers.formats.gap_filling import find_gaps
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.service.cli.main import app
from tests.drivers.formats.made import assert_same, places, recording, recordings

FORMATS = (".edf", ".bdf", ".csv", ".parquet", ".xdf")
DATASET = "bids:{}?subject=01&task=rest"


def through(made: Recording, folder: Path, suffix: str) -> tuple[Recording, float]:
    """A recording written and read again, and the file's LSB (0 where values are exact)."""
    path, written = export(made, str(folder / f"made{suffix}"), force=True)
    return read_recording(path), written.lsb or 0.0


@pytest.mark.parametrize(("one", "other"), list(product(FORMATS, FORMATS)))
@settings(max_examples=6)
@given(made=recordings())
def test_any_format_becomes_any_other(one: str, other: str, made: Recording) -> None:
    with TemporaryDirectory() as folder:
        between, first_lsb = through(made, Path(folder), one)
        found, second_lsb = through(between, Path(folder), other)
    assert_same(between, made, first_lsb or None)
    assert_same(found, between, second_lsb or None)
    exact = {".csv", ".parquet", ".xdf"}
    if {one, other} <= exact:
        np.testing.assert_array_equal(found.timestamps, made.timestamps)
        assert found.info.simulated == made.info.simulated
        assert found.info.uv_per_bit == made.info.uv_per_bit
        assert {marker.source for marker in found.markers} == {
            marker.source for marker in made.markers
        }


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_marker_that_is_called_as_a_gap_is_none(tmp_path: Path, suffix: str) -> None:
    made = recording(600, labels=((10, "BAD_ACQ_SKIP"), (400, "look")))
    assert places(through(made, tmp_path, suffix)[0]) == places(made)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "source",
    [
        "formats/muselsl/p300_subject2_data_2017-02-09-18.12.53.csv",
        "formats/muselsl/biohack_p2_understanding_dup-timestamps.csv",
        "formats/xdf/clock_resets.xdf",
        "bids/visual/sub-01/ses-01/eeg/sub-01_ses-01_task-ssvep_run-1_eeg.edf",
    ],
)
def test_real_recordings(shared_data: Path, tmp_path: Path, source: str, suffix: str) -> None:
    made = read_recording(shared_data / source)
    found, lsb = through(made, tmp_path, suffix)
    assert_same(found, made, lsb or None)


def test_markers_and_gaps_of_a_dataset_come_back(tmp_path: Path) -> None:
    made = recording(lost=((300, 100),), labels=((20, "Ton ä"), (350, "in a gap"), (699, "end")))
    path, written = export(made, DATASET.format(tmp_path / "ds"))
    assert_same(read_recording(path), made, written.lsb)


def test_pyxdf_reads_what_we_write(tmp_path: Path) -> None:
    made = recording(lost=((300, 100),), labels=((20, "Ton ä"), (350, "in a gap")))
    export(made, str(tmp_path / "made.xdf"))
    streams, _ = pyxdf.load_xdf(tmp_path / "made.xdf", dejitter_timestamps=False)
    found = {stream["info"]["name"][0]: stream for stream in streams}
    assert found["some.csv"]["info"]["type"] == ["EEG"]
    np.testing.assert_array_equal(found["some.csv"]["time_series"], made.data)
    np.testing.assert_array_equal(found["some.csv"]["time_stamps"], made.timestamps)
    assert found["keys"]["time_series"] == [["Ton ä"], ["in a gap"]]
    assert found["link"]["footer"]["info"]["sample_count"] == ["1"]


def test_a_marker_whose_stamp_leads_elsewhere_keeps_its_sample(tmp_path: Path) -> None:
    made = replace(recording(), markers=(Marker(1000.5, 77, "late", "keys"),))
    assert places(through(made, tmp_path, ".xdf")[0]) == [(77, "late")]


def test_one_line_tells_what_was_written(tmp_path: Path) -> None:
    made = recording(lost=((300, 100), (500, 1)), labels=((3, "x"),))
    path, written = export(made, str(tmp_path / "made.csv"))
    assert summarize(made, path, written) == (
        f"{path}: 600 samples of 4 channels, 2 gaps (101 samples lost), 1 marker, values unchanged"
    )
    path, written = export(made, str(tmp_path / "made.edf"))
    assert "LSB 0.00" in summarize(made, path, written)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_there_is_replaced_only_on_demand(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(CannotWrite, match="--force"):
        export(recording(), str(path))
    assert path.read_bytes() == b"mine"
    export(recording(), str(path), force=True)
    assert read_recording(path).n_times == 600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(b"mine")
    made = recording()
    made.data[3, 3] = 1e30
    with pytest.raises(CannotWrite, match="1e\\+30"):
        export(made, str(path), force=True)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    for out, found in (
        ("made.wav", r"a name that ends in \.edf"),
        ("made", r"a name that ends in \.edf"),
        ("absent/made.csv", "No such file"),
        ("file/made.csv", "Not a directory"),
        ("folder.csv", "an existing one at"),
    ):
        with pytest.raises(CannotWrite, match=found) as caught:
            export(recording(), str(tmp_path / out), force=True)
        assert "\n" not in str(caught.value)
    with pytest.raises(CannotWrite, match="No such file"):
        export(recording(), DATASET.format(tmp_path / "absent" / "ds"))


@pytest.mark.parametrize(
    ("library", "package", "module", "out"),
    [
        ("edfio", "edfio", "edf.writer", "made.edf"),
        ("edfio", "edfio", "edf.writer", "made.bdf"),
        ("pyarrow", "pyarrow", "tables.parquet_writer", "made.parquet"),
        ("mne_bids", "mne-bids", "bids_writer", "bids:ds?subject=01&task=rest"),
    ],
)
def test_a_missing_library_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    package: str,
    module: str,
    out: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"mimamba.drivers.formats.{module}", raising=False)
    with pytest.raises(LibraryMissing, match=f"pip install {package}") as caught:
        export(recording(), out)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.edf"
    export(recording(labels=((3, "x"),)), str(source))
    run = CliRunner()
    done = run.invoke(app, ["convert", str(source), str(out)])
    assert done.exit_code == 0
    assert done.stdout.strip().splitlines() == [
        summarize(read_recording(source), out, export(read_recording(source), str(out), True)[1])
    ]
    refused = run.invoke(app, ["convert", str(source), str(out)])
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "--force" in refused.stderr
    assert run.invoke(app, ["convert", str(source), str(out), "--force"]).exit_code == 0


def test_channels_can_be_chosen_and_named(tmp_path: Path) -> None:
    export(recording(), str(tmp_path / "in.csv"))
    url = f"replay://{tmp_path}/in.csv?channels=AF7,AF8&names=L,R"
    done = CliRunner().invoke(app, ["convert", url, str(tmp_path / "out.parquet")])
    assert done.exit_code == 0
    found = read_recording(tmp_path / "out.parquet")
    assert found.info.ch_names == ("L", "R")
    np.testing.assert_array_equal(found.data, recording().data[:, 1:3])


def test_a_recording_that_cannot_be_read_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("no recording")
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "in.csv"), str(tmp_path / "o.edf")])
    assert done.exit_code == 2
    assert not (tmp_path / "o.edf").exists()
    with pytest.raises(BadRecording):
        read_recording(tmp_path / "in.csv")


def test_markers_of_one_sample_keep_apart(tmp_path: Path) -> None:
    made = recording(labels=((5, "a"), (5, "b"), (0, "first")))
    for suffix in FORMATS:
        assert places(through(made, tmp_path, suffix)[0]) == [(0, "first"), (5, "a"), (5, "b")]
        assert find_gaps(through(made, tmp_path, suffix)[0].index) == []
