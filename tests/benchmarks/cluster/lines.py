"""Lines to NATS servers that can be cut off: neither end sees it, and what is sent comes later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from anyio.from_thread import start_blocking_portal

from tests.service.bus.nats_server import NATSServer, cluster
from tests.service.proxy import Line, bad_line


class Lines:
    """Lines to servers, in a thread of their own."""

    def __init__(self) -> None:
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

    def add(self, url: str) -> Line:
        """Return another line, to the server at an address."""
        line = self._portal.wrap_async_context_manager(bad_line(url, "nats"))
        return self._open.enter_context(line)

    def cut_off(self, line: Line) -> None:
        """Let nothing through, and close nothing."""
        self._portal.call(line.flowing.clear)

    def heal(self, line: Line) -> None:
        """Let everything through, first what has waited."""
        self._portal.call(line.flowing.set)


@contextmanager
def linked_servers(
    folder: Path, lines: Lines
) -> Iterator[tuple[list[NATSServer], list[list[Line]]]]:
    """Three servers with lines between them; return the lines of each, too."""
    ends: list[list[Line]] = [[], [], []]

    def way(one: int, other: int, url: str) -> str:
        line = lines.add(url)
        for each in (one, other):
            ends[each].append(line)
        return line.url

    with cluster(folder, way) as servers:
        yield servers, ends
