"""Length of a recording's signal from its file, as the reader finds it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.xdf.chunk_writer import FOOTER, STREAM_HEADER
from mimamba.service.recordings.file_facts import (
    LONGEST_HEADER,
    MARK,
    PART,
    has_feedback_log,
    signal_seconds,
    stream_labels,
)
from tests.drivers.formats.made import recording
from tests.service.recordings.test_recorder import Taped, chunk_of, chunks_of
from tests.service.scripted import staged


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that begins at sample 300, with a gap of 12 and one of 88 samples."""
    path = tmp_path_factory.mktemp("recorded") / "a.xdf"
    with staged(None) as stage:
        stage.play(*chunks_of(0, 300))
        tape = Taped(path, stage.session)
        stage.play(*chunks_of(300, 500), *chunks_of(512, 600), *chunks_of(688, 1024))
        tape.stop()
    return path


def test_lost_samples_are_counted(recorded: Path) -> None:
    assert signal_seconds(recorded.read_bytes()) == (1024 - 300) / 256


@given(share=st.floats(0, 1))
def test_a_file_that_is_cut_off_is_as_long_as_its_reader_finds(
    recorded: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    content = recorded.read_bytes()
    cut = content[: round(share * len(content))]
    seconds = signal_seconds(cut)
    if not seconds:
        return
    path = tmp_path_factory.mktemp("cut") / "cut.xdf"
    path.write_bytes(cut)
    assert seconds == read_recording(path).end / 256


def test_a_recording_without_a_sample_has_no_length(tmp_path: Path) -> None:
    with staged(None) as stage:
        stage.play(chunk_of(0, 10))
        tape = Taped(tmp_path / "a.xdf", stage.session)
        tape.stop()
        assert [ending.seconds for ending in tape.endings] == [0.0]
    assert signal_seconds((tmp_path / "a.xdf").read_bytes()) == 0.0


def test_a_file_of_another_program_has_none(tmp_path: Path) -> None:
    export(recording(), str(tmp_path / "a.xdf"))
    content = (tmp_path / "a.xdf").read_bytes()
    assert signal_seconds(content) == recording().end / recording().info.sfreq
    assert (
        signal_seconds(content.replace(b"<topic>signal</topic>", b"<topic>others</topic>")) is None
    )
    assert signal_seconds(b"") is None
    assert signal_seconds(b"XDF:") is None


def chunk(tag: int, text: bytes) -> bytes:
    return b"\x04" + struct.pack("<IHI", len(text) + 6, tag, 1) + text


def header(topic: str, label: str) -> bytes:
    channels = f"<channels><channel><label>{label}</label></channel></channels>"
    topics = f"<mimamba><topic>{topic}</topic></mimamba>"
    return f"<info><desc>{channels}{topics}</desc></info>".encode()


def test_labels_are_found_in_headers_alone_whatever_else_a_file_has(tmp_path: Path) -> None:
    """A megabyte of headers that begin and do not end took 20 minutes to search."""
    path, begins = tmp_path / "a.xdf", b"<info>" * (1 << 18)
    whole = [
        b"XDF:",
        chunk(STREAM_HEADER, begins),
        chunk(STREAM_HEADER, b""),
        chunk(STREAM_HEADER, header("bands", "TP9/alpha")),
        chunk(FOOTER, begins + header("bands", "footer")),
        chunk(STREAM_HEADER, header("bands", "AF7/alpha")),
        chunk(STREAM_HEADER, header("quality", "AF7/score") + b" " * LONGEST_HEADER),
    ]
    labels = {"bands": {"TP9/alpha", "AF7/alpha"}}
    path.write_bytes(b"".join(whole))
    assert stream_labels(path) == labels
    behind = chunk(STREAM_HEADER, header("sets", "behind"))
    for damage in (b"\x00", b"\x05", b"\x08" + b"\xff" * 8, b"\x04\x01\x00\x00\x00"):
        path.write_bytes(b"".join([*whole, damage, behind]))
        assert stream_labels(path) == labels
    for content in (b"", b"XDF:", begins):
        path.write_bytes(content)
        assert stream_labels(path) == {}
    assert stream_labels(tmp_path / "none.xdf") == {}


def test_a_log_of_feedback_is_found_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    for before in (0, PART - 1, PART - len(MARK) + 1, PART, 2 * PART - 5):
        path.write_bytes(b" " * before + MARK)
        assert has_feedback_log(path)
        path.write_bytes(b" " * before + MARK[:-1])
        assert not has_feedback_log(path)
    assert has_feedback_log(tmp_path / "none.xdf")  # it cannot be read
