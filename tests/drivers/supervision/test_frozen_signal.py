"""Samples that repeat to the last bit, in any chunks, and in a supervised link."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, LinkChange, StreamInfo
from mimamba.drivers.open import open_driver
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.drivers.supervision.device_connection import Timeouts
from mimamba.drivers.supervision.frozen_signal import FrozenSignalDetector
from mimamba.drivers.supervision.supervisor import Supervisor
from mimamba.drivers.timing.clock import local_clock

SFREQ = 100.0
INFO = StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9", "AF7"), uv_per_bit=0.5, range_uv=1000.0)
LEAST = 20
"""Repeats that are too many at 0.2 s."""


def found(data: NDArray[np.float32], cuts: list[int], info: StreamInfo = INFO) -> int | None:
    """The first chunk in which it says so, by the chunk's end."""
    stillness = FrozenSignalDetector(info, LEAST / SFREQ)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        if stillness.feed(data[start:stop]):
            return stop
    return None


def first_too_long(data: NDArray[np.float32]) -> int | None:
    """The same, told slowly: the end of the sample that is one repeat too many."""
    repeats = 0
    for n in range(1, len(data)):
        repeats = repeats + 1 if data[n].tobytes() == data[n - 1].tobytes() else 0
        if repeats >= LEAST:
            return n + 1
    return None


runs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=8)


@given(runs, st.lists(st.integers(0, 300)))
def test_any_chunks_say_the_same(script: list[tuple[int, int]], cuts: list[int]) -> None:
    values = np.concatenate([np.full(length, value) for value, length in script])
    data = np.stack([values, np.zeros(len(values))], axis=1).astype(np.float32)
    expected = first_too_long(data)
    told = found(data, cuts)
    assert found(data, list(range(len(data)))) == expected
    if expected is None:
        assert told is None
    else:
        edges = sorted({*(cut % (len(data) + 1) for cut in cuts), len(data)})
        assert told == next(edge for edge in edges if edge >= expected)


def still(n_times: int, *values: float) -> NDArray[np.float32]:
    return np.tile(np.array(values, np.float32), (n_times, 1))


def test_one_flat_electrode_is_none() -> None:
    data = still(200, 3.0, 0.0)
    data[:, 1] = np.random.default_rng(1).normal(size=200)
    assert found(data, []) is None
    data[:, 1] = 7.0
    assert found(data, []) == 200


def test_a_last_bit_is_enough() -> None:
    data = still(200, 3.0, 5.0)
    data[::15, 1] = np.nextafter(np.float32(5.0), np.float32(6.0))
    assert found(data, []) is None


def test_nan_is_no_excuse() -> None:
    assert found(still(200, np.nan, 5.0), []) == 200


def test_a_headset_off_the_head_is_no_lost_link() -> None:
    assert found(still(200, 999.5, -1000.0), []) is None
    assert found(still(200, 999.5, 12.0), []) == 200
    endless = StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9", "AF7"))
    assert found(still(200, 999.5, -1000.0), [], endless) == 200


def test_one_channel_alone_is_not_judged() -> None:
    single = StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9",))
    assert found(still(200, 3.0), [], single) is None


class Hanging:
    """A device that sends noise, and then one and the same sample for as long as it is asked."""

    info = INFO

    def __init__(self, noise: int) -> None:
        self.noise = noise
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        start, rng = local_clock(), np.random.default_rng(2)
        for first in range(0, 1000, 5):
            data = rng.normal(size=(5, 2)) if first < self.noise else still(5, 1.0, 2.0)
            index = first + np.arange(5)
            yield Chunk(data.astype(np.float32), start + index / SFREQ, first)
            if self.closed.wait(0.0005):
                return


def test_a_hanging_device_is_a_lost_link() -> None:
    changes: list[LinkChange] = []
    devices = iter([Hanging(100), Hanging(1000)])
    patience = Timeouts(frozen=0.2, backoff=0.01)
    ends: list[int] = []
    with Supervisor(lambda: next(devices), changes.append, patience) as driver:
        for chunk in driver:
            ends.append(chunk.end)
            if len(changes) == 4:
                break
    assert [change.state for change in changes] == ["connected", "lost", "retrying", "connected"]
    assert "the same sample" in changes[1].detail
    assert ends[-2] == 100 + LEAST + 5  # none after it was found


def test_a_board_with_noise_is_none() -> None:
    changes: list[LinkChange] = []
    connect = partial(open_driver, "brainflow://synthetic")
    with Supervisor(connect, changes.append, Timeouts(frozen=0.1)) as driver:
        for chunk in driver:
            if chunk.end > 0.7 * driver.info.sfreq:
                break
    assert [change.state for change in changes] == ["connected"]


@pytest.mark.parametrize("scenario", ["poor", "artefacts", "tour"])
def test_the_simulators_faults_are_none(scenario: str) -> None:
    info = open_driver(f"simulate://?scenario={scenario}").info
    samples = Synthesizer(scenario, 0, info.sfreq, 50.0).next(round(60 * info.sfreq))
    assert not FrozenSignalDetector(info, 0.1).feed(samples)
