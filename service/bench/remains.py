"""``mimamba serve`` that says, once it has ended, what is left of it: the program of the soak.

Its last line is ``Leftovers`` in JSON, beside the log on stderr.
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

PROGRAM = "from mimamba.service.bench.remains import main; main()"
SETTLING = 1.0
"""Seconds that threads have for their last steps, when the server has returned."""


class Leftovers(msgspec.Struct, tag="remains"):
    """Tasks when all was shut down, and threads when the server had returned, by what they are."""

    tasks: list[str]
    threads: list[str]


class TaskWatch(Server):
    """Remembers the tasks that are left at its end; asyncio would cancel them unseen."""

    tasks: ClassVar[list[str]] = []

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As it is, and then a look around."""
        await super().shutdown(sockets)
        await asyncio.sleep(0.1)  # who was told to end ends
        left = asyncio.all_tasks() - {asyncio.current_task()}
        self.tasks.extend(repr(each) for each in left)


def main() -> None:
    """Serve as the environment says, until a signal; then tell what is left."""
    signal.signal(signal.SIGTERM, _stay)  # uvicorn gives the signal back when it has served
    serve(make_settings({}), TaskWatch)
    remains = Leftovers(TaskWatch.tasks, [repr(each) for each in threads_left()])
    sys.stderr.write(msgspec.json.encode(remains).decode() + "\n")


def threads_left() -> list[threading.Thread]:
    """Those that do not end; the timer of the server's own end is none of them."""
    until = time.monotonic() + SETTLING
    others = set(threading.enumerate()) - {threading.current_thread()}
    others = {each for each in others if not isinstance(each, threading.Timer)}
    for each in others:
        each.join(max(0.0, until - time.monotonic()))
    return [each for each in others if each.is_alive()]


def _stay(_: int, __: FrameType | None) -> None:
    """Do not die of the signal before it is told what is left."""
