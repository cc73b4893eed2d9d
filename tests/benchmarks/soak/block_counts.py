"""``mimamba serve`` that reports how many blocks of memory Python holds, as lines on stderr."""

from __future__ import annotations

import sys
import threading

import msgspec

from mimamba.service.server.serve import serve
from mimamba.service.settings.load import make_settings

PROGRAM = "from tests.benchmarks.soak.block_counts import main; main()"
PERIOD = 1.0
"""Seconds between two reports."""


class Blocks(msgspec.Struct, tag="blocks"):
    """Blocks that Python's allocator has given out, and threads that run."""

    count: int
    threads: int


def main() -> None:
    """Serve with the environment's settings until a signal."""
    over = threading.Event()
    reporter = threading.Thread(target=report, args=(over,))
    reporter.start()
    try:
        serve(make_settings({}))
    finally:
        over.set()
        reporter.join()


def report(over: threading.Event) -> None:
    """Write a line now and then until the service is over."""
    while not over.wait(PERIOD):
        found = Blocks(sys.getallocatedblocks(), threading.active_count())
        sys.stderr.write(msgspec.json.encode(found).decode() + "\n")


def newest(lines: list[str]) -> Blocks:
    """Return the last report in a service's log; zeros before the first."""
    for line in reversed(lines):
        try:
            return msgspec.json.decode(line, type=Blocks)
        except msgspec.MsgspecError:
            continue
    return Blocks(0, 0)
