"""Lines to a NATS server that can be cut off: neither end sees it, and what is sent comes later."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from anyio.from_thread import start_blocking_portal

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
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._open.enter_context(start_blocking_portal())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def add(self) -> Line:
        """Return another line."""
        line = self._portal.wrap_async_context_manager(bad_line(self._url, "nats"))
        return self._open.enter_context(line)

    def cut_off(self, line: Line) -> None:
        """Let nothing through, and close nothing."""
        self._portal.call(line.flowing.clear)

    def heal(self, line: Line) -> None:
        """Let everything through, first what has waited."""
        self._portal.call(line.flowing.set)
