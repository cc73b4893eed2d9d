from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadChannels, BadRecording
from mimamba.drivers.formats.edf.writer import write_bdf, write_edf
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from tests.drivers.formats.edf.edffile import File, Signal, tal
from tests.drivers.formats.made import assert_same, recording, recordings

BDF = b"\xffBIOSEMI"
VALUES = list(range(-300, 340))  # five records of 128


def eeg(label: str = "Fp1", per_record: int = 128, **facts: object) -> Signal:
    values = [value % 1000 for value in range(5 * per_record)]
    return Signal(label, values, per_record, **facts)  # type: ignore[arg-type]


def read(file: File, folder: Path, **channels: tuple[str, ...]) -> Recording:
    return read_recording(file.write(folder / "some.edf"), ChannelChoice(**channels))


def runs(made: Recording) -> list[tuple[int, int]]:
    return [(chunk.first, chunk.n_times) for chunk in made.chunks(10**9)]


def test_a_whole_file(tmp_path: Path) -> None:
    texts = [tal(0) + tal(0.5, "blink"), tal(1), tal(2), tal(3) + tal(3.25, "a", "b"), tal(4)]
    made = read(File([Signal("EEG Fp1-REF", VALUES, 128), eeg("EEG T7")], texts=texts), tmp_path)
    assert (made.info.name, made.info.source_id) == ("some.edf", str(tmp_path / "some.edf"))
    assert (made.info.sfreq, made.info.ch_names) == (128.0, ("Fp1", "T7"))
    assert (made.info.live, made.info.notices) == (False, ())
    np.testing.assert_allclose(made.data[:, 0], np.array(VALUES) / 2, atol=1e-3)
    np.testing.assert_array_equal(made.index, np.arange(640))
    np.testing.assert_allclose(made.timestamps, np.arange(640) / 128)
    assert [(m.index, m.label, m.source) for m in made.markers] == [
        (64, "blink", "annotations"),
        (416, "a", "annotations"),
        (416, "b", "annotations"),
    ]


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
@settings(max_examples=60)
@given(made=recordings())
def test_what_is_written_comes_back_within_half_a_bit(suffix: str, made: Recording) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"made{suffix}"
        told = (write_bdf if suffix == ".bdf" else write_edf)(made, path)
        assert_same(read_recording(path), made, told.lsb)


