"""Acquirer for the bus: reads a source here, and publishes its packets for whichever worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from mimamba.drivers.errors import StreamLost, UserError
from mimamba.drivers.open import Connect, open_source
from mimamba.drivers.push_driver import Packet
from mimamba.service.acquire.outbox import SECONDS, Outbox, sensor_bytes
from mimamba.service.acquire.packet_message import samples_message
from mimamba.service.acquire.source_acquirer import PushRefused, SourceAcquirer
from mimamba.service.bus.bus import Bus, Guard, NotStored, Overtaken, publish
from mimamba.service.cluster.subjects import (
    Announcement,
    Order,
    Packets,
    WorkerStatus,
    decode_or_none,
    input_subject,
    pack,
    session_key,
)
from mimamba.service.people.carried_people import CarriedPerson
from mimamba.service.protocol.push import Push

BATCH = 32
"""Packets sent together, where so many wait."""
MOST_BYTES = 512 << 10
"""Bytes of samples and markers sent together; the bus takes messages of 1 MiB."""
RETRY_SECONDS = 0.2
"""Pause after packets that the bus has not stored."""
CLOSED = "the session was closed"


class ClusterFull(UserError):
    """The workers compute as many sessions as they can, or there is none."""


async def check_room(bus: Bus) -> None:
    """Raise ClusterFull if no worker can take another session."""
    known = [
        status
        for each in await bus.newest("keys.worker.*")
        if each.payload and (status := decode_or_none(each.payload, WorkerStatus)) is not None
    ]
    there = await asyncio.gather(*(bus.is_there(each.worker) for each in known))
    live = [status for status, answers in zip(known, there, strict=True) if answers]
    if not live:
        raise ClusterFull(
            "Expected a worker on the bus, but found none. Start one with mimamba worker --bus."
        )
    sessions, capacity = sum(each.sessions for each in live), sum(each.capacity for each in live)
    if sessions >= capacity:
        raise ClusterFull(
            f"Expected room for a session, but the {len(live)} workers have {sessions} of "
            f"{capacity}. Start another worker, or try again later."
        )


async def announce(bus: Bus, push: Push, session: str, person: CarriedPerson | None = None) -> None:
    """Announce a session on the bus, of a person if one is named; one of the same stream goes on.

    Raises
    ------
    PushRefused
        If another stream has this id.
    ClusterFull
        If no worker can take it.
    NotStored
        If the bus does not answer.
    """
    key = session_key(session)
    found = await bus.newest(key)
    if found and found[0].payload:
        there = decode_or_none(found[0].payload, Announcement)
        if there is not None and there.push.stream == push.stream:
            return
        raise PushRefused(
            f"Expected a new id, but found that {session!r} is taken. Choose another."
        )
    await check_room(bus)
    after = await publish(bus, input_subject(session), pack(Order("begin")))
    guard = Guard(key, found[0].sequence if found else 0)
    try:
        await publish(bus, key, pack(Announcement(push, session, after, person)), guard=guard)
    except Overtaken:
        await announce(bus, push, session, person)


async def close_session(bus: Bus, session: str) -> None:
    """Let the worker end and forget a session; raises NotStored."""
    await publish(bus, input_subject(session), pack(Order("close")))


class BusAcquirer(SourceAcquirer):
    """Publishes a source's packets, each until it is stored.

    Parameters
    ----------
    source
        Its URL, as for ``drivers.open_source``.
    bus
        The bus.
    session, model, memory
        As in ``Push``.
    buffer
        Seconds of signal to keep while the bus is unreachable.
    on_change
        Gets messages for a person, a line each; called on the event loop.
    connect
        Makes the driver of the URL, and has it report the link's changes.
    person
        The person of the session, if known.

    Attributes
    ----------
    announced
        Set once the session is on the bus.
    """

    def __init__(
        self,
        source: str,
        bus: Bus,
        session: str | None = None,
        model: str | None = None,
        memory: bool = True,
        buffer: float = SECONDS,
        on_change: Callable[[str], None] = lambda _: None,
        connect: Connect = open_source,
        person: CarriedPerson | None = None,
    ) -> None:
        super().__init__(source, buffer, on_change, connect)
        self._person = person
        self._bus = bus
        self._name = session or f"headset-{self._stream[:6]}"
        self._model, self._memory = model, memory
        self._news = asyncio.Event()
        self.announced = asyncio.Event()

    async def run(self) -> None:
        """Publish until the source ends; if cancelled, publish the rest and return.

        Raises
        ------
        DriverError
            If the source cannot be opened or read.
        PushRefused
            If the id is taken, or the session is closed by someone else.
        ClusterFull
            If no worker can take it.
        """
        await check_room(self._bus)
        reading = self._start_reading()
        publishing = asyncio.create_task(self._publish())
        closed = asyncio.create_task(self._wait_until_closed())
        try:
            await asyncio.wait([publishing, closed], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._finish(reading, publishing)
            return
        finally:
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
            self._stop()
        if not publishing.done():
            publishing.cancel()
            with contextlib.suppress(StreamLost):
                await reading
            raise PushRefused(f"Expected an open session, but {CLOSED}.")
        with contextlib.suppress(StreamLost):
            await reading
        await publishing

    async def withdraw(self) -> None:
        """Take the announcement back, as soon as the bus answers: no worker begins the session."""
        key = session_key(self._name)
        while True:
            with contextlib.suppress(NotStored, Overtaken):
                found = await self._bus.newest(key)
                taken = bool(found and found[0].payload)
                there = decode_or_none(found[0].payload, Announcement) if taken else None
                if there is None or there.push.stream != self._stream:
                    return
                await close_session(self._bus, self._name)  # for one that is about to begin it
                await publish(self._bus, key, b"", guard=Guard(key, found[0].sequence))
                return
            await asyncio.sleep(RETRY_SECONDS)

    # On the event loop ---------------------------------------------------------------------------

    def _wake(self) -> None:
        self._news.set()

    async def _wait_until_closed(self) -> None:
        """Return once someone has closed the announced session."""
        await self.announced.wait()
        async with self._bus.follow(session_key(self._name), "newest") as messages:
            async for message in messages:
                if not message.payload:
                    return

    async def _publish(self) -> None:
        await self._source_open.wait()
        if (outbox := self.outbox) is None:
            return
        await self._announce(outbox)
        start = 0
        while not outbox.delivered:
            self._news.clear()
            if packets := fitting_packets(outbox.read(start, BATCH)):
                await self._store(packets)
                start = packets[-1].seq + 1
                outbox.acknowledge(start - 1)
            else:
                await self._news.wait()

    async def _announce(self, outbox: Outbox) -> None:
        push = Push(self._stream, outbox.info, self._name, self._model, self._memory)
        while True:
            try:
                await announce(self._bus, push, self._name, self._person)
            except NotStored as error:
                self._note_loss(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        self.state, self.session = "connected", self._name
        self.announced.set()
        self._on_change(f"session {self._name} is open on the bus")

    async def _store(self, packets: list[Packet]) -> None:
        """Send packets in one message until it is stored: only then come the next."""
        payload = pack(Packets([samples_message(self._name, packet) for packet in packets]))
        name = f"{self._stream}-{packets[0].seq}-{packets[-1].seq}"
        while True:
            try:
                await publish(self._bus, input_subject(self._name), payload, name=name)
            except NotStored as error:
                self._note_loss(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        if self.state == "reconnecting":
            self._on_change(f"session {self._name} goes on")
        self.state = "connected"

    def _note_loss(self, reason: str) -> None:
        if self.state != "reconnecting":
            self._on_change(
                f"the bus does not answer ({reason}); samples are kept for {self._buffer:g} s"
            )
        self.state = "reconnecting"


def fitting_packets(packets: list[Packet]) -> list[Packet]:
    """Return the first of these packets, as many as fit into one message, at least one."""
    size = 0
    for n, packet in enumerate(packets):
        events = sum(len(each.label) + len(each.source) + 64 for each in packet.chunk.markers)
        events += sum(len(each.detail) + 64 for each in packet.changes)
        sensors = sum(sensor_bytes(each) for each in packet.auxiliary)
        size += packet.chunk.data.nbytes + packet.chunk.timestamps.nbytes + sensors + events
        if n and size > MOST_BYTES:
            return packets[:n]
    return packets


def is_bus(address: str) -> bool:
    """Return whether an address is that of a bus, not of a service."""
    return address.startswith(("nats://", "tls://"))
