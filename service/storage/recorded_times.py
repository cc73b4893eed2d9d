"""Times and markers of the recording that was read last, kept so that it is read once for edits."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording

BLOCK = 1024
"""Samples between two times that are kept of an even signal."""
EXACT = 0.01
"""Largest error of a time between two that are kept, samples."""


def read_times(path: Path) -> Recording:
    """Read the markers of a recording, and few of its times: those that tell the time of all.

    The newest one is kept until its file changes, or ``forget_times`` is called.

    Returns
    -------
    Recording
        ``data`` has no channel, (n_times, 0): no signal is kept.

    Raises
    ------
    BadRecording
        If it cannot be read.
    """
    try:
        found = path.stat()
    except OSError:  # reading says why
        return read_recording(path, edited=False)
    return _read_times(path, (found.st_size, found.st_mtime_ns))


def forget_times() -> None:
    """Forget the recording that is kept: a recording was deleted."""
    _read_times.cache_clear()


@lru_cache(maxsize=1)
def _read_times(path: Path, _version: tuple[int, int]) -> Recording:
    """Read as ``read_times``; ``_version`` is size (bytes) and time of the last change (ns)."""
    recording = read_recording(path, edited=False)
    index, stamps = recording.index, recording.timestamps
    firsts = np.arange(0, len(index), BLOCK)
    kept = np.zeros(len(index), bool)
    kept[firsts] = kept[-1] = True
    apart = np.abs(np.interp(index, index[kept], stamps[kept]) - stamps) * recording.info.sfreq
    uneven = np.maximum.reduceat(apart, firsts) > EXACT
    kept |= np.repeat(uneven, BLOCK)[: len(index)]
    none = np.empty((int(kept.sum()), 0), np.float32)
    return replace(recording, data=none, timestamps=stamps[kept], index=index[kept])
