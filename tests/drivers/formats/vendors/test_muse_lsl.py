from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadChannels, BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.url import parse_source

HEADER = "timestamps,TP9,AF7,AF8,TP10,Right AUX,Marker0"


def rows(n_times: int = 600, start: float = 1000.0) -> list[str]:
    return [
        f"{start + k / 256:.3f},{k}.5,-{k}.25,{k % 7}.000,{k % 11}.000,{k}.125,{int(k == 100)}"
        for k in range(n_times)
    ]


def write(path: Path, lines: list[str], header: str = HEADER, end: str = "\n") -> Path:
    file = path / "muse.csv"
    file.write_bytes((header + end + "".join(line + end for line in lines)).encode())
    return file


def choice(query: str) -> ChannelChoice:
    return ChannelChoice.from_url(parse_source(f"replay:///x?{query}"))


def read(path: Path, lines: list[str]) -> Recording:
    return read_recording(write(path, lines))


def test_a_whole_file(tmp_path: Path) -> None:
    file = write(tmp_path, rows())
    made = read_recording(file)
    assert made.info.name == "muse.csv"
    assert made.info.source_id == str(file)
    assert made.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert (made.info.sfreq, made.info.uv_per_bit, made.info.range_uv) == (256.0, 0.48828, 1000.0)
    assert (made.info.live, made.info.notices) == (False, ())
    assert made.data.dtype == np.float32
    assert made.data.flags.c_contiguous
    assert made.data[7].tolist() == [7.5, -7.25, 0.0, 7.0]
    np.testing.assert_array_equal(made.index, np.arange(600))
    np.testing.assert_allclose(made.timestamps, 1000 + np.arange(600) / 256, atol=1e-3)
    (marker,) = made.markers
    assert (marker.index, marker.label, marker.source) == (100, "1", "Marker0")
    assert marker.timestamp == made.timestamps[100]


def test_right_aux_only_when_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path, rows())
    made = read_recording(file, choice("channels=Right AUX,1&names=AUX,TP9"))
    assert made.info.ch_names == ("AUX", "TP9")
    assert made.data[3].tolist() == [3.125, 3.5]
    with pytest.raises(BadChannels, match="Marker0"):
        read_recording(file, choice("channels=Marker0"))


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_line_ends_and_byte_order_marks(tmp_path: Path, end: str, mark: str) -> None:
    file = write(tmp_path, rows(), mark + HEADER, end)
    made = read_recording(file)
    assert made.n_times == 600
    assert made.info.notices == ()
    assert made.markers[0].source == "Marker0"


def test_without_a_marker_column(tmp_path: Path) -> None:
    lines = [line.rpartition(",")[0] for line in rows()]
    made = read_recording(write(tmp_path, lines, HEADER.rpartition(",")[0]))
    assert (made.n_times, made.markers) == (600, ())


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(len(HEADER) + 200, 6000))
def test_a_file_cut_anywhere_keeps_its_whole_rows(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    file = write(tmp_path_factory.mktemp("cut"), rows())
    content = file.read_bytes()[:cut]
    file.write_bytes(content)
    made = read_recording(file)
    assert made.n_times == content.count(b"\n") - 1
    assert (made.info.notices != ()) == (not content.endswith(b"\n"))
    assert made.data[-1, 0] == made.n_times - 0.5


@pytest.mark.parametrize(
    "bad",
    [
        "1001.172,1,2",
        "5",
        "oops",
        "1001.172,1,2,3,4,5,6,7",
        "1001.172,x,2,3,4,5,0",
        "",
    ],
)
def test_a_malformed_row_counts_as_lost(tmp_path: Path, bad: str) -> None:
    lines = rows()
    lines[300] = bad or ",,,,,,"
    made = read(tmp_path, lines)
    np.testing.assert_array_equal(made.index, np.delete(np.arange(600), 300))
    assert "they count as lost" in made.info.notices[-1]
    if bad:
        assert made.info.notices[0] == "1 rows are malformed, line 302 first."


def test_an_empty_cell_loses_its_sample_and_no_other(tmp_path: Path) -> None:
    lines = rows()
    cells = lines[300].split(",")
    lines[300] = ",".join([*cells[:2], "", *cells[3:]])
    lines[400] = lines[400].rpartition(",")[0] + ","  # no marker is no loss
    made = read(tmp_path, lines)
    np.testing.assert_array_equal(made.index, np.delete(np.arange(600), 300))
    assert len(made.markers) == 1


def test_blank_lines_are_nothing(tmp_path: Path) -> None:
    lines = rows()
    assert read(tmp_path, [*lines[:300], "", *lines[300:], ""]).n_times == 600


def test_many_malformed_rows_are_refused(tmp_path: Path) -> None:
    lines = rows()
    lines[200:220] = ["#"] * 20
    with pytest.raises(BadRecording, match="20 of 600 malformed, line 202 first"):
        read(tmp_path, lines)


def test_words_in_place_of_numbers(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="malformed"):
        read(tmp_path, ["a,b,c,d,e,f,g"] * 300)
    with pytest.raises(BadRecording, match="not a number up to"):
        read(tmp_path, [",,,,,,"] * 300)
    with pytest.raises(BadRecording, match="no row of numbers"):
        read(tmp_path, [f"{k / 256},,,,,," for k in range(300)])


def test_muse_lsl_files_without_eeg(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="PPG1, PPG2"):
        read_recording(write(tmp_path, ["1,2,3"], "timestamps,PPG1,PPG2"))


def test_a_stream_cannot_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="Remove it"):
        read_recording(write(tmp_path, rows()), options=ReadOptions(stream="EEG"))


