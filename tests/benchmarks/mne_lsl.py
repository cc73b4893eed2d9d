"""CPU time from LSL to filtered samples in a ring buffer, compared with MNE-LSL's stream.

Both have their own inlet on the same outlet, and filter each chunk from 1 to 40 Hz as it comes.
MNE-LSL keeps the source's rate; ours also finds gaps, resamples to 128 Hz and cuts windows.
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
from mimamba.drivers.lsl.outlet import SignalOutlet
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.service.bench.figures import Figure, NotRun
from mimamba.service.logs.epoch_logs import SIGNAL_SECONDS
from mimamba.service.logs.log import SignalLog
from tests.benchmarks.reference_model import INFO, PACKET, packets

BUFFER = 4.0
"""Seconds that MNE-LSL's stream keeps."""
TRANSIT = 0.03
"""Seconds in which a chunk surely arrives at both inlets."""
WARM = 8
"""Number of first chunks that are not counted."""


class Sender(threading.Thread):
    """Thread that sends chunks at a headset's pace; ``sent`` is released with each."""

    def __init__(self, name: str) -> None:
        super().__init__(name="bench outlet")
        self.stream = name
        self._stopped = threading.Event()
        self.sent = threading.Semaphore(0)

    def run(self) -> None:
        """Send the same few seconds again and again, until ``stop``."""
        period, made = PACKET / INFO.sfreq, packets(BUFFER)
        steps = np.arange(1 - PACKET, 1) / INFO.sfreq
        due, nth = local_clock(), 0
        with SignalOutlet(INFO, self.stream) as outlet:
            while not self._stopped.wait(max(0.0, due - local_clock())):
                outlet.push(replace(made[nth % len(made)], timestamps=due + steps))
                self.sent.release()
                due, nth = due + period, nth + 1

    def stop(self) -> None:
        """Stop sending, and wait for the thread."""
        self._stopped.set()
        self.join()


def measure(seconds: float) -> list[Figure]:
    """Measure at a headset's pace; raises NotRun where MNE-LSL cannot be imported."""
    vendor = load_mne_lsl()
    count = WARM + max(1, round(seconds * INFO.sfreq / PACKET))
    with sending() as (name, sent), vendor_stream(vendor, name) as theirs, our_stream(name) as ours:
        spent = [cpu_times(sent, (ours, theirs)) for _ in range(count)]
    mine, other = (1e6 * float(each) for each in np.median(spent[WARM:], axis=0))
    return [
        Figure("LSL to ring, filtered, resampled, cut to windows", mine, "µs a chunk"),
        Figure(f"MNE-LSL {vendor.__version__}: LSL to ring, filtered", other, "µs a chunk"),
        Figure("ours over MNE-LSL's", mine / other, "times"),
    ]


def load_mne_lsl() -> Any:
    """Import MNE-LSL; raises NotRun."""
    try:
        import mne_lsl.stream
    except (ImportError, OSError) as error:  # OSError: its liblsl does not load
        raise NotRun("MNE-LSL", str(error), "install it: pip install mne-lsl") from None
    return mne_lsl


@contextmanager
def sending() -> Iterator[tuple[str, threading.Semaphore]]:
    """Send a stream with a unique name; it is stopped on leaving."""
    sender = Sender(f"bench {uuid.uuid4().hex}")
    sender.start()
    try:
        yield sender.stream, sender.sent
    finally:
        sender.stop()


@contextmanager
def vendor_stream(vendor: Any, name: str) -> Iterator[Callable[[], object]]:
    """Connect MNE-LSL's stream, and return its acquisition of a chunk."""
    stream = vendor.stream.StreamLSL(BUFFER, name=name)
    stream.connect(None, processing_flags=["clocksync"], timeout=10)
    try:
        stream.filter(*SignalConfig().band, verbose="ERROR")
        yield stream.acquire
    finally:
        stream.disconnect()


@contextmanager
def our_stream(name: str) -> Iterator[Callable[[], object]]:
    """Connect our driver, and return the way of a chunk: inlet, log, hops."""
    with open_driver(f"lsl://?name={name}") as driver:
        yield chunk_reader(driver)


def chunk_reader(driver: Driver) -> Callable[[], object]:
    """Return a call that puts the next chunk into a log and cuts its hops."""
    info, chunks = driver.info, iter(driver)
    log = SignalLog(info.n_channels, info.sfreq, SIGNAL_SECONDS)
    cutter = HopCutter(SignalConfig(), info, range(info.n_channels), info.ch_names)

    def take() -> None:
        chunk = next(chunks)
        log.append(chunk)
        cutter.feed(chunk)

    return take


def cpu_times(sent: threading.Semaphore, calls: tuple[Callable[[], object], ...]) -> list[float]:
    """Wait for a chunk, and return the CPU time of each call, s."""
    sent.acquire()
    while sent.acquire(blocking=False):
        pass  # several came meanwhile; both read them together
    time.sleep(TRANSIT)
    spent = []
    for call in calls:
        start = time.thread_time()
        call()
        spent.append(time.thread_time() - start)
    return spent
