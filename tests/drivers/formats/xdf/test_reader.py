from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.xdf.intact_chunks import extract_complete_chunks
from tests.drivers.formats.xdf import xdffile

STAMPS = [500 + k / 256 for k in range(1024)]
WHOLE = xdffile.recording(STAMPS, marks=[(501.0, "start"), (503.001, "stop")])


def read(folder: Path, *parts: bytes, stream: str | None = None) -> Recording:
    file = folder / "some.xdf"
    file.write_bytes(b"".join(parts))
    return read_recording(file, options=ReadOptions(stream=stream))


def signal(number: int, n_times: int = 300, n_channels: int = 4, form: str = "float32") -> bytes:
    rows = [[float(number)] * n_channels] * n_times
    if form == "int16":
        return xdffile.samples(number, STAMPS[:n_times], [[number] * n_channels] * n_times, form)
    return xdffile.samples(number, STAMPS[:n_times], rows, form)


def test_a_whole_file(tmp_path: Path) -> None:
    made = read(tmp_path, WHOLE)
    assert made.info.name == "some.xdf"
    assert made.info.source_id == str(tmp_path / "some.xdf")
    assert made.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert (made.info.sfreq, made.info.live, made.info.notices) == (256.0, False, ())
    assert made.data.dtype == np.float32
    assert made.data[7].tolist() == [7.0, 7.125, 7.25, 7.375]
    np.testing.assert_array_equal(made.index, np.arange(1024))
    np.testing.assert_allclose(made.timestamps, STAMPS, atol=1e-6)
    assert [(m.index, m.label, m.source) for m in made.markers] == [
        (256, "start", "Tasks"),
        (768, "stop", "Tasks"),
    ]
    assert made.markers[0].timestamp == 501.0


def test_a_loss_that_pyxdf_would_smear_is_a_jump(tmp_path: Path) -> None:
    stamps = STAMPS[:400] + STAMPS[600:]  # 0.8 s
    made = read(tmp_path, xdffile.recording(stamps, marks=[(STAMPS[500], "inside")]))
    assert [(c.first, c.n_times) for c in made.chunks(9999)] == [(0, 400), (600, 424)]
    np.testing.assert_allclose(made.timestamps, stamps, atol=1e-6)
    assert made.markers[0].index == 500
    assert [len(c.markers) for c in made.chunks(9999)] == [0, 1]


def test_stamps_are_put_on_the_recorder_s_clock(tmp_path: Path) -> None:
    shifted = xdffile.recording(STAMPS, shift=-100.0, marks=[(401.0, "x"), (501.0, "late")])
    made = read(tmp_path, shifted)
    np.testing.assert_allclose(made.timestamps, np.array(STAMPS) - 100.0, atol=1e-6)
    assert [(m.index, m.label) for m in made.markers] == [(256, "x")]
    assert made.info.notices == ("1 markers are outside of the signal: left out.",)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("V", 1e6), ("millivolts", 1e3), ("µV", 1.0), ("uV", 1.0), ("nanovolts", 1e-3)],
)
def test_units_become_microvolts(tmp_path: Path, unit: str, factor: float) -> None:
    desc = xdffile.channels(["A", "B", "C", "D"], unit)
    made = read(tmp_path, xdffile.start(), xdffile.header(3, desc=desc), signal(3))
    assert made.data[0, 0] == pytest.approx(3 * factor)
    assert made.info.notices == ()


def test_what_the_file_does_not_say_is_reported(tmp_path: Path) -> None:
    header = xdffile.header(3, form="int16")
    made = read(tmp_path, xdffile.start(), header, signal(3, form="int16"))
    assert made.info.ch_names == ("1", "2", "3", "4")
    assert (made.info.uv_per_bit, made.info.range_uv, made.info.simulated) == (None, None, False)
    assert made.data[0].tolist() == [3.0] * 4
    assert len(made.info.notices) == 2  # neither labels nor units


def test_facts_of_the_converter(tmp_path: Path) -> None:
    desc = xdffile.channels("ABCD", "uV") + (
        "<acquisition><uv_per_bit>0.5</uv_per_bit><range_uv>1000</range_uv>"
        "<simulated>1</simulated></acquisition>"
    )
    info = read(tmp_path, xdffile.start(), xdffile.header(3, desc=desc), signal(3)).info
    assert (info.uv_per_bit, info.range_uv, info.simulated) == (0.5, 1000.0, True)


def test_channels_of_other_types_only_when_asked_for(tmp_path: Path) -> None:
    desc = xdffile.channels(["TP9", "ACC_X", "TP10", "Bat"], "uV", ["EEG", "ACC", "EEG", "misc"])
    made = read(tmp_path, xdffile.start(), xdffile.header(3, desc=desc), signal(3))
    assert made.info.ch_names == ("TP9", "TP10")
    chosen = read_recording(tmp_path / "some.xdf", ChannelChoice(("Bat", "1")))
    assert chosen.info.ch_names == ("Bat", "TP9")


