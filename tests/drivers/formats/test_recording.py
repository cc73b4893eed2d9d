from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.formats import read as read_module
from mimamba.drivers.formats.read import MAX_BYTES, ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording, make_recording, one_line
from mimamba.drivers.timing.file_timeline import timeline_from_stamps
from mimamba.drivers.url import parse_source
from tests.drivers.formats import files

INFO = StreamInfo("some.csv", "/some.csv", 256.0, ("A", "B"), live=False)


def recording(index: list[int], markers: tuple[Marker, ...] = ()) -> Recording:
    positions = np.array(index, dtype=np.int64)
    data = np.stack([positions, -positions], axis=1).astype(np.float32)
    return Recording(INFO, data, positions / 256, positions, markers)


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 20), st.sets(st.integers(0, 60)))
def test_chunks_hold_every_sample_and_marker_once(
    present: set[int], n_times: int, marked: set[int]
) -> None:
    index = sorted(present)
    markers = tuple(Marker(at / 256, at, "m", "s") for at in sorted(marked) if at <= index[-1])
    end = 0
    found: list[Marker] = []
    seen: list[int] = []
    for chunk in recording(index, markers).chunks(n_times):
        assert 1 <= chunk.n_times <= n_times
        assert chunk.first >= end
        for marker in chunk.markers:
            assert end <= marker.index < chunk.end
        np.testing.assert_array_equal(chunk.data[:, 0], np.arange(chunk.first, chunk.end))
        np.testing.assert_array_equal(chunk.timestamps, np.arange(chunk.first, chunk.end) / 256)
        end = chunk.end
        found.extend(chunk.markers)
        seen.extend(range(chunk.first, chunk.end))
    assert seen == index
    assert tuple(found) == markers


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 20), st.integers(0, 70))
def test_chunks_from_a_position_hold_what_is_at_or_after_it(
    present: set[int], n_times: int, start: int
) -> None:
    index = sorted(present)
    made = recording(index, tuple(Marker(at / 256, at, "m", "s") for at in index))
    chunks = list(made.chunks(n_times, start))
    after = [at for at in index if at >= start]
    assert [at for chunk in chunks for at in range(chunk.first, chunk.end)] == after
    assert [marker.index for chunk in chunks for marker in chunk.markers] == after
    assert made.end == index[-1] + 1


def test_chunks_break_only_at_gaps_and_at_full_length() -> None:
    chunks = recording([0, 1, 2, 3, 4, 8, 9]).chunks(3)
    assert [(chunk.first, chunk.n_times) for chunk in chunks] == [(0, 3), (3, 2), (8, 2)]


def test_rows_that_are_not_finite_count_as_lost() -> None:
    data = np.ones((10, 2))
    data[[0, 4], [0, 1]] = np.nan
    data[9] = 1e300  # no float32
    index = np.arange(10)
    markers = [Marker(0.0, 0, "early", "s"), Marker(4.0, 4, "inside", "s")]
    made = make_recording(INFO, data, np.arange(10.0), index, markers)
    assert made.index.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert made.timestamps.tolist() == [1, 2, 3, 5, 6, 7, 8]
    assert [marker.index for marker in made.markers] == [0, 3]
    assert made.data.dtype == np.float32
    assert made.info.notices == (
        "3 of 10 samples lack a number in some channel: they count as lost.",
    )


def test_a_channel_without_numbers_does_not_cost_the_others() -> None:
    data = np.ones((10, 2))
    data[2:, 1] = np.nan
    data[7, 0] = np.inf
    made = make_recording(INFO, data, np.arange(10.0), np.arange(10))
    assert made.info.ch_names == ("A",)
    assert made.data.shape == (9, 1)
    assert made.info.notices == (
        "Left out, because so many of the samples are no numbers: B (80%).",
        "1 of 10 samples lack a number in some channel: they count as lost.",
    )