def test_a_cut_is_a_jump_of_the_index(tmp_path: Path) -> None:
    lines = rows()
    del lines[200:280]
    made = read(tmp_path, lines)
    assert [(chunk.first, chunk.n_times) for chunk in made.chunks(1000)] == [(0, 200), (280, 320)]


def test_a_repeated_row_is_left_out_and_a_repeated_stamp_stays(tmp_path: Path) -> None:
    lines = rows()
    stamp = lines[400].split(",")[0]
    lines[401] = stamp + lines[401][len(stamp) :]
    made = read(tmp_path, [*lines[:300], lines[299], *lines[300:]])
    assert made.n_times == 600
    assert made.info.notices == ("1 rows repeat the row before, timestamp included: left out.",)


@pytest.mark.parametrize(
    ("name", "n_times", "n_markers"),
    [
        ("biohack_p2_understanding_dup-timestamps.csv", 39847 - 31, 0),
        ("p300_subject2_data_2017-02-09-18.12.53.csv", 30732, 194),
        ("ssvep_subject1_data_2017-09-14-21.20.04.csv", 30732, 32),
    ],
)
def test_real_files(shared_data: Path, name: str, n_times: int, n_markers: int) -> None:
    path = shared_data / "formats" / "muselsl" / name
    made = read_recording(path)
    np.testing.assert_array_equal(made.index, np.arange(n_times))
    assert len(made.markers) == n_markers
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    for marker in made.markers[::10]:
        assert table[marker.index, -1] == float(marker.label)
    if n_times == len(table):
        np.testing.assert_array_equal(made.data, table[:, 1:5].astype(np.float32))


def test_the_file_with_repeats_tells_what_it_lost(shared_data: Path) -> None:
    folder = shared_data / "formats" / "muselsl"
    made = read_recording(folder / "biohack_p2_understanding_dup-timestamps.csv")
    assert made.info.notices == (
        "31 rows repeat the row before, timestamp included: left out.",
        "TP9: 14% of the samples are zeros, in place of lost packets.",
        "AF8: 9% of the samples are zeros, in place of lost packets.",
        "TP10: 4% of the samples are zeros, in place of lost packets.",
    )
    rate = (made.n_times - 1) / (made.timestamps[-1] - made.timestamps[0])
    assert rate == pytest.approx(256.0, abs=0.02)


@pytest.mark.parametrize("first", [0, 12, 300])
def test_a_marker_column_that_the_header_lacks(tmp_path: Path, first: int) -> None:
    lines = [line.rpartition(",")[0] for line in rows()]
    header = HEADER.rpartition(",")[0]
    plain = read_recording(write(tmp_path, lines, header))
    marked = [f"{line},{2 if n == 400 else 0}" for n, line in enumerate(lines)]
    found = read_recording(write(tmp_path, lines[:first] + marked[first:], header))
    np.testing.assert_array_equal(found.data, plain.data)
    assert [(marker.index, marker.label) for marker in found.markers] == [(400, "2")]
    assert f"From line {first + 2} on" in " ".join(found.info.notices)


def test_a_file_that_a_spreadsheet_has_saved_again(tmp_path: Path) -> None:
    expected = read_recording(write(tmp_path, rows()))
    lines = [line.replace(",", ";").replace(".", ",") for line in rows()]
    found = read_recording(write(tmp_path, lines, HEADER.replace(",", ";")))
    np.testing.assert_array_equal(found.data, expected.data)
    assert found.markers == expected.markers


@pytest.mark.parametrize("rate", [128.0, 220.0, 250.0])
def test_the_stamps_decide_about_the_rate(tmp_path: Path, rate: float) -> None:
    lines = [
        ",".join([f"{1000 + n / rate:.4f}", *line.split(",")[1:]])
        for n, line in enumerate(rows(5000))
    ]
    made = read(tmp_path, lines)
    assert (made.info.sfreq, made.end) == (rate, 5000)
    told = f"The declared rate is 256 Hz, but the stamps give {rate:g} Hz, which is used"
    assert made.info.notices[-1].startswith(told)
    assert (
        read_recording(tmp_path / "muse.csv", options=ReadOptions(sfreq=256.0)).info.sfreq == 256.0
    )


@pytest.mark.parametrize("per_second", [1e3, 1e6])
def test_stamps_in_another_unit(tmp_path: Path, per_second: float) -> None:
    lines = [
        ",".join([f"{(1.7e9 + n / 256) * per_second:.1f}", *line.split(",")[1:]])
        for n, line in enumerate(rows(3000))
    ]
    made = read(tmp_path, lines)
    assert (made.info.sfreq, made.end) == (256.0, 3000)
    np.testing.assert_allclose(made.timestamps, 1.7e9 + np.arange(3000) / 256, atol=1e-2)
    assert made.info.notices[-1].startswith("The stamps are read as mi")
