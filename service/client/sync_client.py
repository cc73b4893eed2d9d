"""Client of the stream for programs without asyncio, notebooks too.

with SyncClient("http://127.0.0.1:8765") as client:
    for frame in client.frames("simulate-1"):
        print(frame.data.shape)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mimamba.service.client.client import Client
from mimamba.service.client.credentials import NO_CREDENTIALS, Credentials
from mimamba.service.client.signal_frames import SignalFrame
from mimamba.service.protocol.messages import Position, ServerMessage
from mimamba.service.topics import Topic

if TYPE_CHECKING:
    from pandas import DataFrame

LOOK = 0.2
"""Seconds after which Ctrl+C is noticed where the system does not end a wait for it."""

T = TypeVar("T")


class SyncClient:
    """``Client`` whose methods wait instead of being awaited.

    Its connection lives in a thread of its own, so it also works where an event loop runs already,
    as in Jupyter. Use it in one thread, and one iteration at a time.

    Parameters
    ----------
    url, pause, credentials
        As for ``Client``.

    Raises
    ------
    ServiceUnreachable
        If ``url`` is not an address; on entering, if no service answers.
    """

    def __init__(
        self, url: str, pause: float = 0.5, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self._client = Client(url, pause, credentials)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), daemon=True)
        self._thread.start()
        try:
            self._wait(self._client.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wait(self._client.__aexit__(kind, error, trace))
        finally:
            self._end()

    def subscribe(self, session: str, topics: list[Topic], since: Position | None = None) -> None:
        """Subscribe to topics of a session, as ``Client.subscribe``."""
        self._wait(self._client.subscribe(session, topics, since))

    def __iter__(self) -> Iterator[ServerMessage]:
        """Iterate over all messages; raises as the iteration of ``Client``."""
        return self._each(self._client.__aiter__())

    def frames(self, session: str, kept: bool = False) -> Iterator[SignalFrame]:
        """Iterate over a session's signal as NumPy arrays, as ``Client.frames``."""
        return self._each(self._client.frames(session, kept))

    def to_pandas(self, session: str, seconds: float | None = None) -> DataFrame:
        """Return a session's predictions as a table, as ``Client.to_pandas``."""
        return self._wait(self._client.to_pandas(session, seconds))

    def _each(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        async def following() -> T | None:
            return await anext(source, None)

        async def end() -> None:
            await source.aclose()

        while (found := self._wait(following())) is not None:
            try:
                yield found
            except GeneratorExit:
                if self._loop is not None:
                    self._wait(end())
                raise

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the connection's thread, and wait for it; Ctrl+C ends it."""
        if self._loop is None:
            work.close()
            raise RuntimeError("Expected an open client, but found a closed one. Use `with`.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not future.done():
                concurrent.futures.wait([future], LOOK)
        except BaseException:
            future.cancel()
            raise
        return future.result()

    def _end(self) -> None:
        """End the thread and its loop."""
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and close it in its own thread."""
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
