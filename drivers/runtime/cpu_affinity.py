"""CPU affinity: all threads of a service on one CPU.

Python's threads compute one at a time. With many sessions on several CPUs, each switch of threads
moves data between caches and wakes another CPU. 64 simulated headsets had 65 to 83 % of their hops
stepped within 100 ms on two CPUs, and 98 to 100 % with all threads on one of them (measured with
the network in another process).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_allowed_cpus: set[int] = set()
"""All CPUs that this process may use, while it is pinned to one; else empty."""


@contextmanager
def pin_to_one_cpu() -> Iterator[None]:
    """Pin all present and future threads to one CPU within the context; undo it afterwards.

    The CPU is the one that the calling thread ran on last, within the limits that ``taskset`` or a
    container sets. The system moves other programs to other CPUs. Nothing happens except on Linux.
    """
    if sys.platform == "linux":
        allowed = os.sched_getaffinity(0)
        with suppress(OSError):  # a container may forbid it
            _pin({_last_used()} & allowed or allowed)
            _allowed_cpus.update(allowed)
    try:
        yield
    finally:
        if sys.platform == "linux" and _allowed_cpus:
            _pin(_allowed_cpus)
            _allowed_cpus.clear()


@contextmanager
def use_all_cpus() -> Iterator[None]:
    """Let a child process that is started within the context use all allowed CPUs."""
    if sys.platform != "linux" or not _allowed_cpus:
        yield
        return
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _allowed_cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, kept)


if sys.platform == "linux":

    def _pin(cpus: set[int]) -> None:
        """Pin all threads; a thread that starts meanwhile inherits its starter's CPUs."""
        done: set[str] = set()
        while fresh := {task.name for task in _TASKS.iterdir()} - done:
            for task in fresh:
                with suppress(ProcessLookupError):  # it has ended
                    os.sched_setaffinity(int(task), cpus)
            done |= fresh

    def _last_used() -> int:
        """Return the CPU that the calling thread ran on last, proc(5)."""
        stat = Path("/proc/thread-self/stat").read_text(encoding="utf-8")
        return int(stat.rsplit(")", 1)[1].split()[36])
