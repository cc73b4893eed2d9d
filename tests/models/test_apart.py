"""The stepper apart: as the one here, whatever comes; its process ends with us, and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.apart import ApartStepper
from models.frames import HEAD, LONGEST, Batch, Kind, Pipes, frame, rows_frame
from models.processor import BLOCK
from models.stepper import ProcessorStepper
from models.stepping import serve
from models.worker import ApartFailed
from tests.models.test_network import SMALL, make

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import os, signal
from models.worker import Worker
worker = Worker()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[ApartStepper]:
    """Prepared once, since that takes seconds; each test opens rows of its own."""
    stepper = ApartStepper(make(dtype=torch.float32))
    stepper.prepare()
    yield stepper
    stepper.close()


def windows(rng: np.random.Generator, count: int) -> list[NDArray[np.float32]]:
    shape = count, SMALL.n_channels, SMALL.n_times
    return list(rng.normal(0, 5, shape).cumsum(axis=-1).astype(np.float32))


def test_it_steps_as_the_stepper_here(shared: ApartStepper) -> None:
    """Streams come and go, more than the first rows; some forget, some are no number for a time."""
    rng, here = np.random.default_rng(0), ProcessorStepper(make(dtype=torch.float32))
    streams: list[tuple[int, int]] = []
    broken: set[tuple[int, int]] = set()
    for _ in range(60):
        while len(streams) > 60 or (streams and rng.random() < 0.4):
            gone = streams.pop(rng.integers(len(streams)))
            shared.pool.close(gone[0])
            here.pool.close(gone[1])
            broken.discard(gone)
        streams += [(shared.pool.open(), here.pool.open()) for _ in range(rng.integers(1, 9))]
        count = int(rng.integers(1, 1 + min(BLOCK, len(streams))))
        batch = [streams[at] for at in rng.permutation(len(streams))[:count]]
        gates = [0.0 if each in broken else rng.choice([0.0, 0.5, 1.0]) for each in batch]
        given = windows(rng, count)
        if rng.random() < 0.3:
            given[0][1, 5] = np.nan
        found = shared.step([mine for mine, _ in batch], given, gates)
        expected = here.step([other for _, other in batch], given, gates)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, equal_nan=True)
        sound = found.isfinite().all(dim=1).tolist()
        broken |= {each for each, ok in zip(batch, sound, strict=True) if not ok}
        broken -= {each for each, ok in zip(batch, sound, strict=True) if ok}
    assert max(mine for mine, _ in streams) > 16
    for mine, other in streams:
        found_states, states = shared.pool.row(mine), here.pool.row(other)
        torch.testing.assert_close(found_states, states, rtol=0, atol=1e-6, equal_nan=True)
        shared.pool.close(mine)


def test_it_takes_over_the_streams_of_another_pool(shared: ApartStepper) -> None:
    rng, here = np.random.default_rng(1), ProcessorStepper(make(dtype=torch.float32))
    rows = [here.pool.open() for _ in range(BLOCK + 7)]
    for at in range(0, len(rows), BLOCK):
        some = rows[at : at + BLOCK]
        here.step(some, windows(rng, len(some)), [1.0] * len(some))
    here.pool.close(gone := rows.pop(20))
    shared.pool.take_over(here.pool)
    assert shared.pool.open() == gone
    assert not any(t.any() for t in shared.pool.row(gone))
    assert shared.pool.open() == max(rows) + 1
    for row in rows:
        assert shared.pool.row(row).h.any()
        torch.testing.assert_close(shared.pool.row(row), here.pool.row(row), rtol=0, atol=0)
    batch = rows[-BLOCK:]
    given = windows(rng, BLOCK)
    found, expected = (each.step(batch, given, [0.9] * BLOCK) for each in (shared, here))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (frame(Kind.STEP, 2, b"\0" * 12), "bytes for 2 hops; found 12"),
        (frame(Kind.STEP, 0), "wanted rows"),
        (rows_frame(Kind.SNAPSHOT, [3, 3]), "each once"),
        (rows_frame(Kind.SNAPSHOT, [1 << 30]), "wanted rows between"),
        (rows_frame(Kind.SNAPSHOT, [0]), "wanted rows between"),
        (frame(Kind.SNAPSHOT, 9, b"\0" * 8), "wanted 9 rows"),
        (rows_frame(Kind.RESTORE, [1], b"no states"), "found damage"),
        (frame(Kind.NETWORK), "found kind 1"),
    ],
    ids=range(8),
)
def test_what_is_no_request_is_refused_and_harms_nothing(
    shared: ApartStepper, request_: bytes, reason: str
) -> None:
    row = shared.pool.open()
    given = windows(np.random.default_rng(2), 1)
    expected = shared.step([row], given, [1.0])
    with pytest.raises(ApartFailed, match=reason):
        shared.worker.ask(request_)
    torch.testing.assert_close(shared.step([row], given, [0.0]), expected, rtol=0, atol=1e-6)
    shared.pool.close(row)


def test_a_batch_knows_its_length() -> None:
    body = memoryview(bytearray(3 * (8 + 4 * 4 * 64)))
    batch = Batch.within(body, 3, SMALL)
    batch.rows[:], batch.gates[:], batch.windows[:] = [1, 2, 3], 0.5, 7.0
    again = Batch.within(memoryview(bytes(body)), 3, SMALL)
    assert again.rows.tolist() == [1, 2, 3]
    assert (again.gates == 0.5).all()
    assert (again.windows == 7.0).all()
    with pytest.raises(ValueError, match="hops; found"):
        Batch.within(body, 2, SMALL)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (frame(Kind.NETWORK, 2, b"{}", b"no weights"), "found damage"),
        (frame(Kind.NETWORK, 9, b"no config", b""), "found damage"),
        (frame(Kind.STEP), "wanted a network first"),
        (HEAD.pack(LONGEST + 1, Kind.NETWORK, 0), "wanted a frame of at most"),
        (frame(Kind.NETWORK) + b"more", "wanted one frame"),
        (b"", "wanted a network first"),
    ],
    ids=range(6),
)
def test_who_does_not_begin_with_a_network_is_told_so(given: bytes, reason: str) -> None:
    (asked, asking), (answers, answering) = os.pipe(), os.pipe()
    os.write(asking, given)
    os.close(asking)
    with FileIO(asked) as reader, FileIO(answering, "w") as writer, pytest.raises(SystemExit):
        serve(Pipes(reader, writer))
    with FileIO(answers) as heard:
        answer = heard.read()
    assert HEAD.unpack_from(answer) == (len(answer) - HEAD.size, Kind.REFUSED, 0)
    assert reason in answer[HEAD.size :].decode()


def test_one_that_is_killed_says_so_and_leaves_nothing() -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    stepper = ApartStepper(make(dtype=torch.float32))
    os.kill(stepper.worker.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(ApartFailed, match="has ended: exit status -9"):
            stepper.prepare()
    stepper.close()
    with pytest.raises(ApartFailed, match="has ended"):
        stepper.step([1], windows(np.random.default_rng(0), 1), [0.0])
    stepper.close()
    with pytest.raises(ProcessLookupError):  # no zombie
        os.kill(stepper.worker.pid, 0)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_it_ends_when_its_parent_is_killed() -> None:
    told = subprocess.run(  # which lasts until both have closed their standard error
        [sys.executable, "-c", PARENT], capture_output=True, cwd=ROOT, check=False, timeout=110
    )
    assert told.returncode == -signal.SIGKILL
