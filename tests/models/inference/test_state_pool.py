"""The pool: rows come and go without touching others; a step touches its own alone."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.models.inference.cpu.network import MAX_BATCH
from mimamba.models.inference.state_pool import EMPTY_ROW, FIRST_ROWS, StatePool
from mimamba.models.inference.stepper import CPUStepper
from tests.models.network.test_msimamba import SMALL, close, eeg, make


def fresh() -> CPUStepper:
    return CPUStepper(make(dtype=torch.float32))


@given(st.lists(st.integers(0, 40), max_size=60))
@settings(max_examples=25)
def test_rows_are_one_stream_s_alone(choices: list[int]) -> None:
    """Opened, marked, closed at random, the pool growing meanwhile."""
    pool = StatePool(make(dtype=torch.float32), rows=3)
    held: dict[int, tuple[int, int]] = {}
    for mark, choice in enumerate(choices, start=1):
        if choice in held:
            row = held.pop(choice)[0]
            pool.close(row)
            continue
        row = pool.open()
        assert row > EMPTY_ROW
        assert row not in [other for other, _ in held.values()]
        assert not pool.h[:, row].any()
        assert not pool.history[:, row].any()
        pool.h[:, row] = pool.history[:, row] = float(mark)
        held[choice] = (row, mark)
    for row, mark in held.values():
        assert (pool.h[:, row] == mark).all()
        assert (pool.history[:, row] == mark).all()
    assert not pool.h[:, 0].any()


def test_ten_thousand_streams_one_after_the_other_leak_no_row() -> None:
    pool = fresh().pool
    rows = set()
    for _ in range(10_000):
        rows.add(pool.open())
        pool.close(max(rows))
    assert len(rows) == 1
    assert pool.h.shape[1] == FIRST_ROWS


def test_a_reset_forgets_one_row() -> None:
    pool = fresh().pool
    first, second = pool.open(), pool.open()
    pool.h[:, [first, second]] = pool.history[:, [first, second]] = torch.nan
    pool.reset(first)
    assert not any(t.any() for t in pool.read(first))
    assert all(t.isnan().all() for t in pool.read(second))


def test_a_step_touches_its_rows_alone() -> None:
    """Rows in any order, gates of 0 over NaN, full batches and single hops."""
    network = make(SMALL, torch.float32)
    stepper = CPUStepper(network)
    rows = [stepper.pool.open() for _ in range(MAX_BATCH + 3)]
    mates, idle = rows[::-1][:MAX_BATCH], rows[:3]
    stepper.pool.h[:, rows], stepper.pool.history[:, rows] = 0.1, 0.2
    stepper.pool.h[:, mates[5]] = torch.nan
    gates = np.linspace(0.2, 1.0, MAX_BATCH).tolist()
    gates[5] = 0.0
    x = eeg(MAX_BATCH, 4, 64, dtype=torch.float32)
    before = stepper.pool.states
    states = type(before)(*(t[:, mates].clone() for t in before))
    logits = stepper.step(mates, list(x.numpy()), gates)
    expected, after = network.step(x, torch.tensor(gates, dtype=torch.float32), states)
    close(logits, expected)
    close(stepper.pool.states.h[:, mates], after.h)
    close(stepper.pool.states.conv[:, mates], after.conv)
    assert (stepper.pool.h[:, idle] == 0.1).all()
    assert not stepper.pool.h[:, 0].any()
    one = stepper.step([mates[5]], [x[5].numpy()], [0.0])
    close(one[0], network(x[5:6])[0])
