"""Keeps a service's threads to one of the machine's processors.

Python's threads compute one at a time. With the threads of many sessions on several processors,
what each leaves must first be fetched, and the next one be woken from afar: 64 simulated headsets
had 65 to 83 % of their hops stepped within 100 ms, and 98 to 100 % with all threads on one of the
same two processors (the network was stepped in another process then).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_allowed: set[int] = set()
"""All processors that this process may use, while it is kept to one; else empty."""


@contextmanager
def keep_to_one() -> Iterator[None]:
    """Within, keep all threads, and those to come, to one processor; then all are theirs again.

    It is Linux's last choice for the calling thread, among those that ``taskset`` or a container
    leaves. Other programs are moved out of its way by the system. Elsewhere nothing happens.
    """
    if sys.platform == "linux":
        allowed = os.sched_getaffinity(0)
        with suppress(OSError):  # a container's rules may forbid it
            _pin({_last_used()} & allowed or allowed)
            _allowed.update(allowed)
    try:
        yield
    finally:
        if sys.platform == "linux" and _allowed:
            _pin(_allowed)
            _allowed.clear()


@contextmanager
def on_all() -> Iterator[None]:
    """Let a process that is started within use all processors that this one may."""
    if sys.platform != "linux" or not _allowed:
        yield
        return
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, kept)


if sys.platform == "linux":

    def _pin(processors: set[int]) -> None:
        """All threads; one that is started meanwhile has its starter's processors."""
        done: set[str] = set()
        while fresh := {task.name for task in _TASKS.iterdir()} - done:
            for task in fresh:
                with suppress(ProcessLookupError):  # it has ended
                    os.sched_setaffinity(int(task), processors)
            done |= fresh

    def _last_used() -> int:
        """The processor that the calling thread ran on last, proc(5)."""
        stat = Path("/proc/thread-self/stat").read_text()
        return int(stat.rsplit(")", 1)[1].split()[36])
