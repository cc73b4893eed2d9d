"""Clients that come and go, in every way that there is, well-behaved or not."""

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

from mimamba.service.bench.wire import ask, connected, say
from mimamba.service.protocol.messages import (
    Mark,
    Ping,
    Subscribe,
    Subscribed,
    Topic,
    Unsubscribe,
    decode_server,
)

TOPICS: list[Topic] = ["prediction", "quality", "bands", "marker", "link", "signal"]
STAY = 3.0
"""Seconds that a visitor stays at most, if it is up to him."""
HANGING = 60.0
"""Seconds after which a visit is said to hang."""
PATHS = (
    *("/", "/healthz", "/readyz", "/metrics", "/v1/sessions", "/v1/recordings", "/v1/models"),
    *("/v1/openapi.json", "/v1/people", "/v1/sessions/nobody", "/v1/recordings/nothing/file"),
)
RUBBISH = (b"\x00", b"{}", b'{"type": "shout"}', b"[" * 5000, b"\xff" * 300, b"")


class LoadClients:
    """All who visit a service, and how they fared.

    Parameters
    ----------
    url
        The service.
    watched, moved, recorded
        A session that is let alone, one whose recording and model may be changed, and one of a live
        source, which alone can be recorded.

    Attributes
    ----------
    kinds
        Of visits.
    visits
        How many there were of each kind.
    messages, recordings
        That they heard, and that they made.
    erred
        How often, at most, one said what the service warns its operator of.
    failures
        Visits that hung or that the service failed, by what was seen.
    """

    def __init__(self, url: str, watched: str, moved: str, recorded: str) -> None:
        self._url, self._watched, self._moved = url, watched, moved
        self._recorded = recorded
        self._random = random.Random(1)
        self.visits: Counter[str] = Counter()
        self.messages = self.recordings = self.erred = 0
        self.failures: list[str] = []
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "read": self._read,
            "cut off": self._cut,
            "babble": self._babble,
            "bare socket": self._bare,
            "ask": self._ask,
            "record": self._record,
            "mark": self._mark,
            "open a session": self._open,
            "move": self._move,
            "change the model": self._change,
        }

    async def come_and_go(self, end: float) -> None:
        """One visit after the other until then."""
        while time.monotonic() < end:
            await self.visit(self._random.choice(list(self.kinds)))

    async def visit(self, kind: str) -> None:
        """One visit of a kind."""
        self.visits[kind] += 1
        try:
            async with asyncio.timeout(HANGING):
                await self.kinds[kind]()
        except TimeoutError:
            self.failures.append(f"{kind}: hung")
        except (OSError, ConnectionClosed) as error:
            self.failures.append(f"{kind}: {error!r}")

    async def read(self, client: ClientConnection, seconds: float) -> None:
        """Hear what is said for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    decode_server(await client.recv())
                    self.messages += 1

    def _some(self) -> float:
        return STAY * self._random.random()

    async def _read(self) -> None:
        """Follow all of a session, then less of it, and go; half of them speak JSON."""
        session = self._random.choice([self._watched, self._moved])
        async with connected(self._url, binary=self._random.random() < 0.5) as client:
            await say(client, Subscribe(session, TOPICS))
            await self.read(client, self._some())
            await say(client, Unsubscribe(session, ["signal"]))
            await say(client, Ping(0.0))
            await self.read(client, self._some() / 2)
            await say(client, Unsubscribe(session))

    async def _cut(self) -> None:
        """Follow a session, and be gone without a word; a ``narrow`` one has not read all."""
        async with connected(self._url, narrow=self._random.random() < 0.5) as client:
            await say(client, Subscribe(self._watched, TOPICS))
            await asyncio.sleep(self._some())
            client.transport.abort()

    async def _babble(self) -> None:
        """Say what is no message; the service warns of each kind of it, once a connection."""
        async with connected(self._url, binary=self._random.random() < 0.5) as client:
            self.erred += 2  # at most: no message, and the other kind of frame
            for _ in range(self._random.randint(1, 5)):
                said = self._random.choice(RUBBISH)
                await client.send(said if self._random.random() < 0.7 else said.decode("latin1"))
            await self.read(client, self._some() / 3)

    async def _bare(self) -> None:
        """A connection without HTTP, or with half a request, or with none."""
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        said = self._random.choice([b"\x00\xff\r\n\r\n", b"GET /v1/str", b""])
        self.erred += said.startswith(b"\x00")
        writer.write(said)
        with suppress(OSError):
            if said.startswith(b"\x00"):
                await reader.read()
            writer.close()
            await writer.wait_closed()

    async def _ask(self) -> None:
        for _ in range(3):
            await self._answered(self._random.choice(PATHS))

    async def _record(self) -> None:
        """Record, list, stop, download and delete."""
        status, told = await self._answered("/v1/recordings", {"session": self._recorded})
        if status != 201:
            return  # another one records it
        self.recordings += 1
        name = json.loads(told)["name"]
        await asyncio.sleep(self._some())
        await self._answered("/v1/recordings")
        await self._answered(f"/v1/recordings/{name}/stop", {})
        await self._answered(f"/v1/recordings/{name}/file")
        await self._answered(f"/v1/recordings/{name}?confirm={name}", method="DELETE")

    async def _mark(self) -> None:
        """Set markers both ways."""
        path = f"/v1/sessions/{self._watched}/markers"
        await self._answered(path, {"label": "a visitor"})
        async with connected(self._url) as client:
            await say(client, Subscribe(self._watched, ["marker"]))
            await say(client, Mark(self._watched, "a visitor", None, 1))
            await self.read(client, self._some())

    async def _open(self) -> None:
        """Watch a simulated headset, and close it."""
        status, told = await self._answered("/v1/sessions", {"source": "simulate://"})
        if status == 201:
            await asyncio.sleep(self._some())
            path = f"/v1/sessions/{json.loads(told)['id']}"
            await self._answered(path, method="DELETE")

    async def _move(self) -> None:
        """Have a recording jump, pause and go on."""
        path = f"/v1/sessions/{self._moved}/replay"
        await self._answered(path, {"position": 60 * self._random.random(), "paused": True})
        await asyncio.sleep(self._some() / 3)
        await self._answered(path, {"paused": False})

    async def _change(self) -> None:
        """Let nobody speak, then the shipped model."""
        path = f"/v1/sessions/{self._moved}/model"
        await self._answered(path, {"model": "none"}, "PUT")
        await asyncio.sleep(self._some() / 3)
        await self._answered(path, {"model": "demo"}, "PUT")

    async def _answered(
        self, path: str, body: object = None, method: str | None = None
    ) -> tuple[int, bytes]:
        """The API's answer; a refusal is one, an error of the service's own is a failure."""
        status, told = await ask(self._url, path, body, method)
        if status >= 500:
            self.failures.append(f"{method or ''} {path}: {status}")
        return status, told


async def told_so_far(url: str, session: str) -> int:
    """Predictions of a session's present epoch, as a new subscriber is told."""
    async with connected(url) as client:
        await say(client, Subscribe(session, ["prediction"]))
        while True:
            message = decode_server(await client.recv())
            if isinstance(message, Subscribed):
                return message.next["prediction"]