@pytest.mark.parametrize("version", [b"0       ", BDF])
def test_mne_reads_the_same(tmp_path: Path, version: bytes) -> None:
    low, high = (-(2**23), 2**23 - 1) if version == BDF else (-(2**15), 2**15 - 1)
    random = np.random.default_rng(1)
    signals = [
        Signal(f"E{n}", random.integers(low, high, 640).tolist(), 128, "uV", 0.25, low, high)
        for n in range(3)
    ]
    path = File(signals, version=version).write(tmp_path / "some.bdf")
    made = read_recording(path)
    if version != BDF:
        path = path.rename(path.with_suffix(".edf"))
    raw = (mne.io.read_raw_bdf if version == BDF else mne.io.read_raw_edf)(path, verbose="ERROR")
    np.testing.assert_allclose(made.data, raw.get_data().T * 1e6, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(
    ("unit", "factor"), [("uV", 1), ("µV", 1), ("mV", 1e3), ("V", 1e6), ("nV", 1e-3), ("", 1)]
)
def test_units_become_microvolts(tmp_path: Path, unit: str, factor: float) -> None:
    made = read(File([eeg(unit=unit)]), tmp_path)
    assert made.data[7, 0] == pytest.approx(3.5 * factor, rel=1e-3)
    assert bool(made.info.notices) == (not unit)


def test_only_eeg_of_the_rate_that_most_have(tmp_path: Path) -> None:
    signals = [
        eeg("EEG Fp1"),
        eeg("EEG Fp2"),
        eeg("EEG Cz", per_record=256),
        eeg("ECG", unit="mV"),
        eeg("EOG left"),
        eeg("Status", unit=""),
        eeg("Accel X", unit="g", per_record=32),
        eeg("Pressure", unit="Pa"),
    ]
    made = read(File(signals), tmp_path)
    assert made.info.ch_names == ("Fp1", "Fp2")
    assert made.info.notices == (
        "Left out: Cz (256 Hz), ECG (MISC), left (EOG), Status (MISC), Accel X (MISC), "
        "Pressure (MISC).",
    )
    other = read(File(signals), tmp_path, channels=("Cz",), names=("Pz",))
    assert (other.info.sfreq, other.info.ch_names) == (256.0, ("Pz",))
    assert other.info.notices == ()
    with pytest.raises(BadChannels, match="Fp1 128 Hz, Cz 256 Hz"):
        read(File(signals), tmp_path, channels=("Fp1", "Cz"))
    with pytest.raises(BadChannels, match="O1"):
        read(File(signals), tmp_path, channels=("O1",))


def test_of_rates_as_common_the_highest(tmp_path: Path) -> None:
    made = read(File([eeg("A"), eeg("B", per_record=64)]), tmp_path)
    assert (made.info.sfreq, made.info.ch_names) == (128.0, ("A",))


def test_labels_that_repeat_are_told_apart(tmp_path: Path) -> None:
    assert read(File([eeg("Fp1"), eeg("Fp1")]), tmp_path).info.ch_names == ("Fp1", "Fp1 2")
    assert read(File([eeg("")]), tmp_path).info.ch_names == ("?",)


def test_only_other_channels(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match=r"EEG channels, but found ECG .* Select channels with"):
        read(File([eeg("ECG")]), tmp_path)
    assert read(File([eeg("ECG")]), tmp_path, channels=("1",)).info.ch_names == ("ECG",)


def test_interruptions_are_gaps(tmp_path: Path) -> None:
    texts = [tal(at) for at in (0.25, 1.25, 9.25, 10.25, 11.75)]
    texts[2] += tal(9.5, "later")
    made = read(File([eeg()], reserved="EDF+D", texts=texts), tmp_path)
    assert runs(made) == [(0, 256), (9 * 128, 256), (1472, 128)]
    assert made.timestamps[256] == 9.0
    assert [(m.index, m.timestamp) for m in made.markers] == [(1184, 9.25)]
    assert made.info.notices == ("The recording was interrupted 2 times; these are gaps.",)
    whole = read(File([eeg()], reserved="EDF+C", texts=texts), tmp_path)
    assert runs(whole) == [(0, 640)]


def test_records_that_tell_no_time_or_go_back_follow_the_one_before(tmp_path: Path) -> None:
    texts = [tal(0), b"", tal(0.5), tal(1e8), tal(7)]
    made = read(File([eeg()], reserved="EDF+D", texts=[*texts[:3], tal(7), b"junk"]), tmp_path)
    assert runs(made) == [(0, 384), (896, 256)]
    assert "each is placed after the one before" in made.info.notices[0]
    with pytest.raises(BadRecording, match="timestamps in seconds"):
        read(File([eeg()], reserved="EDF+D", texts=texts), tmp_path)


@settings(max_examples=60)
@given(st.integers(256 * 3, 256 * 3 + 5 * (2 * 128 + 120)))
def test_a_file_cut_anywhere_keeps_its_whole_records(size: int) -> None:
    with TemporaryDirectory() as folder:
        path = File([eeg()], texts=[tal(n) for n in range(5)]).write(Path(folder) / "some.edf")
        path.write_bytes(path.read_bytes()[:size])
        there = (size - 256 * 3) // (2 * 128 + 120)
        if there == 0:
            with pytest.raises(BadRecording, match="a complete record"):
                read_recording(path)
            return
        made = read_recording(path)
        assert made.n_times == 128 * there
        told = (f"The file is cut off: it has {there} of 5 records.",) if there < 5 else ()
        assert made.info.notices == told


def test_a_file_that_was_not_closed(tmp_path: Path) -> None:
    assert read(File([eeg()], fields={"records": "-1"}), tmp_path).n_times == 640


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"signals": "9999"}, "256 bytes for itself and each signal"),
        ({"signals": "many"}, "the number of signals"),
        ({"length": "99999999"}, "256 bytes for itself and each signal"),
        ({"duration": "0"}, "only annotations"),
        ({"duration": "nan"}, "duration"),
        ({"duration": "-1"}, "duration"),
        ({"records": "?"}, "the number of records"),
    ],
)
def test_nonsense_in_the_header(tmp_path: Path, fields: dict[str, str], found: str) -> None:
    with pytest.raises(BadRecording, match=found):
        read(File([eeg()], fields=fields), tmp_path)


def test_signals_without_samples_or_scale(tmp_path: Path) -> None:
    flat = Signal("Fp1", VALUES, 128, gain=0.0)
    made = read(File([flat, eeg("Fp2")]), tmp_path)
    assert made.info.ch_names == ("Fp2",)
    with pytest.raises(BadChannels, match="scale"):
        read(File([flat, eeg("Fp2")]), tmp_path, channels=("Fp1",))
    with pytest.raises(BadRecording, match="samples per record"):
        read(File([Signal("A", [], -5), eeg()], fields={"records": "1"}), tmp_path)


def test_a_stream_cannot_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="Remove it"):
        read_recording(
            File([eeg()]).write(tmp_path / "some.edf"), options=ReadOptions(stream="EEG")
        )


