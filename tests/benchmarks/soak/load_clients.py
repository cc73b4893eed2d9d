"""Clients that come and go in every possible way, well-behaved or not."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mimamba.service.bench.minimal_client import connect_client, request, send
from mimamba.service.protocol.messages import (
    Mark,
    Ping,
    Subscribe,
    Subscribed,
    Unsubscribe,
    decode_server,
)
from mimamba.service.topics import Topic

TOPICS: list[Topic] = ["prediction", "quality", "bands", "marker", "link", "signal"]
STAY = 3.0
"""Longest visit that the client decides itself, s."""
TIMEOUT = 60.0
"""Seconds after which a visit counts as hung."""
PATHS = (
    *("/", "/healthz", "/readyz", "/metrics", "/v1/sessions", "/v1/recordings", "/v1/models"),
    *("/v1/openapi.json", "/v1/people", "/v1/sessions/nobody", "/v1/recordings/nothing/file"),
)
INVALID = (b"\x00", b"{}", b'{"type": "shout"}', b"[" * 5000, b"\xff" * 300, b"")


class LoadClients:
    """All clients of a service, and the results of their visits.

    Parameters
    ----------
    url
        The service's address.
    watched, moved, recorded
        Ids of three sessions: one that is only watched, one whose position and model are changed,
        and one of a live source, which can be recorded.
    stay
        Longest visit that the client decides itself, s.

    Attributes
    ----------
    kinds
        The visits, by their kind.
    visits
        Number of visits of each kind.
    messages, recordings
        Number of messages received and of recordings made.
    erred
        Largest number of warnings that invalid messages can have caused.
    failures
        Descriptions of visits that hung or that the service failed.
    """

    def __init__(
        self, url: str, watched: str, moved: str, recorded: str, stay: float = STAY
    ) -> None:
        self._stay = stay
        self._url, self._watched, self._moved = url, watched, moved
        self._recorded = recorded
        self._random = random.Random(1)
        self.visits: Counter[str] = Counter()
        self.messages = self.recordings = self.erred = 0
        self.failures: list[str] = []
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "read": self._read,
            "cut off": self._cut,
            "invalid messages": self._send_invalid,
            "bare socket": self._bare,
            "requests": self._get,
            "record": self._record,
            "mark": self._mark,
            "open a session": self._open,
            "move": self._move,
            "change the model": self._change,
        }

    async def come_and_go(self, end: float) -> None:
        """Make random visits until ``end`` (s, monotonic clock)."""
        while time.monotonic() < end:
            await self.visit(self._random.choice(list(self.kinds)))

    async def visit(self, kind: str) -> None:
        """Make one visit of this kind."""
        self.visits[kind] += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                await self.kinds[kind]()
        except TimeoutError:
            self.failures.append(f"{kind}: hung")
        except (OSError, ConnectionClosed) as error:
            self.failures.append(f"{kind}: {error!r}")

    async def read(self, client: ClientConnection, seconds: float) -> None:
        """Read messages for this long (s)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    decode_server(await client.recv())
                    self.messages += 1

    def _pause(self) -> float:
        return self._stay * self._random.random()

    async def _read(self) -> None:
        """Subscribe to everything, then to less, and leave; half of the visits use JSON."""
        session = self._random.choice([self._watched, self._moved])
        async with connect_client(self._url, binary=self._random.random() < 0.5) as client:
            await send(client, Subscribe(session, TOPICS))
            await self.read(client, self._pause())
            await send(client, Unsubscribe(session, ["signal"]))
            await send(client, Ping(0.0))
            await self.read(client, self._pause() / 2)
            await send(client, Unsubscribe(session))

    async def _cut(self) -> None:
        """Subscribe, then drop the connection; half of the visits have unread messages."""
        async with connect_client(self._url, narrow=self._random.random() < 0.5) as client:
            await send(client, Subscribe(self._watched, TOPICS))
            await asyncio.sleep(self._pause())
            client.transport.abort()

    async def _send_invalid(self) -> None:
        """Send invalid messages; the service warns of each kind once a connection."""
        async with connect_client(self._url, binary=self._random.random() < 0.5) as client:
            self.erred += 2  # at most: an invalid message, and the wrong kind of frame
            for _ in range(self._random.randint(1, 5)):
                data = self._random.choice(INVALID)
                await client.send(data if self._random.random() < 0.7 else data.decode("latin1"))
            await self.read(client, self._pause() / 3)

    async def _bare(self) -> None:
        """Connect and send something that is not HTTP, or half a request, or nothing."""
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        data = self._random.choice([b"\x00\xff\r\n\r\n", b"GET /v1/str", b""])
        self.erred += data.startswith(b"\x00")
        writer.write(data)
        with suppress(OSError):
            if data.startswith(b"\x00"):
                await reader.read()
            writer.close()
            await writer.wait_closed()

    async def _get(self) -> None:
        for _ in range(3):
            await self._request(self._random.choice(PATHS))

    async def _record(self) -> None:
        """Record, list, stop, download and delete."""
        status, answer = await self._request("/v1/recordings", {"session": self._recorded})
        if status != 201:
            return  # another client is recording it
        self.recordings += 1
        name = json.loads(answer)["name"]
        await asyncio.sleep(self._pause())
        await self._request("/v1/recordings")
        await self._request(f"/v1/recordings/{name}/stop", {})
        await self._request(f"/v1/recordings/{name}/file")
        await self._request(f"/v1/recordings/{name}?confirm={name}", method="DELETE")

    async def _mark(self) -> None:
        """Set a marker by the API, and one by the stream."""
        path = f"/v1/sessions/{self._watched}/markers"
        await self._request(path, {"label": "a client"})
        async with connect_client(self._url) as client:
            await send(client, Subscribe(self._watched, ["marker"]))
            await send(client, Mark(self._watched, "a client", None, 1))
            await self.read(client, self._pause())

    async def _open(self) -> None:
        """Open a session of a simulated headset, and close it."""
        status, answer = await self._request("/v1/sessions", {"source": "simulate://"})
        if status == 201:
            await asyncio.sleep(self._pause())
            path = f"/v1/sessions/{json.loads(answer)['id']}"
            await self._request(path, method="DELETE")

    async def _move(self) -> None:
        """Move in a recording, pause it, and resume it."""
        path = f"/v1/sessions/{self._moved}/replay"
        await self._request(path, {"position": 60 * self._random.random(), "paused": True})
        await asyncio.sleep(self._pause() / 3)
        await self._request(path, {"paused": False})

    async def _change(self) -> None:
        """Switch to no model, then to the shipped model."""
        path = f"/v1/sessions/{self._moved}/model"
        await self._request(path, {"model": "none"}, "PUT")
        await asyncio.sleep(self._pause() / 3)
        await self._request(path, {"model": "demo"}, "PUT")

    async def _request(
        self, path: str, body: object = None, method: str | None = None
    ) -> tuple[int, bytes]:
        """Return the API's answer; a status of 500 or more counts as a failure."""
        status, answer = await request(self._url, path, body, method)
        if status >= 500:
            self.failures.append(f"{method or ''} {path}: {status}")
        return status, answer


async def count_predictions(url: str, session: str) -> int:
    """Return the number of predictions in a session's present epoch."""
    async with connect_client(url) as client:
        await send(client, Subscribe(session, ["prediction"]))
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, Subscribed):
                return message.next["prediction"]
