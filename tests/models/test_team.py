"""Processes side by side: as the stepper here, however many; rows move unnoticed; one that ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.apart import ApartStepper
from models.frames import MOST_HOPS
from models.processor import BLOCK
from models.stepper import ProcessorStepper
from models.team import MOVED, Team
from models.worker import ApartFailed
from tests.models.test_apart import windows
from tests.models.test_network import make

MOST = 3
NETWORK = make(dtype=torch.float32)


@pytest.fixture(scope="module")
def members() -> Iterator[list[ApartStepper]]:
    """Prepared once, since that takes seconds; each test closes the rows that it opened."""
    steppers = [ApartStepper(NETWORK) for _ in range(MOST)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(ApartStepper.prepare, steppers))
    yield steppers
    for stepper in steppers:
        stepper.close()


class Pair:
    """A team and the stepper here, with the same streams."""

    def __init__(self, members: list[ApartStepper], seed: int) -> None:
        self.members, self.rng = members, np.random.default_rng(seed)
        self.team, self.here = Team(members[0]), ProcessorStepper(NETWORK, MOST_HOPS)
        self.streams: list[tuple[int, int]] = []

    def open(self, count: int) -> None:
        self.streams += [(self.team.pool.open(), self.here.pool.open()) for _ in range(count)]

    def close(self, count: int) -> None:
        for _ in range(count):
            mine, other = self.streams.pop(self.rng.integers(len(self.streams)))
            self.team.pool.close(mine)
            self.here.pool.close(other)

    def step(self, count: int) -> None:
        """One hop of so many streams, whatever order; both must say the same."""
        batch = [self.streams[at] for at in self.rng.permutation(len(self.streams))[:count]]
        given = windows(self.rng, count)
        gates = self.rng.choice([0.0, 0.5, 1.0], count).tolist()
        found = self.team.step([mine for mine, _ in batch], given, gates)
        expected = self.here.step([other for _, other in batch], given, gates)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def check_states(self) -> None:
        for mine, other in self.streams:
            found, expected = self.team.pool.row(mine), self.here.pool.row(other)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)

    def counts(self) -> list[int]:
        return [len(each.pool.taken()) for each in self.members]


@settings(max_examples=8)
@given(st.integers(0, 1 << 32), st.integers(1, MOST))
def test_however_many_processes_say_what_one_says(
    members: list[ApartStepper], seed: int, n: int
) -> None:
    """Streams come and go, and so do processes come, in the midst of it."""
    pair = Pair(members[:n], seed)
    rng, joined = pair.rng, 1
    for _ in range(20):
        pair.open(int(rng.integers(1, 24)))
        if len(pair.streams) > 100 or rng.random() < 0.4:
            pair.close(int(rng.integers(len(pair.streams))))
        if joined < n and rng.random() < 0.2:
            pair.team.add(members[joined])
            joined += 1
        pair.step(int(rng.integers(1, 1 + min(len(pair.streams), pair.team.largest))))
        assert sum(pair.counts()) == len(pair.streams)
    pair.check_states()
    pair.close(len(pair.streams))
    assert pair.counts() == [0] * n


def test_one_that_comes_is_given_its_share_of_streams(members: list[ApartStepper]) -> None:
    """A few before each batch; those that were never stepped, too; who is closed is not missed."""
    pair = Pair(members, 1)
    pair.open(150)
    for _ in range(4):
        pair.step(BLOCK)
    pair.team.add(members[1])
    assert pair.counts() == [150, 0, 0]
    pair.step(8)
    assert pair.counts() == [150 - MOVED, MOVED, 0]
    pair.close(30)
    pair.open(20)
    pair.team.add(members[2])
    for _ in range(20):
        pair.step(30)
    assert sum(pair.counts()) == len(pair.streams) == 140
    assert max(pair.counts()) - min(pair.counts()) <= MOVED
    pair.check_states()
    pair.open(40)  # to who has fewest
    assert max(pair.counts()) - min(pair.counts()) <= 1
    pair.close(180)
    assert pair.counts() == [0, 0, 0]


def test_streams_come_and_go_while_others_move(members: list[ApartStepper]) -> None:
    pair = Pair(members, 5)
    pair.open(120)
    pair.step(BLOCK)
    for member in members[1:]:
        pair.team.add(member)
    begun, over = threading.Barrier(4, timeout=60), threading.Event()

    def come_and_go() -> int:
        seen = 0
        begun.wait()
        while not (seen and over.is_set()):
            rows = [pair.team.pool.open() for _ in range(9)]
            seen += len(set(rows))
            for row in rows:
                pair.team.pool.close(row)
            time.sleep(0.001)
        return seen

    with ThreadPoolExecutor() as threads:
        visits = [threads.submit(come_and_go) for _ in range(3)]
        try:
            begun.wait()
            for _ in range(12):
                pair.step(20)
        finally:
            over.set()
    assert all(each.result() > 0 and each.result() % 9 == 0 for each in visits)
    assert min(pair.counts()) > 0
    assert sum(pair.counts()) == 120
    pair.check_states()
    pair.close(120)
    assert pair.counts() == [0, 0, 0]


def test_a_whole_batch_may_be_one_processs(members: list[ApartStepper]) -> None:
    pair = Pair(members, 2)
    pair.open(5 * BLOCK)
    for member in members[1:]:
        pair.team.add(member)
    assert pair.team.largest == 3 * BLOCK
    pair.step(pair.team.largest)
    assert min(pair.counts()) == 0
    pair.close(5 * BLOCK)


def test_it_goes_on_with_the_streams_of_the_first(members: list[ApartStepper]) -> None:
    """In the rows that they have there."""
    rng, first = np.random.default_rng(3), members[0]
    rows = [first.pool.open() for _ in range(3)]
    first.pool.close(rows.pop(1))
    given = windows(rng, 2)
    first.step(rows, given, [0.0, 0.0])
    before = [first.pool.row(row) for row in rows]
    team = Team(first)
    team.add(members[1])
    for row, states in zip(rows, before, strict=True):
        torch.testing.assert_close(team.pool.row(row), states, rtol=0, atol=0)
    late = [team.pool.open() for _ in range(3)]
    assert len({*late, *rows}) == 5
    assert not any(team.pool.row(row).h.any() for row in late)
    for row in (*late, *rows):
        team.pool.close(row)
    assert not first.pool.taken()


def test_where_one_ends_the_others_answers_are_not_mixed_up() -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    first, second = ApartStepper(NETWORK), ApartStepper(NETWORK)
    for stepper in (first, second):
        stepper.prepare()
    team = Team(first)
    team.add(second)
    rows = [team.pool.open() for _ in range(6)]
    given = windows(np.random.default_rng(4), 6)
    for _ in range(2):
        team.step(rows, given, [0.9] * 6)
    os.kill(first.worker.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(ApartFailed, match="has ended: exit status -9"):
            team.step(rows, given, [0.9] * 6)
    here = ProcessorStepper(NETWORK)
    row = here.pool.open()
    for gate in (0.0, 0.9, 0.9, 0.9):  # the other one has stepped each time
        here.step([row], given[1:2], [gate])
    torch.testing.assert_close(team.pool.row(rows[1]), here.pool.row(row), rtol=0, atol=1e-6)
    team.close()
    for stepper in (first, second):
        with pytest.raises(ProcessLookupError):  # no zombie
            os.kill(stepper.worker.pid, 0)
    assert len(list(Path("/dev/fd").iterdir())) == before
