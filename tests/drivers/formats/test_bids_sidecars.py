from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from mimamba.drivers.formats.bids_sidecars import read_sidecars
from mimamba.drivers.formats.events import FileEvent
from mimamba.drivers.formats.read import read_recording
from tests.drivers.formats.edf.edffile import File, Signal, tal

STEM = "sub-01_task-rest"
CHANNELS = "name\ttype\tunits\tstatus\nFp1\tEEG\tuV\tgood\nHEO\tEOG\tuV\tgood\nT7\tEEG\tuV\tbad\n"
EVENTS = "onset\tduration\ttrial_type\tvalue\n0.5\t0\tblink\t1\n1.25\t0\tn/a\t7\nn/a\t0\tx\t1\n"


def write(folder: Path, channels: str | None = CHANNELS, events: str | None = EVENTS) -> Path:
    for name, text in (("channels", channels), ("events", events)):
        if text is not None:
            (folder / f"{STEM}_{name}.tsv").write_text(text, encoding="utf-8-sig")
    signals = [Signal(name, list(range(512)), 256) for name in ("Fp1", "HEO", "T7")]
    texts = [tal(0) + tal(0.75, "twice"), tal(1) + tal(1.5, "BAD_ACQ_SKIP", duration=0.5)]
    return File(signals, texts=texts).write(folder / f"{STEM}_eeg.edf")


def test_types_status_and_events_come_from_the_tables(tmp_path: Path) -> None:
    made = read_recording(write(tmp_path))
    assert made.info.ch_names == ("Fp1", "T7")
    assert made.info.notices == ("Left out: HEO (EOG).", "T7: marked as bad in channels.tsv.")
    assert [(m.index, m.timestamp, m.label, m.source) for m in made.markers] == [
        (128, 0.5, "blink", "events.tsv"),
        (320, 1.25, "7", "events.tsv"),
    ]
    assert made.n_times == 384  # what BAD_ACQ_SKIP covers was never recorded


def test_without_tables_the_file_speaks_for_itself(tmp_path: Path) -> None:
    made = read_recording(write(tmp_path, None, None))
    assert made.info.ch_names == ("Fp1", "T7")
    assert made.info.notices == ("Left out: HEO (MISC).",)
    assert [marker.label for marker in made.markers] == ["twice"]


@pytest.mark.parametrize("text", ["", "\n", "onset\n", "onset\ttrial_type\nnan\tx\ninf\ty\n1\n"])
def test_tables_that_say_nothing(tmp_path: Path, text: str) -> None:
    found = read_sidecars(write(tmp_path, text, text))
    assert (dict(found.kinds), found.bad, found.events) == ({}, (), ())


def test_other_names_have_no_tables(tmp_path: Path) -> None:
    found = read_sidecars(write(tmp_path).rename(tmp_path / f"{STEM}.edf"))
    assert (dict(found.kinds), found.bad, found.events) == ({}, (), None)


def test_an_event_has_a_place_a_label_and_a_source(tmp_path: Path) -> None:
    assert read_sidecars(write(tmp_path)).events == (
        FileEvent(0.5, "blink", "events.tsv"),
        FileEvent(1.25, "7", "events.tsv"),
    )


@pytest.mark.parametrize(
    ("name", "n_channels"),
    [
        ("arith/sub-04/eeg/sub-04_task-rest", 4),
        ("visual/sub-01/ses-01/eeg/sub-01_ses-01_task-ssvep_run-1", 4),
        ("visual/sub-01/ses-01/eeg/sub-01_ses-01_task-p300_run-2", 4),
    ],
)
def test_real_datasets(shared_data: Path, name: str, n_channels: int) -> None:
    path = shared_data / "bids" / f"{name}_eeg.edf"
    made = read_recording(path)
    assert (made.info.sfreq, made.info.n_channels) == (256.0, n_channels)
    raw = mne.io.read_raw_edf(path, verbose="ERROR")
    values = raw.get_data(list(range(n_channels)))[:, : made.n_times].T * 1e6
    np.testing.assert_allclose(made.data, values, rtol=1e-5, atol=1e-3)
    lines = path.with_name(f"{path.name[:-8]}_events.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert [(m.index, m.label) for m in made.markers] == [
        (int(row["sample"]), row["trial_type"]) for row in rows
    ]
    skipped = [note["onset"] for note in raw.annotations if note["description"] == "BAD_ACQ_SKIP"]
    assert made.n_times == round(skipped[0] * 256) if skipped else raw.n_times


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"SamplingFrequency": 256}', ()),
        (
            '{"SamplingFrequency": 250}',
            ("eeg.json declares 250 Hz, but the file has 256 Hz, as used.",),
        ),
        ('{"SamplingFrequency": "n/a"}', ()),
        ("[]", ()),
        ("{", ()),
    ],
)
def test_a_rate_that_contradicts_the_file_is_reported(
    tmp_path: Path, text: str, told: tuple[str, ...]
) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_text(text)
    notices = read_recording(path).info.notices
    assert tuple(notice for notice in notices if "eeg.json" in notice) == told
