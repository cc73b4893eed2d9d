from __future__ import annotations

import json
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from mimamba.drivers.errors import CannotWrite
from mimamba.drivers.formats.bids_writer import BIDSEntities, parse_bids_target, write_bids
from mimamba.drivers.formats.read import read_recording
from mimamba.models.personal.blocks import blocks_from_table
from tests.drivers.formats.made import assert_same, read_edf, recording


def files(root: Path) -> set[str]:
    return {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}


def test_a_new_dataset_is_read_by_mne_bids(tmp_path: Path) -> None:
    made = recording(lost=((300, 100),), labels=((20, "Ton ä"), (350, "in a gap")))
    target, told = write_bids(made, parse_bids_target(f"bids:{tmp_path}/ds?subject=01&task=rest"))
    assert target == tmp_path / "ds" / "sub-01" / "eeg" / "sub-01_task-rest_eeg.edf"
    assert files(tmp_path) == {
        "ds/README",
        "ds/dataset_description.json",
        "ds/participants.json",
        "ds/participants.tsv",
        "ds/sub-01/sub-01_scans.tsv",
        "ds/sub-01/eeg/sub-01_task-rest_channels.tsv",
        "ds/sub-01/eeg/sub-01_task-rest_eeg.edf",
        "ds/sub-01/eeg/sub-01_task-rest_eeg.json",
        "ds/sub-01/eeg/sub-01_task-rest_events.json",
        "ds/sub-01/eeg/sub-01_task-rest_events.tsv",
    }
    assert_same(read_edf(target), made, told.lsb)
    path = mne_bids.BIDSPath(subject="01", task="rest", datatype="eeg", root=tmp_path / "ds")
    with mne.use_log_level("error"):
        raw = mne_bids.read_raw_bids(path)
    notes = {(round(note["onset"] * 256), note["description"]) for note in raw.annotations}
    assert {(20, "Ton ä"), (300, "BAD_gap: 100 samples lost"), (350, "in a gap")} <= notes
    np.testing.assert_allclose(raw.get_data()[:, :300].T * 1e6, made.data[:300], atol=0.01)
    assert "1985" not in (tmp_path / "ds" / "sub-01" / "sub-01_scans.tsv").read_text()


def test_a_dataset_that_is_there_is_added_to(tmp_path: Path) -> None:
    write_bids(recording(), BIDSEntities(tmp_path / "ds", "01", "rest"))
    people = tmp_path / "ds" / "participants.tsv"
    people.write_text(people.read_text().replace("sub-01\tn/a", "sub-01\t33"))
    (tmp_path / "ds" / "README").write_text("mine")
    write_bids(recording(), BIDSEntities(tmp_path / "ds", "01", "rest", run="2"))
    write_bids(recording(start=1.7e9), BIDSEntities(tmp_path / "ds", "02", "rest", session="a"))
    rows = [row.split("\t")[:2] for row in people.read_text().splitlines()]
    assert rows == [["participant_id", "age"], ["sub-01", "33"], ["sub-02", "n/a"]]
    assert (tmp_path / "ds" / "README").read_text() == "mine"
    scans = (tmp_path / "ds" / "sub-01" / "sub-01_scans.tsv").read_text()
    assert "task-rest_eeg.edf" in scans
    assert "task-rest_run-2_eeg.edf" in scans
    dated = (tmp_path / "ds" / "sub-02" / "ses-a" / "sub-02_ses-a_scans.tsv").read_text()
    assert "2023-11-14T22:13:20" in dated


def test_a_recording_that_is_there_is_replaced_only_on_demand(tmp_path: Path) -> None:
    place = BIDSEntities(tmp_path / "ds", "01", "rest")
    target, _ = write_bids(recording(), place)
    before = target.read_bytes()
    with pytest.raises(CannotWrite, match="--force"):
        write_bids(recording(n_times=300), place)
    assert target.read_bytes() == before
    fine = recording(n_times=300, uv_per_bit=0.02235, range_uv=187500.0)
    replaced, told = write_bids(fine, place, force=True)
    assert replaced.suffix == ".bdf"
    assert not target.exists()
    assert_same(read_edf(replaced), fine, told.lsb)
    sidecar = json.loads(replaced.with_suffix(".json").read_text())
    assert sidecar["Manufacturer"] == "n/a"


def test_blocks_and_ratings_are_events(tmp_path: Path) -> None:
    labels = (
        (256, "calibration a1 begin"),
        (512, "calibration a1 block 1 begin very calm"),
        (1024, "calibration a1 block 1 end"),
        (1024, "calibration a1 block 1 again: poor signal"),
        (1100, "calibration a1 block 1 begin very calm"),
        (1612, "calibration a1 block 1 end"),
        (1700, "calibration a1 rating block 1 valence 70 arousal 20.5 answer -713"),
        (1800, "calibration a1 block 2 begin strained"),
        (2312, "calibration a1 block 2 end"),
        (2400, "rating valence 71 arousal 64.5"),
        (2450, "calibration a1 block 3 begin strained"),
    )
    made = recording(2600, lost=((600, 100),), labels=labels)
    target, _ = write_bids(made, BIDSEntities(tmp_path / "ds", "01", "sitting"))
    table = target.with_name("sub-01_task-sitting_events.tsv")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    columns = {name: n for n, name in enumerate(rows[0])}
    shown = ("onset", "duration", "trial_type", "valence", "arousal")
    found = [tuple(row[columns[name]] for name in shown) for row in rows[1:]]
    assert [row for row in found if row[3] != "n/a" or row[2] == "strained"] == [
        ("4.296875", "2.000000", "very calm", "70", "20.5"),
        ("7.031250", "2.000000", "strained", "n/a", "n/a"),
        ("9.375000", "0.000000", "rating", "71", "64.5"),
    ]
    assert [float(row[0]) for row in found] == sorted(float(row[0]) for row in found)
    assert "valence" in json.loads(table.with_suffix(".json").read_text())
    blocks = blocks_from_table(table, made, "arousal", ("very calm", "strained"))
    assert [(each.start, each.stop, each.rating) for each in blocks] == [
        (1100, 1612, 20.5),
        (1800, 2312, None),
    ]
    again = read_recording(str(target))
    assert {marker.label for marker in again.markers} >= {
        "very calm",
        *(each for _, each in labels),
    }


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"92\.9 Hz"):
        write_bids(recording(sfreq=92.9), BIDSEntities(tmp_path / "ds", "01", "rest"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bids:", "no subject, no task"),
        ("bids:ds?subject=01", "no task"),
        ("bids:?subject=01&task=rest", "no folder"),
        ("bids:ds?subject=0_1&task=rest", "subject=0_1"),
        ("bids:ds?subject=01&task=rest&speed=2", "speed"),
        ("bids:ds?subject=01&task=", "task="),
    ],
)
def test_places_that_are_none(text: str, found: str) -> None:
    with pytest.raises(CannotWrite, match=found):
        parse_bids_target(text)


def test_a_place_with_all_its_parts() -> None:
    place = parse_bids_target("bids:some/ds?subject=01&session=2&task=rest&run=3")
    assert place == BIDSEntities(Path("some/ds"), "01", "rest", "2", "3")
    assert place.stem == "sub-01_ses-2_task-rest_run-3"
    assert place.folder == Path("some/ds/sub-01/ses-2/eeg")
