"""Answers of a bus that never arrive."""

from __future__ import annotations

import asyncio

from mimamba.service.bus.bus import NotStored


def lost_answer() -> asyncio.Future[int]:
    """What ``Bus.send`` returns where its caller is not told whether a message is stored."""
    lost: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    lost.set_exception(NotStored("no answer"))
    return lost
