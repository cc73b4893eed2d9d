"""Lines to a NATS server that can be cut off: neither end sees it, and what is sent comes later."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from tests.service.proxy import Line, bad_line


class Lines:
    """Lines to one server, in a thread of their own.

    Parameters
    ----------
    url
        Address of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines")
        self._open = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._open.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self) -> Line:
        """Return another line."""
        opening = self._open.enter_async_context(bad_line(self._url, "nats"))
        return asyncio.run_coroutine_threadsafe(opening, self._loop).result()

    def cut_off(self, line: Line) -> None:
        """Let nothing through, and close nothing."""
        self._loop.call_soon_threadsafe(line.flowing.clear)

    def heal(self, line: Line) -> None:
        """Let everything through, first what has waited."""
        self._loop.call_soon_threadsafe(line.flowing.set)
