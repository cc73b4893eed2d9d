"""The one clock: seconds, monotonic, shared with every LSL program on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def _find_clock() -> Callable[[], float]:
    """liblsl's clock where the library loads; its stand-in elsewhere has another zero."""
    try:
        from pylsl import local_clock
    except (ImportError, RuntimeError, OSError):  # not installed, or liblsl does not load
        return time.perf_counter
    clock: Callable[[], float] = local_clock
    return clock


_clock = _find_clock()


def local_clock() -> float:
    """Seconds on the LSL clock; never UNIX time."""
    return _clock()
