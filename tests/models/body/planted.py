"""Pulse signals with a known heart rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo

PPG = AuxiliaryInfo("ppg", "counts", 64.0, ("ambient", "infrared", "red"))
ACCELERATION = AuxiliaryInfo("acceleration", "g", 52.0, ("X", "Y", "Z"))
ROTATION = AuxiliaryInfo("rotation", "°/s", 52.0, ("X", "Y", "Z"))


def pulse(
    seconds: float, beats: float, noise: float, seed: int = 0, sfreq: float = 64.0
) -> NDArray[np.float32]:
    """(n_times, 3) of which the second shows a pulse of 100 counts; ``noise`` is its share."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sfreq)) / sfreq
    rate = beats / 60 * (1 + 0.05 * np.sin(2 * np.pi * 0.25 * time))  # breathing
    phase = 2 * np.pi * np.cumsum(rate) / sfreq
    wave = -(np.cos(phase) + 0.35 * np.cos(2 * phase - 1) + 0.1 * np.cos(3 * phase))
    drift = 300 * np.sin(2 * np.pi * 0.05 * time)
    data = 50_000 + rng.normal(0, 100 * noise + 1e-3, (len(time), 3)) + drift[:, None]
    data[:, 1] += 100 * wave
    counts: NDArray[np.float32] = data.astype(np.float32)
    return counts


def chunks_of(
    data: NDArray[np.float32],
    sizes: Sequence[int] = (6,),
    lost: Sequence[tuple[int, int]] = (),
    info: AuxiliaryInfo = PPG,
    start: float = 100.0,
) -> list[AuxiliaryChunk]:
    """Cut samples into chunks of these sizes in turn, without those in ``lost``."""
    there = np.ones(len(data), bool)
    for begin, end in lost:
        there[begin:end] = False
    found: list[AuxiliaryChunk] = []
    at = turn = 0
    while at < len(data):
        stop = min(at + sizes[turn % len(sizes)], len(data))
        index = np.arange(at, stop)[there[at:stop]]
        for run in np.split(index, np.flatnonzero(np.diff(index) != 1) + 1):
            if len(run):
                stamps = start + run / info.sfreq
                found.append(AuxiliaryChunk(info, data[run], stamps, int(run[0])))
        at, turn = stop, turn + 1
    return found