@pytest.mark.parametrize(
    ("name", "sfreq", "shape", "marked"),
    [
        ("physionet_eegmat_Subject00_2.edf", 500.0, (31000, 20), 1),
        ("pyedflib_test_generator.bdf", 1000.0, (30000, 1), 0),
        ("pyedflib_test_subsecond.edf", 128.0, (89344, 1), 4),
        ("pyedflib_test_utf8.edf", 128.0, (89344, 1), 5),
    ],
)
def test_real_files_as_mne_reads_them(
    shared_data: Path, name: str, sfreq: float, shape: tuple[int, int], marked: int
) -> None:
    path = shared_data / "formats" / "edf_bdf" / name
    made = read_recording(path)
    assert (made.info.sfreq, made.data.shape, len(made.markers)) == (sfreq, shape, marked)
    reader = mne.io.read_raw_bdf if path.suffix == ".bdf" else mne.io.read_raw_edf
    raw = reader(path, verbose="ERROR")
    values = raw.get_data(picks=list(range(shape[1]))).T * 1e6
    np.testing.assert_allclose(made.data, values, rtol=1e-5, atol=1e-3)
    notes = sorted((note["onset"], note["description"]) for note in raw.annotations)
    assert [marker.label for marker in made.markers] == [text for _, text in notes]
    np.testing.assert_allclose(
        [marker.index for marker in made.markers], [at * sfreq for at, _ in notes], atol=0.51
    )


def timed(step: float, reserved: str = "EDF+C", n_records: int = 8) -> File:
    texts = [tal(round(n * step, 6)) for n in range(n_records)]
    values = list(range(128 * n_records))
    return File([Signal("Fp1", values, 128)], reserved=reserved, texts=texts)


def test_the_times_of_records_decide_about_their_declared_duration(tmp_path: Path) -> None:
    made = read(timed(1.28), tmp_path)
    assert (made.info.sfreq, runs(made)) == (100.0, [(0, 1024)])
    assert made.info.notices == (
        "The header declares records of 1 s, but their times are 1.28 s apart: the rate is read as "
        "100 Hz, not 128 Hz.",
    )
    assert read(timed(0.5, "EDF+D"), tmp_path).info.sfreq == 256.0  # they would overlap
    for file in (timed(1.0), timed(1.004), timed(1.28, n_records=4)):
        made = read(file, tmp_path)
        assert (made.info.sfreq, made.info.notices) == (128.0, ())
    assert read(timed(1.28, "EDF+D"), tmp_path).end == 1147 + 128  # pauses


def test_emotiv_s_export_has_14_channels(tmp_path: Path) -> None:
    names = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
    others = ("COUNTER", "INTERPOLATED", "RAW_CQ", "GYROX", "TIME_STAMP_s", "CQ_AF3", "CQ_CMS")
    for unit in ("", "uV"):
        signals = [eeg(name) for name in names] + [eeg(name, unit=unit) for name in others]
        made = read(File(signals), tmp_path)
        assert made.info.ch_names == names
        assert made.info.notices[0].startswith("Left out: COUNTER (MISC), INTERPOLATED (MISC)")
    assert read(File(signals), tmp_path, channels=("CQ_AF3",)).info.ch_names == ("CQ_AF3",)


def test_all_channels_that_mimamba_has_written_come_back(tmp_path: Path) -> None:
    made = recording(ch_names=("TP9", "x", "Right AUX", "status"))
    for write, suffix in ((write_edf, "edf"), (write_bdf, "bdf")):
        write(made, tmp_path / f"own.{suffix}")
        found = read_recording(tmp_path / f"own.{suffix}")
        assert (found.info.ch_names, found.info.notices[1:]) == (made.info.ch_names, ())


def test_channels_without_a_known_name_are_said_to_be_a_guess(tmp_path: Path) -> None:
    made = read(File([eeg("left"), eeg("right")]), tmp_path)
    assert made.info.ch_names == ("left", "right")
    assert made.info.notices == (
        "No channel has a type or the name of an electrode: left, right are taken for EEG; "
        "channels= selects others.",
    )


def test_inputs_that_an_exporter_calls_eeg(tmp_path: Path) -> None:
    labels = ("EEG FP1-REF", "EEG EKG1-REF", "EEG LOC-REF", "EEG Mark1", "EMG-REF", "EEG SP1-REF")
    made = read(File([eeg(label) for label in labels]), tmp_path)
    assert made.info.ch_names == ("FP1", "SP1")
    assert made.info.notices == ("Left out: EKG1 (MISC), LOC (MISC), Mark1 (MISC), EMG (MISC).",)
