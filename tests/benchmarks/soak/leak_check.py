"""``mimamba serve`` with a report of the tasks and threads that are left when it has stopped.

Its last line on stderr is ``Leftovers`` in JSON.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import ClassVar

import msgspec

from mimamba.service.server.serve import serve
from mimamba.service.server.server import Server
from mimamba.service.settings.load import make_settings

PROGRAM = "from tests.benchmarks.soak.leak_check import main; main()"
SETTLING = 1.0
"""Seconds that threads have to end after the server has returned."""


class Leftovers(msgspec.Struct, tag="leftovers"):
    """Descriptions of tasks left after the shutdown, and of threads left after the return."""

    tasks: list[str]
    threads: list[str]


class TaskWatch(Server):
    """A server that notes the tasks left at its end, which asyncio would cancel silently."""

    tasks: ClassVar[list[str]] = []

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, then note the tasks that are left."""
        await super().shutdown(sockets)
        await asyncio.sleep(0.1)  # cancelled tasks end
        left = asyncio.all_tasks() - {asyncio.current_task()}
        self.tasks.extend(repr(each) for each in left)


def main(settling: float = SETTLING) -> None:
    """Serve with the environment's settings until a signal; then report what is left."""
    signal.signal(signal.SIGTERM, _ignore)  # uvicorn gives the signal back when it has served
    serve(make_settings({}), TaskWatch)
    leftovers = Leftovers(TaskWatch.tasks, [repr(each) for each in threads_left(settling)])
    sys.stderr.write(msgspec.json.encode(leftovers).decode() + "\n")


def threads_left(settling: float = SETTLING) -> list[threading.Thread]:
    """Return the threads that do not end in time, except the timer of the server's own shutdown."""
    until = time.monotonic() + settling
    others = set(threading.enumerate()) - {threading.current_thread()}
    others = {each for each in others if not isinstance(each, threading.Timer)}
    for each in others:
        each.join(max(0.0, until - time.monotonic()))
    return [each for each in others if each.is_alive()]


def _ignore(_: int, __: FrameType | None) -> None:
    """Survive the signal until the report is written."""
