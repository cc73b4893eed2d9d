"""The XDF writer against pyxdf, and files that were cut off anywhere."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
import pyxdf
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.chunk_writer import StreamHeader, XDFWriter, encode_xml
from mimamba.drivers.formats.xdf.intact_chunks import leading_chunks
from mimamba.service.recordings.recovery import FileInUse, is_being_written, recover

EEG = StreamHeader(
    "Muse & <friends>",
    "EEG",
    "float32",
    256.0,
    "id",
    [{"label": name, "unit": "microvolts", "type": "EEG"} for name in ("TP9", "AF7")],
    {"acquisition": {"uv_per_bit": "0.5"}},
)
HOPS = StreamHeader("hops", "Predictions", "double64", 0.0, "id", [{"label": "a"}] * 3, {})
WORDS = StreamHeader("words", "Markers", "string", 0.0, "id", [{"label": "word"}], {})


def load(path: Path) -> list[dict[str, Any]]:
    """All streams, as pyxdf gives them without evening out."""
    streams: list[dict[str, Any]] = pyxdf.load_xdf(path, dejitter_timestamps=False)[0]
    return streams


def write(path: Path, seconds: int = 3, finish: bool = True) -> int:
    """A file of three streams, 10 flushes a second; returns the size of its headers."""
    writer = XDFWriter(path, {"datetime": "now"})
    eeg, hops, words = (writer.declare(header, 1.0) for header in (EEG, HOPS, WORDS))
    writer.flush()
    headers = path.stat().st_size
    rng = np.random.default_rng(0)
    for n in range(10 * seconds):
        stamps = 100 + n / 10 + np.arange(25) / 256
        writer.numbers(eeg, stamps, rng.normal(0, 20, (25, 2)))
        writer.numbers(hops, stamps[:1], np.array([[n, np.nan, -n]]))
        writer.texts(words, [(stamps[0], f"word {n} " + "long " * (n % 7) * 20)])
        if n % 5 == 0:
            writer.clock_offsets(stamps[0])
            writer.boundary()
        writer.flush()
    if finish:
        writer.finish()
    writer.close()
    return headers


def test_pyxdf_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    write(path)
    eeg, hops, words = load(path)
    assert eeg["info"]["name"] == ["Muse & <friends>"]
    labels = [each["label"][0] for each in eeg["info"]["desc"][0]["channels"][0]["channel"]]
    assert labels == ["TP9", "AF7"]
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.normal(0, 20, (25, 2)).astype(np.float32) for _ in range(30)])
    np.testing.assert_array_equal(eeg["time_series"], data)
    np.testing.assert_array_equal(eeg["time_stamps"][:25], 100 + np.arange(25) / 256)
    assert hops["time_series"].dtype == np.float64
    np.testing.assert_array_equal(hops["time_series"][7], [7, np.nan, -7])
    assert words["time_series"][6][0] == "word 6 " + "long " * 120
    for stream, count in ((eeg, 750), (hops, 30), (words, 30)):
        footer = stream["footer"]["info"]
        assert int(footer["sample_count"][0]) == count
        assert float(footer["first_timestamp"][0]) == stream["time_stamps"][0]
        assert float(footer["last_timestamp"][0]) == stream["time_stamps"][-1]


@given(st.lists(st.text(max_size=300), min_size=1, max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    writer = XDFWriter(path, {})
    stream = writer.declare(WORDS, 0.0)
    writer.texts(stream, [(float(n), text) for n, text in enumerate(texts)])
    writer.finish()
    writer.close()
    expected = [[text.encode(errors="replace").decode()] for text in texts]
    assert load(path)[0]["time_series"] == expected


@given(st.text())
def test_any_name_gives_xml(name: str) -> None:
    read = fromstring(encode_xml("info", {"name": name})).findtext("name") or ""
    kept = [c for c in name if c.isprintable()]
    assert [c for c in read if c.isprintable() and c != "\ufffd"] == [
        c for c in kept if c != "\ufffd"
    ]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.xdf").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        XDFWriter(tmp_path / "a.xdf", {})
    assert (tmp_path / "a.xdf").read_bytes() == b"mine"


def assert_prefix(cut: dict[str, Any], whole: dict[str, Any]) -> None:
    n = len(cut["time_stamps"])
    np.testing.assert_array_equal(cut["time_stamps"], whole["time_stamps"][:n])
    np.testing.assert_array_equal(cut["time_series"], whole["time_series"][:n])
    assert int(cut["footer"]["info"]["sample_count"][0]) == n


def check_cut(whole: list[dict[str, Any]], path: Path, content: bytes) -> None:
    """Cut, recover, and load: an exact prefix that lacks at most the chunks of one flush."""
    path.write_bytes(content)
    before = sum(1 for _ in leading_chunks(content))
    recover(path)
    recovered = path.read_bytes()
    streams = load(path)
    assert len(streams) == 3
    for cut, all_of_it in zip(streams, whole, strict=True):
        assert_prefix(cut, all_of_it)
    eeg = streams[0]["time_stamps"]
    assert len(eeg) >= 25 * (content.count(b"word ") - 1)  # the words come after the signal
    assert sum(1 for _ in leading_chunks(recovered)) >= before
    assert recover(path).whole
    assert path.read_bytes() == recovered


def test_cut_anywhere_a_file_is_recovered_to_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "whole.xdf"
    headers = write(path, seconds=1)
    content, whole = path.read_bytes(), load(path)
    rng = random.Random(0)
    ends = [headers, len(content) - 1, *(rng.randrange(headers, len(content)) for _ in range(100))]
    for end in ends:
        check_cut(whole, tmp_path / "cut.xdf", content[:end])


def test_a_tail_that_never_reached_the_disk_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    write(path)
    content, whole = path.read_bytes(), load(path)
    half = len(content) // 2
    for tail in (bytes(5000), b"\xff" * 5000, random.Random(1).randbytes(5000)):
        check_cut(whole, tmp_path / "cut.xdf", content[:half] + tail)


def test_a_whole_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    write(path)
    content = path.read_bytes()
    assert recover(path).whole
    assert path.read_bytes() == content


def test_what_lies_behind_damage_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    write(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(BadRecording, match="Leave it unchanged"):
        recover(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"XDF:"),
        lambda path: path.write_bytes(b"timestamps,TP9\n1,2\n"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
    ],
)
def test_what_cannot_be_recovered(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "a.xdf"
    make(path)
    with pytest.raises(BadRecording) as caught:
        recover(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    writer = XDFWriter(path, {})
    writer.declare(EEG, 0.0)
    writer.flush()
    assert is_being_written(path)
    with pytest.raises(FileInUse):
        recover(path)
    writer.close()
    assert not is_being_written(path)
    assert not recover(path).whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load(path)) == 1