def test_which_stream_is_taken(tmp_path: Path) -> None:
    start = xdffile.start()
    first = xdffile.header(1, name="one") + signal(1)
    second = xdffile.header(2, name="two") + signal(2)
    other = xdffile.header(3, name="force", kind="Force") + signal(3)
    empty = xdffile.header(4, name="none")
    made = read(tmp_path, start, other, empty, first, second)
    assert made.data[0, 0] == 1.0
    assert made.info.notices[0].startswith("2 EEG streams (one, two); the first is used.")
    assert "3: one (EEG, float32, 256 Hz, 300 samples); 4: two (" in made.info.notices[0]
    assert made.info.notices[-1] == (
        "Left out: force (Force, float32, 256 Hz, 300 samples); "
        "none (EEG, float32, 256 Hz, 0 samples)."
    )
    assert read(tmp_path, start, first, second, stream="two").data[0, 0] == 2.0
    assert read(tmp_path, start, first, other, stream="force").data[0, 0] == 3.0
    made = read(tmp_path, start, other, empty)
    assert made.data[0, 0] == 3.0
    assert made.info.notices[0] == "No stream is of type EEG; force is used."
    with pytest.raises(BadRecording, match=r"named three, but found 1: one \(EEG, float32, 256 Hz"):
        read(tmp_path, start, first, stream="three")
    with pytest.raises(
        BadRecording, match=r"samples of EEG in .* found none of none, and no other"
    ):
        read(tmp_path, start, empty)


def test_what_is_no_signal(tmp_path: Path) -> None:
    start = xdffile.start()
    for rate in (0, float("inf")):
        with pytest.raises(BadRecording, match=r"rate in Muse .* too few .* Give it with sfreq="):
            read(tmp_path, start, xdffile.header(1, rate=rate), signal(1))
    two = [xdffile.header(n, name=f"force {n}", kind="Force") + signal(n) for n in (1, 2)]
    with pytest.raises(BadRecording, match=r"force 1 .*; 2: force 2"):
        read(tmp_path, start, *two)
    with pytest.raises(BadRecording, match="string"):
        read(tmp_path, start, xdffile.header(1, form="string", n_channels=1))


def test_a_stream_has_other_handles_than_its_name(tmp_path: Path) -> None:
    first = xdffile.header(1, source_id="Muse-1A2B", hostname="left") + signal(1)
    second = xdffile.header(2, source_id="Muse-3C4D", hostname="right") + signal(2)
    for handle, value in {"Muse-1A2B": 1.0, "right": 2.0, "Muse-3C4D": 2.0, "2": 2.0}.items():
        assert read(tmp_path, xdffile.start(), first, second, stream=handle).data[0, 0] == value
    notice = read(tmp_path, xdffile.start(), first, second).info.notices[0]
    assert "source_id Muse-1A2B" in notice
    assert "source_id Muse-3C4D" in notice
    with pytest.raises(BadRecording, match="named 3, but found"):
        read(tmp_path, xdffile.start(), first, second, stream="3")


@pytest.mark.parametrize("form", ["int16", "int32", "float32"])
@pytest.mark.parametrize("kind", ["Marker", "markers", "STIM", "Trigger", "Events"])
def test_a_marker_type_in_any_spelling(tmp_path: Path, kind: str, form: str) -> None:
    header = xdffile.header(2, name="codes", kind=kind, form=form, rate=0, n_channels=2)
    codes = xdffile.samples(2, [501.0], [[42, 7]], form)
    made = read(tmp_path, xdffile.start(), xdffile.header(1), signal(1), header, codes)
    assert [(m.index, m.label) for m in made.markers] == [(256, "42; 7")]


def test_single_irregular_integers_are_markers_and_other_streams_are_named(tmp_path: Path) -> None:
    codes = xdffile.header(2, name="box", kind="Button", form="int32", rate=0, n_channels=1)
    codes += xdffile.samples(2, [501.0], [[5]], "int32")
    level = xdffile.header(3, name="level", kind="Battery", rate=0, n_channels=1)
    level += xdffile.samples(3, [501.0], [[0.5]])
    made = read(tmp_path, xdffile.start(), xdffile.header(1), signal(1), codes, level)
    assert [marker.label for marker in made.markers] == ["5"]
    assert made.info.notices[-1] == "Left out: level (Battery, float32, 0 Hz, 1 samples)."


