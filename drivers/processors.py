"""Which of the machine's processors a service's threads use.

Python's threads compute one at a time. With the threads of many sessions on several processors,
what each leaves must first be fetched, and the next one be woken from afar: 64 simulated headsets
had 65 to 83 % of their hops stepped within 100 ms, and 98 to 100 % with all threads on one of the
same two processors. It is the model's process that needs the other; with hundreds of sessions there
are several, and as many others as the machine has are theirs (``service/relief.py``).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_own = threading.Event()
"""Set in a process that is a service, and nothing else."""
_allowed: set[int] = set()
"""All processors that this process may use, once it is kept to one; empty before."""


@contextmanager
def own_process() -> Iterator[None]:
    """Within, this process is a service, and nothing else; then all processors are its again."""
    _own.set()
    try:
        yield
    finally:
        _own.clear()
        if sys.platform == "linux" and _allowed:
            _pin(_allowed)
            _allowed.clear()


def keep_to_one() -> bool:
    """Keep the threads of an own process, and those to come, to one processor; whether they are.

    Which one is Linux's last choice for the calling thread, among those that ``taskset`` or a
    container leaves. Other programs are moved out of its way by the system.
    """
    if sys.platform != "linux" or not _own.is_set():
        return False
    if not _allowed:
        allowed = os.sched_getaffinity(0)
        try:
            _pin({_last_used()} & allowed or allowed)
        except OSError:  # a container's rules may forbid it
            return False
        _allowed.update(allowed)
    return True


def count() -> int:
    """How many this process may use, or those that it starts."""
    return (
        len(_allowed or os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    )


@contextmanager
def on_all() -> Iterator[None]:
    """A process that is started within may use all processors that this one may."""
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
