"""Connections that stall, and twins of which only one sends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, LinkChange
from mimamba.drivers.lsl.inlet import BUFFER_SECONDS
from mimamba.drivers.open import open_driver, open_source
from mimamba.drivers.timing.clock import local_clock
from tests.drivers.lsl.senders import RealTimeSender
from tests.drivers.lsl.test_driver import EVENTUALLY, Sender, sending

pytest.importorskip("pylsl", exc_type=ImportError)


@pytest.mark.skipif(sys.platform == "win32", reason="a process is stopped by a signal of Unix")
def test_a_stall_costs_no_sample_and_no_connection() -> None:
    changes: list[LinkChange] = []
    with RealTimeSender() as sender, open_source(sender.url, changes.append) as driver:
        chunks: list[Chunk] = []
        for chunk in driver:
            chunks.append(chunk)
            if len(changes) == 1 and chunk.end > 300:
                sender.stop()
                threading.Timer(4.0, sender.go_on).start()
                stalled = chunk.end
                break
        for chunk in driver:
            chunks.append(chunk)
            if len(changes) >= 3 and chunk.end > stalled + 1500:
                break
    assert [change.state for change in changes] == ["connected", "lost", "connected"]
    assert "no sample within 2 s" in changes[1].detail
    sent = np.concatenate([chunk.data[:, 0] for chunk in chunks])
    np.testing.assert_array_equal(sent, sent[0] + np.arange(len(sent)))
    index = np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])
    np.testing.assert_array_equal(index, np.arange(len(index)))
    times = np.concatenate([chunk.timestamps for chunk in chunks])
    np.testing.assert_allclose(np.diff(times), 1 / 250, atol=1e-3)  # their own times


def test_the_buffer_is_as_long_as_that_of_a_recorder() -> None:
    assert BUFFER_SECONDS == 360


@pytest.fixture
def twins() -> Iterator[str]:
    """The source_id of two streams with the same facts, of which one never sends."""
    name, source_id = f"twin {uuid4()}", str(uuid4())
    with (
        Sender(name=name, source_id=source_id),
        RealTimeSender(name=name, source_id=source_id),
        Sender(name=name, source_id=source_id),
    ):
        yield source_id


def test_of_twins_the_one_that_sends_is_taken(twins: str) -> None:
    for _ in range(2):
        with open_driver(f"lsl://?source_id={twins}&timeout={EVENTUALLY:g}") as driver:
            chunk = next(iter(driver))
            assert len(np.unique(chunk.data[:, 0])) == chunk.n_times
    with open_driver(f"lsl://?stream={twins}&timeout={EVENTUALLY:g}") as driver:
        (notice,) = driver.info.notices
        assert "the first that sends" in notice
        assert "3: twin" in notice


def test_a_twin_that_is_there_late_is_found() -> None:
    name, source_id = f"twin {uuid4()}", str(uuid4())
    with ExitStack() as stack:
        stack.enter_context(Sender(name=name, source_id=source_id))
        stack.enter_context(Sender(name=name, source_id=source_id))

        def begin() -> None:
            stack.enter_context(RealTimeSender(name=name, source_id=source_id))

        timer = threading.Timer(3.0, begin)  # after the first search, and one more
        timer.start()
        with open_driver(f"lsl://?source_id={source_id}&timeout={EVENTUALLY:g}") as driver:
            chunk = next(iter(driver))
            assert len(np.unique(chunk.data[:, 0])) == chunk.n_times
        timer.join()


def test_a_twin_without_the_channels_is_passed_over() -> None:
    name = f"twin {uuid4()}"
    with (
        sending(200, name=name, source_id="a", labels=("C3", "C4", "O1", "O2")),
        RealTimeSender(name=name, source_id="b"),
        open_driver(f"lsl://?name={name}&channels=TP9,AF7&timeout={EVENTUALLY:g}") as driver,
    ):
        assert driver.info.source_id == "lsl:b"


def test_after_a_loss_only_the_same_channels_are_taken() -> None:
    source_id = str(uuid4())
    url = f"lsl://?source_id={source_id}&timeout={EVENTUALLY:g}"
    states: list[str] = []
    with (
        open_lost(url, source_id, states) as chunks,
        RealTimeSender(source_id=source_id, n_channels=3),  # the wrong one: it stays
        RealTimeSender(source_id=source_id),
    ):
        chunk = next(chunks)
    assert chunk.data.shape[1] == 4
    assert states[0] == "connected"
    assert states[1] == "lost"
    assert states[-1] == "connected"


@contextmanager
def open_lost(url: str, source_id: str, states: list[str]) -> Iterator[Iterator[Chunk]]:
    """The chunks of a supervised driver after its sender has gone."""
    with RealTimeSender(source_id=source_id) as sender:
        driver = open_source(url, lambda change: states.append(change.state))
        with driver:
            chunks = iter(driver)
            next(chunks)
            sender.__exit__(None, None, None)
            last = local_clock()
            # What was under way is read first.
            yield (chunk for chunk in chunks if chunk.timestamps[0] > last)
            driver.close()


def test_a_closed_driver_stops_waiting_for_samples() -> None:
    with Sender() as sender:
        driver = open_driver(sender.url)
        threading.Timer(1.0, driver.close).start()
        before = time.monotonic()
        with pytest.raises(Exception, match=r"closed|none"):
            driver.__enter__()
        assert time.monotonic() - before < EVENTUALLY