def test_a_stream_that_is_recorded_twice_gives_each_marker_once(tmp_path: Path) -> None:
    def task(number: int, times: int) -> bytes:
        header = xdffile.header(
            number, name="task", kind="Markers", form="string", rate=0, n_channels=1
        )
        return header + xdffile.texts(number, [501.0] * times, ["go"] * times)

    streams, other = [task(2, 2), task(3, 2)], task(4, 1)
    made = read(tmp_path, xdffile.start(), xdffile.header(1), signal(1), *streams, other)
    assert [marker.label for marker in made.markers] == ["go"] * 3
    assert "task is in the file twice: its markers are used once." in made.info.notices


def test_numbers_as_markers(tmp_path: Path) -> None:
    header = xdffile.header(2, name="codes", kind="Markers", form="int32", rate=0, n_channels=1)
    codes = xdffile.samples(2, [501.0], [[42]], "int32")
    made = read(tmp_path, xdffile.start(), xdffile.header(1), signal(1), header, codes)
    assert [(m.index, m.label, m.source) for m in made.markers] == [(256, "42", "codes")]


def test_cells_that_are_no_numbers_are_lost(tmp_path: Path) -> None:
    rows = [[float(k)] * 4 for k in range(300)]
    rows[100][2] = float("nan")
    rows[200][3] = float("inf")
    parts = xdffile.start(), xdffile.header(1), xdffile.samples(1, STAMPS[:300], rows)
    made = read(tmp_path, *parts)
    np.testing.assert_array_equal(made.index, np.delete(np.arange(300), [100, 200]))


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(4, len(WHOLE) - 1))
def test_a_file_cut_anywhere_gives_a_prefix_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    try:
        made = read(tmp_path_factory.mktemp("cut"), WHOLE[:cut])
    except BadRecording:
        assert cut < WHOLE.index(xdffile.BOUNDARY)
    else:
        assert made.n_times % 128 == 0
        np.testing.assert_array_equal(made.index, np.arange(made.n_times))
        np.testing.assert_array_equal(made.data[:, 0], np.arange(made.n_times))
        assert (
            extract_complete_chunks(WHOLE[:cut]).lost == 0
            or "cut off or damaged" in made.info.notices[0]
        )


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.integers(4, 4000), st.integers(0, 255), min_size=1, max_size=4))
def test_overwritten_bytes_never_ask_for_all_memory(
    tmp_path_factory: pytest.TempPathFactory, bytes_at: dict[int, int]
) -> None:
    content = bytearray(WHOLE)
    for at, byte in bytes_at.items():
        content[at] = byte
    try:
        made = read(tmp_path_factory.mktemp("over"), bytes(content))
    except BadRecording:
        pass  # its one line is the other way out
    else:
        assert 0 < made.n_times <= 1024


def test_after_damage_reading_goes_on_at_the_next_boundary(tmp_path: Path) -> None:
    content = bytearray(WHOLE)
    second = WHOLE.index(xdffile.BOUNDARY) + 16
    content[second + 11 : second + 16] = b"\x08\xff\xff\xff\x7f"  # two thousand million samples
    made = read(tmp_path, bytes(content))
    np.testing.assert_array_equal(made.index, np.delete(np.arange(1024), slice(128, 256)))
    np.testing.assert_array_equal(made.data[:, 0], made.index)
    assert made.info.notices[0].startswith("The file is cut off or damaged: ")
    assert len(made.markers) == 2


def test_whole_chunks_of_a_whole_file() -> None:
    whole = extract_complete_chunks(WHOLE)
    assert (whole.data, whole.lost, sorted(whole.headers)) == (WHOLE, 0, [1, 2])


def test_nonsense_in_a_whole_chunk(tmp_path: Path) -> None:
    strange = xdffile.chunk(6, b"\1\0\0\0<info><sample_count>many</sample_count></info>")
    offsets = [xdffile.offset(1, 500.0 + k, 0.0) for k in range(5)] + [xdffile.offset(1, 1e9, 1e9)]
    with pytest.raises(BadRecording, match="ValueError"):
        read(tmp_path, WHOLE, *offsets, strange)


def test_clock_resets(shared_data: Path) -> None:
    made = read_recording(shared_data / "formats" / "xdf" / "clock_resets.xdf")
    runs = list(made.chunks(10**6))
    # The recorder says 100 Hz, and samples came at 92.9: no loss but the reset's.
    assert [(chunk.first, chunk.n_times) for chunk in runs] == [(0, 12876), (40237, 14939)]
    for chunk in runs:
        rate = (chunk.n_times - 1) / (chunk.timestamps[-1] - chunk.timestamps[0])
        assert rate == pytest.approx(92.9, abs=0.5)
    assert runs[1].timestamps[0] - runs[0].timestamps[-1] == pytest.approx(273.6, abs=0.1)
    assert made.info.sfreq == 100.0
    assert len(made.markers) == 175


