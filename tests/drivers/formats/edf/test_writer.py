from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import edfio
import mne
import numpy as np
import pytest
from hypothesis import given, settings

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import CannotWrite
from mimamba.drivers.formats.edf.writer import needs_bdf, write_bdf, write_edf
from mimamba.drivers.formats.gap_filling import fill_gaps
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording, WriteResult
from tests.drivers.formats.made import assert_same, read_edf, recording, recordings

WRITE = {".edf": write_edf, ".bdf": write_bdf}


def written(made: Recording, path: Path) -> WriteResult:
    return WRITE[path.suffix](made, path)


@pytest.mark.parametrize("suffix", WRITE)
@settings(max_examples=40)
@given(made=recordings())
def test_edfio_reads_the_same_within_half_a_bit(suffix: str, made: Recording) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"made{suffix}"
        told = written(made, path)
        assert told.lsb is not None
        assert_same(read_edf(path), made, told.lsb)


@pytest.mark.parametrize("suffix", WRITE)
def test_mne_reads_values_gaps_and_markers(tmp_path: Path, suffix: str) -> None:
    labels = ((0, "auf"), (150, "in der Lücke"), (700, "zu ✓"), (700, "zweimal"))
    made = recording(lost=((100, 129),), labels=labels)
    path = tmp_path / f"made{suffix}"
    told = written(made, path)
    read = mne.io.read_raw_bdf if suffix == ".bdf" else mne.io.read_raw_edf
    raw = read(path, verbose="error")
    assert raw.ch_names == list(made.info.ch_names)
    assert raw.info["sfreq"] == 256.0
    held = fill_gaps(made.data, made.index)
    assert told.lsb is not None
    np.testing.assert_allclose(
        raw.get_data()[:, : len(held)].T * 1e6, held, atol=0.51 * told.lsb, rtol=1e-6
    )
    notes = [
        (round(note["onset"] * 256), round(note["duration"] * 256), note["description"])
        for note in raw.annotations
    ]
    assert sorted(notes) == [
        (0, 0, "auf"),
        (100, 129, "BAD_gap: 129 samples lost"),
        (150, 0, "in der Lücke"),
        (700, 0, "zu ✓"),
        (700, 0, "zweimal"),
        (729, 39, "BAD_padding: 39 samples"),
    ]


def test_a_flat_channel_and_the_greatest_values(tmp_path: Path) -> None:
    made = recording()
    made.data[:, 0] = 9_999_999
    made.data[:, 1] = -9_999_999
    made.data[:, 2] = 0
    made.data[5, 3] = 9_999_999
    for suffix in WRITE:
        told = written(made, tmp_path / f"made{suffix}")
        assert_same(read_edf(tmp_path / f"made{suffix}"), made, told.lsb)


def test_the_lsb_told_is_that_of_the_coarsest_channel(tmp_path: Path) -> None:
    made = recording()
    made.data[0, 2], made.data[1, 2] = -1000, 1000
    told = write_edf(made, tmp_path / "made.edf")
    assert told.lsb == pytest.approx(2000 / 65535)
    assert told.notices == ()


def test_unix_time_gives_the_date_and_other_clocks_none(tmp_path: Path) -> None:
    start = datetime(2024, 2, 29, 12, 34, 56, 250_000, tzinfo=UTC)
    made = recording(start=start.timestamp(), labels=((3, "x"),))
    write_edf(made, tmp_path / "dated.edf")
    file = edfio.read_edf(tmp_path / "dated.edf")
    assert file.startdatetime.replace(tzinfo=UTC) == start
    assert file.annotations[0] == (3 / 256, None, "x")
    write_edf(recording(), tmp_path / "undated.edf")
    file = edfio.read_edf(tmp_path / "undated.edf")
    assert file.local_recording_identification == "Startdate X X X X mimamba"
    assert file.local_patient_identification == "X X X X"
    with pytest.raises(edfio.AnonymizedDateError):
        _ = file.startdate


