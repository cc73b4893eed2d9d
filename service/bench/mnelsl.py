"""Samples from LSL to filtered ones in a ring: ours beside MNE-LSL's stream, from one outlet.

Both have an inlet of their own and filter each chunk from 1 to 40 Hz as it comes. MNE-LSL keeps
the source's rate; ours also looks for gaps, resamples to 128 Hz and cuts the windows of hops.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from mimamba.drivers.driver import Driver
from mimamba.drivers.lsl.outlet import Outlet
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.service.bench.figures import Figure, NotRun
from mimamba.service.bench.reference import INFO, PACKET, packets
from mimamba.service.sessions.epoch_logs import SIGNAL_SECONDS
from mimamba.service.sessions.log import SignalLog

BUFFER = 4.0
"""Seconds that MNE-LSL's stream keeps."""
TRANSIT = 0.03
"""Seconds in which a chunk arrives at both inlets."""
WARM = 8
"""Chunks that are not counted."""


class Sender(threading.Thread):
    """A headset's chunks at its pace; ``sent`` is released with each."""

    def __init__(self, name: str) -> None:
        super().__init__(name="bench outlet")
        self.stream = name
        self._ended = threading.Event()
        self.sent = threading.Semaphore(0)

    def run(self) -> None:
        """Until ``end``, the same seconds again and again."""
        period, made = PACKET / INFO.sfreq, packets(BUFFER)
        steps = np.arange(1 - PACKET, 1) / INFO.sfreq
        due, nth = local_clock(), 0
        with Outlet(INFO, self.stream) as outlet:
            while not self._ended.wait(max(0.0, due - local_clock())):
                outlet.push(replace(made[nth % len(made)], timestamps=due + steps))
                self.sent.release()
                due, nth = due + period, nth + 1

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        self.join()


def measure(seconds: float) -> list[Figure]:
    """At a headset's pace, CPU time; raises NotRun where MNE-LSL cannot be imported."""
    vendor = load()
    count = WARM + max(1, round(seconds * INFO.sfreq / PACKET))
    with sending() as (name, sent), vendor_stream(vendor, name) as theirs, own(name) as ours:
        spent = [spent_on(sent, (ours, theirs)) for _ in range(count)]
    mine, other = (1e6 * float(each) for each in np.median(spent[WARM:], axis=0))
    return [
        Figure("LSL to ring, filtered, resampled, cut to windows", mine, "µs a chunk"),
        Figure(f"MNE-LSL {vendor.__version__}: LSL to ring, filtered", other, "µs a chunk"),
        Figure("ours over MNE-LSL's", mine / other, "times"),
    ]


def load() -> Any:
    """mne_lsl; raises NotRun."""
    try:
        import mne_lsl.stream
    except (ImportError, OSError) as error:  # the second: a library of its own does not load
        raise NotRun("MNE-LSL beside", str(error), "install it: pip install mne-lsl") from None
    return mne_lsl


@contextmanager
def sending() -> Iterator[tuple[str, threading.Semaphore]]:
    """A stream of a name that nobody else has; ended on leaving."""
    sender = Sender(f"bench {uuid.uuid4().hex}")
    sender.start()
    try:
        yield sender.stream, sender.sent
    finally:
        sender.end()


@contextmanager
def vendor_stream(vendor: Any, name: str) -> Iterator[Callable[[], object]]:
    """What takes a chunk MNE-LSL's way."""
    stream = vendor.stream.StreamLSL(BUFFER, name=name)
    stream.connect(None, processing_flags=["clocksync"], timeout=10)
    try:
        stream.filter(*SignalConfig().band, verbose="ERROR")
        yield stream.acquire
    finally:
        stream.disconnect()


@contextmanager
def own(name: str) -> Iterator[Callable[[], object]]:
    """What takes a chunk our way: inlet, log, hops."""
    with open_driver(f"lsl://?name={name}") as driver:
        yield taking(driver)


def taking(driver: Driver) -> Callable[[], object]:
    """The next chunk into a log, and its hops cut."""
    info, chunks = driver.info, iter(driver)
    log = SignalLog(info.n_channels, info.sfreq, SIGNAL_SECONDS)
    cutter = HopCutter(SignalConfig(), info, range(info.n_channels), info.ch_names)

    def take() -> None:
        chunk = next(chunks)
        log.append(chunk)
        cutter.feed(chunk)

    return take


def spent_on(sent: threading.Semaphore, calls: tuple[Callable[[], object], ...]) -> list[float]:
    """The processor time for each, s, once a chunk was sent."""
    sent.acquire()
    while sent.acquire(blocking=False):
        pass  # several came meanwhile; both take them at once
    time.sleep(TRANSIT)
    spent = []
    for call in calls:
        start = time.thread_time()
        call()
        spent.append(time.thread_time() - start)
    return spent