def test_minimal_and_empty_streams(shared_data: Path) -> None:
    folder = shared_data / "formats" / "xdf"
    made = read_recording(folder / "minimal.xdf")
    assert (made.info.sfreq, made.data.shape, len(made.markers)) == (10.0, (9, 3), 9)
    assert made.markers[1].label == "Hello"
    assert made.data[0].tolist() == [192.0, 255.0, 238.0]
    with pytest.raises(BadRecording, match="Data stream: test stream 0 counter"):
        read_recording(folder / "empty_streams.xdf")


def even(number: int, rate: float, n_times: int = 2560, start: float = 500.0) -> bytes:
    stamps = [start + k / rate for k in range(n_times)]
    return xdffile.samples(number, stamps, [[float(k % 99)] * 4 for k in range(n_times)])


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), 1.0])
def test_an_even_stream_of_eeg_may_declare_no_rate(tmp_path: Path, rate: float) -> None:
    made = read(tmp_path, xdffile.start(), xdffile.header(1, rate=rate), even(1, 256.0))
    assert (made.info.sfreq, made.n_times) == (256.0, 2560)
    assert "No rate is declared; the stamps give 256 Hz, which is used." in made.info.notices
    np.testing.assert_array_equal(made.index, np.arange(2560))


def test_the_stamps_decide_about_a_wrong_rate_unless_a_person_does(tmp_path: Path) -> None:
    parts = (xdffile.header(1, rate=256), even(1, 200.0), xdffile.header(2, name="T", rate=0))
    marks = xdffile.header(3, name="Tasks", kind="Markers", form="string", rate=0, n_channels=1)
    made = read(tmp_path, xdffile.start(), *parts, marks, xdffile.texts(3, [505.0], ["five"]))
    assert (made.info.sfreq, made.end) == (200.0, 2560)
    assert [(m.index, m.label) for m in made.markers] == [(1000, "five")]
    assert any("256 Hz, but the stamps give 200 Hz" in notice for notice in made.info.notices)
    given = read_recording(tmp_path / "some.xdf", options=ReadOptions(sfreq=256.0))
    assert (given.info.sfreq, given.end) == (256.0, 2560)
    assert [(m.index, m.label) for m in given.markers] == [(1000, "five")]
    assert given.timestamps[1000] == pytest.approx(500 + 1000 / 256)


@pytest.mark.parametrize("step", [200_000.0, -3600.0, -200_000.0, 7200.0])
def test_a_clock_that_jumps_loses_no_sample_and_no_marker(tmp_path: Path, step: float) -> None:
    stamps = [500_000 + k / 256 + (step if k >= 1280 else 0) for k in range(2560)]
    signal = xdffile.header(1) + xdffile.samples(1, stamps, [[0.0] * 4] * 2560)
    marks = xdffile.header(3, name="Tasks", kind="Markers", form="string", rate=0, n_channels=1)
    own = [(500_001.0, "before"), (500_008.0, "own clock"), (500_009.0 + step, "with it")]
    made = read(tmp_path, xdffile.start(), signal, marks, xdffile.texts(3, *zip(*own, strict=True)))
    np.testing.assert_array_equal(made.index, np.arange(2560))
    np.testing.assert_allclose(made.timestamps, 500_000 + np.arange(2560) / 256, atol=1e-3)
    assert [(m.index, m.label) for m in made.markers] == [
        (256, "before"),
        (2048, "own clock"),
        (2304, "with it"),
    ]
    assert f"jumps ({step:+.6g} s at sample 1280)" in made.info.notices[-1]


def test_which_channels_are_eeg(tmp_path: Path) -> None:
    labels = ["Timestamp", "AF3", "T7", "RawCq"]
    header = xdffile.header(1, desc=xdffile.channels(labels, "uV", ["EEG"] * 4))
    made = read(tmp_path, xdffile.start(), header, even(1, 256.0))
    assert made.info.ch_names == ("AF3", "T7")
    assert made.info.notices == ("Left out: Timestamp (MISC), RawCq (MISC).",)
    header = xdffile.header(1, desc=xdffile.channels(labels, "uV", ["ACC"] * 4))
    with pytest.raises(BadRecording, match=r"EEG channels, but found Timestamp \(ACC\), AF3"):
        read(tmp_path, xdffile.start(), header, even(1, 256.0))
    assert read_recording(tmp_path / "some.xdf", ChannelChoice(("T7",))).info.ch_names == ("T7",)


def test_streams_of_eeg_that_are_not_asked_for_are_named(tmp_path: Path) -> None:
    parts = [xdffile.header(n, name=f"head {n}") + even(n, 256.0) for n in (1, 2)]
    made = read(tmp_path, xdffile.start(), *parts, stream="head 2")
    assert made.info.notices[-1] == "Left out: head 1 (EEG, float32, 256 Hz, 2560 samples)."
