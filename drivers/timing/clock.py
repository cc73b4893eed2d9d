"""The one clock: seconds, monotonic, shared with every LSL program on this machine."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable


def _find_clock() -> Callable[[], float]:
    """liblsl's clock where the library loads; its stand-in elsewhere has another zero.

    pylsl lets go of the interpreter's lock to read it, and then must win it back: with the threads
    of many sessions that takes milliseconds, for a call of 0.2 µs.
    """
    try:
        from pylsl.lib import lib

        clock: Callable[[], float] = _holding(lib._name)
    except (ImportError, RuntimeError, OSError):  # not installed, or liblsl does not load
        return time.perf_counter
    return clock


def _holding(path: str) -> Callable[[], float]:
    """The clock of this liblsl, read without letting go of the interpreter's lock."""
    clock = ctypes.PyDLL(path).lsl_local_clock
    clock.restype = ctypes.c_double
    return clock


_clock = _find_clock()


def local_clock() -> float:
    """Seconds on the LSL clock; never UNIX time."""
    return _clock()
