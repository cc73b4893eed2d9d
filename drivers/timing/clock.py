"""The LSL clock: monotonic seconds, shared with every LSL program on this machine."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable


def _find_clock() -> Callable[[], float]:
    """Return liblsl's clock; if the library does not load, a substitute with another zero.

    pylsl releases the interpreter's lock to read the clock, and then has to acquire it again. With
    the threads of many sessions that takes milliseconds, for a call of 0.2 µs.
    """
    try:
        from pylsl.lib import lib

        clock: Callable[[], float] = _load_clock(lib._name)
    except (ImportError, RuntimeError, OSError):  # not installed, or liblsl does not load
        return time.perf_counter
    return clock


def _load_clock(path: str) -> Callable[[], float]:
    """Load a liblsl's clock, to be read without releasing the interpreter's lock."""
    clock = ctypes.PyDLL(path).lsl_local_clock
    clock.restype = ctypes.c_double
    return clock


_clock = _find_clock()


def local_clock() -> float:
    """Return the time on the LSL clock, s; never UNIX time."""
    return _clock()
