"""CPU affinity: all threads of a service on one CPU.

Python's threads compute one at a time. With many sessions on several CPUs, each switch of threads
moves data between caches and wakes another CPU. 64 simulated headsets had 65 to 83 % of their hops
stepped within 100 ms on two CPUs, and 98 to 100 % with all threads on one of them (measured with
the network in another process).
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

TURNS, TURN_SECONDS = 20, 0.02
"""Tries to be the only process that chooses its CPU, and the pause after each, s."""
_TASKS = Path("/proc/self/task")
_allowed_cpus: set[int] = set()
"""All CPUs that this process may use, while it is pinned to one; else empty."""


@contextmanager
def pin_to_one_cpu(turns: Path = Path(__file__)) -> Iterator[None]:
    """Pin all present and future threads to one CPU within the context; undo it afterwards.

    The CPU is the one to which the fewest other processes are pinned, best the one that the calling
    thread ran on last, within the limits that ``taskset`` or a container sets. The system moves
    other programs to other CPUs, but none that is pinned: two workers on one CPU would have half
    of it each, while another CPU is idle. A container sees its own processes only, so each is best
    given CPUs of its own. Nothing happens except on Linux.

    Parameters
    ----------
    turns
        File that is locked meanwhile, so that processes that start together choose one after the
        other. One that cannot be locked within 0.4 s is not waited for.
    """
    if sys.platform == "linux":
        allowed = os.sched_getaffinity(0)
        with _turn(turns), suppress(OSError):  # a container may forbid it
            _pin({choose_cpu(allowed, count_pinned(), _last_used())})
            _allowed_cpus.update(allowed)
    try:
        yield
    finally:
        if sys.platform == "linux" and _allowed_cpus:
            _pin(_allowed_cpus)
            _allowed_cpus.clear()


def choose_cpu(allowed: set[int], pinned: Mapping[int, int], last: int) -> int:
    """Return the allowed CPU to which the fewest processes are pinned, ``last`` among equals."""
    return min(sorted(allowed), key=lambda cpu: (pinned.get(cpu, 0), cpu != last))


def count_pinned() -> Counter[int]:
    """Return how many processes that can be seen are pinned to one CPU, by CPU, on Linux."""
    pinned: Counter[int] = Counter()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has ended
            text = status.read_text(encoding="utf-8", errors="replace")
            found = re.search(r"^Cpus_allowed_list:\t(\d+)$", text, re.MULTILINE)
            if found and "\nVmRSS:" in text:  # the system's own threads have no memory
                pinned[int(found[1])] += 1
    return pinned


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
    import fcntl

    @contextmanager
    def _turn(path: Path) -> Iterator[None]:
        """Hold a lock; go on without it where the file system has none, or another keeps it."""
        with ExitStack() as opened:
            with suppress(OSError):
                file = opened.enter_context(path.open("rb"))
                for _ in range(TURNS):
                    with suppress(BlockingIOError):
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    time.sleep(TURN_SECONDS)
            yield

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
