"""Length of a recording's signal from its file, as the reader finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording
from mimamba.service.recordings.file_facts import signal_seconds
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
