"""CPU time of a headset's chunk from the log to the window, compared with SciPy offline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.signal import sosfilt, upfirdn

from mimamba.drivers.driver import Chunk
from mimamba.models.signal.band_power import BandMeter
from mimamba.models.signal.channel_quality import QualityMeter
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import Preprocessor, SignalConfig
from mimamba.models.signal.sliding_window import SlidingWindow
from mimamba.service.bench.figures import Figure
from mimamba.service.logs.epoch_logs import SIGNAL_SECONDS
from mimamba.service.logs.log import SignalLog
from tests.benchmarks.reference_model import INFO, PACKET, packets

LENGTH = 4.0
"""Seconds of signal in one round."""


def measure(seconds: float) -> list[Figure]:
    """Measure µs for 12 samples of four channels; each is the fastest of many rounds."""
    share = seconds / 6
    figures = [Figure("ring: a chunk into the log", _each(_ring, share), "µs a chunk")]
    for sfreq in (256.0, 250.0):
        hops = _each(partial(_hops, sfreq), share, sfreq)
        whole = _whole(sfreq, share)
        rate = f"{sfreq:g} to 128 Hz"
        figures += [
            Figure(f"resampler, filter and windows, {rate}", hops, "µs a chunk"),
            Figure(f"SciPy on {LENGTH:g} s at once, {rate}", whole, "µs a chunk"),
            Figure(f"ratio, {rate}", hops / whole, "times"),
        ]
    figures.append(Figure("quality and bands", _each(_meters, share), "µs a chunk"))
    return figures


def _ring() -> Callable[[Chunk], object]:
    return SignalLog(INFO.n_channels, INFO.sfreq, SIGNAL_SECONDS).append


def _hops(sfreq: float) -> Callable[[Chunk], object]:
    info = replace(INFO, sfreq=sfreq)
    return HopCutter(SignalConfig(), info, range(4), info.ch_names).feed


def _meters() -> Callable[[Chunk], object]:
    windows, quality, bands = SlidingWindow(INFO), QualityMeter(INFO), BandMeter(INFO)

    def take(chunk: Chunk) -> None:
        for window in windows.feed(chunk):
            quality.measure(window)
            bands.measure(window)

    return take


def _each(
    make: Callable[[], Callable[[Chunk], object]], seconds: float, sfreq: float = INFO.sfreq
) -> float:
    """CPU time of each chunk, µs."""
    made = packets(2 * LENGTH, sfreq)
    return _fastest(lambda: _spent(make(), made), seconds) / len(made) * 1e6


def _spent(take: Callable[[Chunk], object], made: Sequence[Chunk]) -> float:
    """CPU time of these chunks, s."""
    start = time.thread_time()
    for chunk in made:
        take(chunk)
    return time.thread_time() - start


def _whole(sfreq: float, seconds: float) -> float:
    """CPU time of a chunk's share, µs, if the whole signal is filtered at once."""
    path = Preprocessor(SignalConfig(), sfreq)
    x = np.concatenate([chunk.data for chunk in packets(LENGTH, sfreq)]).astype(np.float64)

    def work() -> float:
        start = time.thread_time()
        sosfilt(path.sos, upfirdn(path.fir, x - x[0], path.up, path.down, axis=0), axis=0)
        return time.thread_time() - start

    return _fastest(work, seconds) / len(x) * PACKET * 1e6


def _fastest(work: Callable[[], float], seconds: float) -> float:
    """Least result of ``work`` in this many seconds."""
    end = time.monotonic() + seconds
    least = work()
    while time.monotonic() < end:
        least = min(least, work())
    return least
