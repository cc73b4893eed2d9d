"""The C library's memory: kept small over hours of sessions that come and go.

glibc gives each of many threads a heap of its own, and keeps on a heap what is as large as anything
that was freed before. Where sessions' rings lie between what lasts, little of it ever goes back:
60 s of visitors (``mimamba bench --only soak``) took a service from 405 to 446 MB, in 10 minutes
from 506 to 621; with these two limits from 379 to 385.
"""

from __future__ import annotations

import ctypes
import sys

ARENA_MAX, MMAP_THRESHOLD = -8, -3
"""Of ``mallopt``, mallopt(3)."""
ARENAS = 2
LARGE = 128 << 10
"""Bytes from which memory is the system's own again once it is freed; glibc's, before it rises by
itself to 32 MiB. With 1 MiB memory grew as without it. A step takes as long as before: 27.6 and
27.6 ms of 64 hops of the reference configuration, 2.7 and 3.0 of one.
"""


def keep_small() -> None:
    """For this process, before it has threads; nothing where the C library is another."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
        mallopt(MMAP_THRESHOLD, LARGE)
