"""``mimamba replay`` and ``mimamba simulate`` as other programs and people meet them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from signal import SIGINT
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.open import open_recording
from mimamba.drivers.replay.driver import MAX_DELAY
from tests.service.cli.test_main import invoke
from tests.service.forked import LoadedProgram
from tests.service.muse_recordings import write_muse

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

EVENTUALLY = 60.0


def connect(name: str) -> Any:
    (info,) = pylsl.resolve_byprop("name", name, 1, EVENTUALLY)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(EVENTUALLY)
    return inlet


def read(inlet: Any, n_times: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Samples until there are so many, or the stream ends."""
    rows: list[list[float]] = []
    stamps: list[float] = []
    until = time.monotonic() + EVENTUALLY
    with suppress(pylsl.util.LostError):
        while len(rows) < n_times and time.monotonic() < until:
            more, times = inlet.pull_chunk(0.05)
            rows += more
            stamps += times
    return np.array(rows, np.float32), np.array(stamps)


def test_a_recording_is_played_with_its_gaps_and_repeated(
    tmp_path: Path, loaded: LoadedProgram
) -> None:
    path = write_muse(tmp_path / "a [b] 100%.csv", seconds=8, broken=True)
    name = f"replay {uuid4()}"
    arguments = ["--to", "lsl", "--speed", "4", "--loop", "--name", name]
    with loaded.start("replay", str(path), *arguments) as process:
        inlet = connect(name)
        assert inlet.info().nominal_srate() == 1024
        data, stamps = read(inlet, 4000)
        process.send_signal(SIGINT)
        _, said = process.communicate(timeout=EVENTUALLY)
    assert process.returncode == 130
    assert name in said
    assert "Everyone on this network" in said
    recording = open_recording(str(path))
    period = float(recording.timestamps[-1] - recording.timestamps[0]) + 1 / 256
    there = np.concatenate([recording.data] * 4)
    times = np.concatenate([recording.timestamps + n * period for n in range(4)]) / 4
    (starts,) = np.nonzero((recording.data == data[0]).all(axis=1))
    rows = slice(int(starts[0]), int(starts[0]) + len(data))
    np.testing.assert_array_equal(data, there[rows])
    steps, expected = np.diff(stamps), np.diff(times[rows])
    held_up = steps > expected + MAX_DELAY - 1e-3  # all that follows is played later then
    np.testing.assert_allclose(steps[~held_up], expected[~held_up], atol=1e-6)


def test_a_recording_ends_by_itself(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=1)
    ended = invoke("replay", str(path), "--to", "lsl")
    assert ended.exit_code == 0, ended.stderr


def test_a_simulated_headset_runs_until_it_is_interrupted(loaded: LoadedProgram) -> None:
    name = f"simulate {uuid4()}"
    arguments = ["--scenario", "calm", "--seed", "5", "--name", name]
    with loaded.start("simulate", "--to", "lsl", *arguments) as process:
        inlet = connect(name)
        data, stamps = read(inlet, 256)
        assert np.isfinite(data).all()
        np.testing.assert_allclose(np.diff(stamps), 1 / 256, atol=1e-6)
        assert pylsl.resolve_byprop("name", f"{name} markers", 1, EVENTUALLY)
        process.send_signal(SIGINT)
        _, said = process.communicate(timeout=EVENTUALLY)
    assert process.returncode == 130
    assert "not come from a brain" in said
    assert "Traceback" not in said


def test_a_mistake_is_one_line() -> None:
    ended = invoke("simulate", "--to", "lsl", "--scenario", "panic")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("mimamba: Expected ")
    assert ended.stderr.count("\n") == 1
