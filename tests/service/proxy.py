"""A bad line on the loopback interface: it can be cut, also within a frame, or fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Line:
    """A line to a service.

    Attributes
    ----------
    url
        Where it begins.
    budget
        Bytes that it still takes toward the service before it breaks; None never breaks.
    up
        Whether whoever calls is put through.
    connections
        How many there have been.
    """

    host: str
    port: int
    url: str = ""
    budget: int | None = None
    up: bool = True
    connections: int = 0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Cut all connections, also within a frame."""
        for writer in self.writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client to the service."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.add(writer)
        self.connections += 1
        with suppress(OSError):
            if self.up:
                there, onward = await asyncio.open_connection(self.host, self.port)
                self.writers.add(onward)
                await asyncio.gather(
                    self._carry(reader, onward, limited=True), self._carry(there, writer)
                )
        writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limited: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                await self.flowing.wait()
                if limited and self.budget is not None:
                    data = data[: self.budget]
                    self.budget -= len(data)
                writer.write(data)
                await writer.drain()
                if limited and self.budget == 0:
                    break
        writer.close()
        if limited and self.budget == 0:
            self.budget = None
            self.cut()


@asynccontextmanager
async def bad_line(url: str, scheme: str = "ws") -> AsyncIterator[Line]:
    """A line to the service at ``url``, for addresses of a scheme; it works at first.

    While it does not flow, both ends know nothing of it: what they send arrives later.
    """
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    line = Line(parts.hostname, parts.port)
    line.flowing.set()
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        line.flowing.set()
        line.cut()
        await asyncio.gather(*line.tasks, return_exceptions=True)