@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_some_numbers_make_a_recording(n_channels: int, n_times: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = np.where(random.random((n_times, n_channels)) < random.random(), np.nan, 1.0)
    info = StreamInfo("x", "/x", 256.0, tuple(f"c{n}" for n in range(n_channels)), live=False)
    index = np.arange(n_times)
    if not np.isfinite(data).any():
        with pytest.raises(BadRecording, match="no row of numbers"):
            make_recording(info, data, index / 256, index)
        return
    made = make_recording(info, data, index / 256, index)
    assert np.isfinite(made.data).all()
    assert made.data.shape == (made.n_times, made.info.n_channels)
    whole = (np.isfinite(data).mean(axis=0) >= 0.5).all() and np.isfinite(data).all(axis=1).any()
    assert made.info.n_channels == n_channels or not whole


def test_no_number_at_all() -> None:
    with pytest.raises(BadRecording, match="no row of numbers"):
        make_recording(INFO, np.full((4, 2), np.nan), np.arange(4.0), np.arange(4))


def test_timestamps_in_milliseconds_are_refused() -> None:
    timestamps, index = timeline_from_stamps(np.arange(2000) * 1000 / 256, 256.0)
    with pytest.raises(BadRecording, match="timestamps in seconds"):
        make_recording(INFO, np.ones((2000, 2)), timestamps, index)


def test_an_outage_that_was_counted_is_believed_however_long() -> None:
    index = np.r_[np.arange(500), 10**6 + np.arange(500)]
    made = make_recording(INFO, np.ones((1000, 2)), index / 256, index, exact=True)
    np.testing.assert_array_equal(made.index, index)


def test_timeline_keeps_the_place_of_rows_without_a_stamp() -> None:
    stamps = 50 + np.arange(1000) / 256
    broken = stamps.copy()
    broken[[0, 1, 500]] = [np.nan, 1e300, np.inf]
    timestamps, index = timeline_from_stamps(broken, 256.0)
    np.testing.assert_array_equal(index, np.arange(1000))
    np.testing.assert_allclose(timestamps, stamps, atol=1e-6)
    with pytest.raises(BadRecording, match="not a number up to"):
        timeline_from_stamps(np.full(3, np.nan), 256.0)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "the empty file"),
        (bytes(range(256)) * 40, "binary data of no known format"),
        (b"Dear diary,\ntoday\n", "text of no known format"),
        (b"timestamps,TP9,AF7,AF8,TP10,Right AUX\n", "only a header"),
        (b"XDF:", "no stream"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "recording.xdf"  # the name does not matter
    path.write_bytes(content)
    with pytest.raises(BadRecording, match=found) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_content_names_the_known_formats(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    with pytest.raises(BadRecording, match=r"muse-lsl CSV, XDF"):
        read_recording(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="No such file"):
        read_recording(tmp_path / "absent.csv")
    with pytest.raises(BadRecording, match="the folder"):
        read_recording(tmp_path)
    with pytest.raises(BadRecording, match="null"):
        read_recording("a\0b")


def test_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = read_module._head

    def head_then_unlink(path: Path) -> bytes:
        found = head(path)
        path.unlink()
        return found

    monkeypatch.setattr(read_module, "_head", head_then_unlink)
    path = tmp_path / "some.csv"
    path.write_text("timestamps,TP9,AF7,AF8,TP10\n1,2,3,4,5\n")
    with pytest.raises(BadRecording, match="No such file"):
        read_recording(path)


def test_what_a_file_says_is_reported_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("timestamps,TP\x1b9,A\x00F7\n1,2,3\n")
    with pytest.raises(BadRecording, match="TP 9, A F7") as caught:
        read_recording(path)
    assert str(caught.value).isprintable()
    assert one_line(" a\nb\x1b[2J c ") == "a b [2J c"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadRecording, match="the device or pipe"):
        read_recording(tmp_path / "pipe")


def test_a_file_too_large_for_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.csv"
    with path.open("wb") as file:
        file.write(b"timestamps,TP9\n")
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadRecording, match="Split the file"):
        read_recording(path)


def test_a_rate_is_given_only_where_it_may_be_unsure(tmp_path: Path) -> None:
    path = files.own_csv(tmp_path, 500)
    with pytest.raises(BadRecording, match=r"for sfreq=, but found mimamba CSV .* Remove sfreq="):
        read_recording(path, options=ReadOptions(sfreq=250.0))
    with pytest.raises(BadSource, match="sfreq from 10 to 100000"):
        ReadOptions.from_url(parse_source(f"replay://{path}?sfreq=3"))
    options = ReadOptions.from_url(parse_source("replay://x?sfreq=250&stream=a&board=muse_2"))
    assert options == ReadOptions("a", "muse_2", 250.0)
    assert ReadOptions.from_url(parse_source("replay://x")) == ReadOptions()