def test_simulated_signal_says_so(tmp_path: Path) -> None:
    write_edf(recording(simulated=True), tmp_path / "made.edf")
    file = edfio.read_edf(tmp_path / "made.edf")
    assert file.recording.equipment_code == "simulated"


def test_what_annotations_cannot_hold_becomes_a_space(tmp_path: Path) -> None:
    write_edf(recording(labels=((9, "a\nb\x14c\x00d"),)), tmp_path / "made.edf")
    assert [marker.label for marker in read_edf(tmp_path / "made.edf").markers] == ["a b c d"]


def test_the_resolution_decides_between_edf_and_bdf(tmp_path: Path) -> None:
    muse = recording(uv_per_bit=0.48828, range_uv=1000.0)
    cyton = recording(uv_per_bit=0.02235, range_uv=187500.0)
    assert [needs_bdf(made) for made in (muse, cyton, recording())] == [False, True, False]
    cyton.data[0] = 187000
    told = write_edf(cyton, tmp_path / "made.edf")
    assert told.notices == (
        "The device resolves 0.02235 µV, which is finer: BDF+ (.bdf) keeps that.",
    )
    fine = write_bdf(cyton, tmp_path / "made.bdf")
    assert fine.lsb is not None
    assert fine.lsb < 0.02235
    assert fine.notices == ()


@pytest.mark.parametrize(
    ("sfreq", "n_channels", "seconds"),
    [
        (256.0, 4, 1.0),
        (220.5, 4, 2.0),
        (250.25, 4, 4.0),
        (1000.0, 64, 0.25),
        (2048.0, 64, 0.125),
        (8001.0, 64, 1.0),
    ],
)
def test_records_hold_whole_samples_in_few_bytes(
    tmp_path: Path, sfreq: float, n_channels: int, seconds: float
) -> None:
    made = recording(n_times=100)
    info = replace(made.info, sfreq=sfreq, ch_names=tuple(f"E{n}" for n in range(n_channels)))
    data = np.repeat(made.data[:, :1], n_channels, axis=1)
    made = replace(made, info=info, data=data, timestamps=made.index / sfreq)
    told = write_edf(made, tmp_path / "made.edf")
    assert edfio.read_edf(tmp_path / "made.edf").data_record_duration == seconds
    assert_same(read_edf(tmp_path / "made.edf"), made, told.lsb)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sfreq": 92.9}, "92.9 Hz"),
        ({"ch_names": ("a name of 17 chars", "b", "c", "d")}, "1 to 16 ASCII"),
        ({"ch_names": ("µ", "b", "c", "d")}, "1 to 16 ASCII"),
    ],
)
def test_what_edf_cannot_say_is_refused(
    tmp_path: Path, change: dict[str, object], what: str
) -> None:
    with pytest.raises(CannotWrite, match=what) as caught:
        write_edf(recording(**change), tmp_path / "made.edf")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made.edf").exists()


def test_values_and_lengths_beyond_edf_are_refused(tmp_path: Path) -> None:
    made = recording()
    made.data[7, 1] = 2e7
    with pytest.raises(CannotWrite, match="2e\\+07 µV"):
        write_bdf(made, tmp_path / "made.bdf")
    with pytest.raises(CannotWrite, match="with gaps filled"):
        write_edf(recording(lost=((5, 2**28),)), tmp_path / "made.edf")


def test_a_real_recording_keeps_its_codes(shared_data: Path, tmp_path: Path) -> None:
    source = next((shared_data / "formats" / "muselsl").glob("ssvep*.csv"))
    made = read_recording(source)
    for suffix in WRITE:
        told = written(made, tmp_path / f"made{suffix}")
        assert told.lsb is not None
        assert told.lsb < 0.02
        assert_same(read_edf(tmp_path / f"made{suffix}"), made, told.lsb)


def test_a_marker_s_timestamp_does_not_move_it(tmp_path: Path) -> None:
    made = recording()
    made = replace(made, markers=(Marker(1000.5, 77, "late", "keys"),))
    write_edf(made, tmp_path / "made.edf")
    assert read_edf(tmp_path / "made.edf").markers[0].index == 77
