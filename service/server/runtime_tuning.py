"""Settings of the process that keep a long-running service small and prompt: memory, BLAS, GC."""

from __future__ import annotations

import ctypes
import gc
import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ARENA_MAX, MMAP_THRESHOLD = -8, -3
"""Parameters of ``mallopt``, see mallopt(3)."""
ARENAS = 2
LARGE_BLOCK = 128 << 10
"""Bytes from which a block goes back to the system when it is freed.

This is glibc's own first value, which it raises to 32 MiB by itself. With 1 MiB memory grew as it
does without a limit. A step takes as long as before: 27.6 and 27.6 ms for 64 hops of the reference
configuration, 2.7 and 3.0 ms for one.
"""


def limit_malloc_arenas() -> None:
    """Keep memory small over hours of sessions that open and close; does nothing without glibc.

    glibc gives each of many threads a heap of its own, and keeps blocks on a heap once a block of
    their size was freed. Little of it goes back to the system where sessions' buffers lie between
    blocks that stay. 60 s of sessions that come and go took a service from 405 to 446 MB, 10
    minutes from 506 to 621 MB; with these two limits from 379 to 385 MB. What imports have left
    goes back at once. Call it after the imports, and before the process has threads.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # musl has none
        library.mallopt(ARENA_MAX, ARENAS)
        library.mallopt(MMAP_THRESHOLD, LARGE_BLOCK)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def limit_blas_threads() -> None:
    """Run BLAS, which multiplies NumPy's and SciPy's matrices, in one thread; in children too.

    Its threads wait for each other by spinning. With 64 simulated headsets opened together, the dot
    products of their filters kept two processors busy for 20 s; with one thread it is 0.7 s.
    Training and evaluation keep their threads: one large product at a time is faster with them.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")  # libraries loaded already, as NumPy's
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # libraries loaded later, as SciPy's may be


@contextmanager
def freeze_gc() -> Iterator[None]:
    """Exclude objects that are made inside, as by imports, from garbage collection.

    The collector stops all threads while it runs. PyTorch and others define half a million objects
    that stay. A collection of them took 140 to 290 ms, for which predictions waited, and was
    repeated whenever the logs had grown by a quarter. For the same reason it collects more rarely:
    with 500 sessions it looked at all of theirs every three seconds, for what was on its way
    through them counted as new. What imports leave in cycles, a third of their objects, is
    collected once, before any session: the sessions get its memory. They also get that of the lines
    of source files at which PyTorch has looked.
    """
    gc.set_threshold(10_000, 20, 10)
    gc.disable()
    try:
        yield
    finally:
        linecache.clearcache()  # read again for a traceback
        gc.collect()
        gc.freeze()
        gc.enable()
