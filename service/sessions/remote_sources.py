"""Push sessions: samples of remote acquirers, from their connections to their sessions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    AuxiliaryInfo,
    Chunk,
    Driver,
    LinkChange,
    StreamInfo,
)
from mimamba.drivers.errors import BadSamples, BadSource, DriverError
from mimamba.drivers.push_driver import MAX_TEXT, Inbox, Packet, PushDriver
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.service.people.people import CannotKeep, DamagedPerson, PersonRefused
from mimamba.service.protocol.messages import Error
from mimamba.service.protocol.push import Ack, Push, Pushing, Samples, SensorSamples
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.registry import SessionFailed, SessionRegistry, SessionTaken
from mimamba.service.sessions.session import Session

FLOAT32, FLOAT64 = np.dtype("<f4"), np.dtype("<f8")
MAX_CHANNELS = 64
MAX_SFREQ = 2000.0
MAX_NOTICES = 16
SENSORS = ("ppg", "acceleration", "rotation")
"""Names of what may be sent beside the EEG."""
MAX_SENSOR_TEXT = 100
"""Characters of a unit, or of a channel's name."""
ACQUIRER_TIMEOUT = 90.0
"""Seconds of silence after which an acquirer's id is free: as long as it keeps samples."""
RETRY_PERIOD = 0.02
"""Seconds between two tries to hand a packet to a busy session; 64 packets last longer."""

REFUSED = (
    *(DriverError, CheckpointError, SessionFailed, SessionTaken),
    *(PersonRefused, DamagedPerson, CannotKeep),
)
"""Errors that refuse a stream, with a sentence for the person at the acquirer."""


@dataclass(frozen=True)
class RemoteSource:
    """A push session: its stream, its session, and the inbox between connection and session."""

    stream: str
    session: Session
    inbox: Inbox


class RemoteSources:
    """The push sessions of a running service; used on the event loop.

    Parameters
    ----------
    sessions
        The registry that opens them.
    choose
        Chooses a model by name, or the default, with or without memory.
    """

    def __init__(
        self, sessions: SessionRegistry, choose: Callable[[str | None, bool], ModelChoice]
    ) -> None:
        self._sessions = sessions
        self._choose = choose
        self._by_stream: dict[str, RemoteSource] = {}
        self._one_by_one = asyncio.Lock()
        self._openings: set[asyncio.Task[RemoteSource]] = set()

    async def open(self, push: Push) -> RemoteSource:
        """Return the session of a stream; open one if the stream is new.

        It opens even if its connection is lost meanwhile; the next connection finds it.

        Raises
        ------
        DriverError
            If the stream cannot be a session's source.
        SessionTaken, CheckpointError, SessionFailed, PersonRefused, DamagedPerson, CannotKeep
            As ``SessionRegistry.open`` says; an id whose acquirer has ended or is away is free.
        """
        check_info(push.info)
        opening = asyncio.create_task(self._find(push))
        self._openings.add(opening)
        opening.add_done_callback(self._opened)
        source = await asyncio.shield(opening)
        if source.inbox.info != push.info:
            raise BadSource("the same description of the stream", "another", "start another stream")
        source.inbox.touch()
        return source

    async def close(self) -> None:
        """Wait for the sessions that are being opened, so that they can be closed."""
        if self._openings:
            await asyncio.wait(self._openings)

    def _opened(self, opening: asyncio.Task[RemoteSource]) -> None:
        self._openings.discard(opening)
        if not opening.cancelled():
            opening.exception()  # raised to the caller, which may be gone

    async def _find(self, push: Push) -> RemoteSource:
        async with self._one_by_one:  # the same stream over two connections is one session
            self._forget_closed()
            if push.stream not in self._by_stream:
                await self._free(push.session)
                self._by_stream[push.stream] = await self._open(push)
            return self._by_stream[push.stream]

    async def _open(self, push: Push) -> RemoteSource:
        inbox = Inbox(push.info)

        def connect(_: str, on_change: Callable[[LinkChange], None]) -> Driver:
            return PushDriver(inbox, on_change)

        choice = self._choose(push.model, push.memory)
        session = await self._sessions.open("push://", push.session, choice, connect, push.person)
        return RemoteSource(push.stream, session, inbox)

    def _forget_closed(self) -> None:
        there = self._sessions.all()
        self._by_stream = {
            stream: source
            for stream, source in self._by_stream.items()
            if there.get(source.session.name) is source.session
        }

    async def _free(self, name: str | None) -> None:
        """Close the session of this name if its acquirer is gone for good."""
        for stream, source in list(self._by_stream.items()):
            gone = source.session.state == "ended" or source.inbox.silence > ACQUIRER_TIMEOUT
            if source.session.name == name and gone:
                del self._by_stream[stream]
                await self._sessions.close(name)


class RemoteInbox:
    """One connection's push sessions.

    Parameters
    ----------
    remote_sources
        All push sessions of the service.
    """

    def __init__(self, remote_sources: RemoteSources) -> None:
        self._remote_sources = remote_sources
        self._by_session: dict[str, RemoteSource] = {}
        self._due: dict[str, int] = {}  # by session: the seq to acknowledge

    def touch(self) -> None:
        """Note that the acquirer is there: a message of it has come."""
        for source in self._by_session.values():
            source.inbox.touch()

    @property
    def pushes(self) -> bool:
        """True if the connection has sent push, for any session."""
        return bool(self._by_session)

    def reset(self) -> None:
        """Take no more samples before the next push, which says where they are to go on."""
        self._by_session.clear()

    def acks(self) -> list[Ack]:
        """Return the acknowledgements to send; each one is for all samples before it."""
        if not self._due:  # the usual case: this is asked after each frame of any subscriber
            return []
        due, self._due = self._due, {}
        return [Ack(session, seq) for session, seq in due.items()]

    async def take(self, message: Push | Samples) -> Pushing | Error | None:
        """Carry out a message, waiting while its session is busy; None if an ack will answer."""
        if isinstance(message, Push):
            return await self._open(message)
        if message.session not in self._by_session:
            text = (
                f"Expected push before samples, but found none of {message.session!r}. Send push."
            )
            return Error("no_push", text, message.seq)
        source = self._by_session[message.session]
        try:
            packet = read_packet(message, source.inbox.info)
            while not self._put(source, packet, message):
                await asyncio.sleep(RETRY_PERIOD)
        except BadSamples as error:
            return Error("bad_samples", str(error), message.seq)
        except DriverError as error:
            return Error("session_over", source.session.reason or str(error), message.seq)
        return None

    def take_at_once(self, message: Samples) -> bool:
        """Take samples that need not wait; False for others, and those to be refused."""
        source = self._by_session.get(message.session)
        if source is None:
            return False
        self.touch()
        try:
            packet = read_packet(message, source.inbox.info)
            return self._put(source, packet, message)
        except DriverError:  # `take` says why
            return False

    def _put(self, source: RemoteSource, packet: Packet, message: Samples) -> bool:
        """Give a packet to its session, and owe an acknowledgement; False if it is busy."""
        if not source.inbox.put(packet, message.offset):
            return False
        self._due[message.session] = source.inbox.next_seq - 1
        return True

    async def _open(self, push: Push) -> Pushing | Error:
        try:
            source = await self._remote_sources.open(push)
        except REFUSED as error:
            return Error("push_refused", str(error), push.id)
        name = source.session.name
        self._by_session[name] = source
        return Pushing(name, push.stream, source.inbox.next_seq, push.id)


def read_packet(message: Samples, info: StreamInfo) -> Packet:
    """Read a message's samples as arrays; raises BadSamples if the sizes do not fit."""
    row = 4 * info.n_channels
    n_times, rest = divmod(len(message.timestamps), 8)
    if rest or len(message.data) != n_times * row:
        raise BadSamples(
            f"8 bytes of timestamps and {row} of data a sample",
            f"{len(message.timestamps)} and {len(message.data)} bytes",
            f"send float64 times and float32 rows of {info.n_channels} channels",
        )
    if message.markers or message.changes:
        _check_texts(message)
    chunk = Chunk(
        np.frombuffer(message.data, FLOAT32)
        .astype(np.float32, copy=False)
        .reshape(n_times, info.n_channels),
        np.frombuffer(message.timestamps, FLOAT64).astype(np.float64, copy=False),
        message.first,
        message.epoch,
        tuple(message.markers),
    )
    battery = message.battery
    return Packet(
        message.seq,
        chunk,
        tuple(message.changes),
        message.ends,
        tuple([read_sensor(each) for each in message.sensors if each.timestamps]),
        battery if battery is not None and 0 <= battery <= 100 else None,
    )


def _check_texts(message: Samples) -> None:
    texts = [text for each in message.markers for text in (each.label, each.source)]
    texts += [each.detail for each in message.changes]
    if max(map(len, texts)) > MAX_TEXT:
        raise BadSamples(
            f"texts of up to {MAX_TEXT} characters", f"{max(map(len, texts))}", "shorten it"
        )


def read_sensor(sent: SensorSamples) -> AuxiliaryChunk:
    """Read a sensor's samples as arrays; raises BadSamples if they are not valid."""
    n_channels = len(sent.channels)
    n_times, rest = divmod(len(sent.timestamps), 8)
    if rest or len(sent.data) != 4 * n_times * n_channels:
        raise BadSamples(
            f"8 bytes of timestamps and {4 * n_channels} of data a sample of {sent.name[:20]!r}",
            f"{len(sent.timestamps)} and {len(sent.data)} bytes",
            f"send float64 times and float32 rows of {n_channels} channels",
        )
    if sent.name not in SENSORS or not 1 <= sent.sfreq <= MAX_SFREQ:
        raise BadSamples(
            f"{', '.join(SENSORS)} at 1 to {MAX_SFREQ:g} Hz",
            f"{sent.name[:20]!r} at {sent.sfreq:g} Hz",
            "leave out other sensors",
        )
    if max(map(len, (sent.unit, *sent.channels))) > MAX_SENSOR_TEXT:
        raise BadSamples(
            f"texts of up to {MAX_SENSOR_TEXT} characters", "longer ones", "shorten it"
        )
    data = np.frombuffer(sent.data, FLOAT32).astype(np.float32, copy=False)
    return AuxiliaryChunk(
        AuxiliaryInfo(sent.name, sent.unit, sent.sfreq, tuple(sent.channels)),
        data.reshape(n_times, n_channels),
        np.frombuffer(sent.timestamps, FLOAT64).astype(np.float64, copy=False),
        sent.first,
    )


def check_info(info: StreamInfo) -> None:
    """Raise BadSource for a stream that is not valid, or would fill the service's memory."""
    names = info.ch_names
    if not 1 <= len(names) <= MAX_CHANNELS or len(set(names)) < len(names) or not all(names):
        raise BadSource(
            f"1 to {MAX_CHANNELS} channels of different names", f"{len(names)}", "choose channels"
        )
    if not 1 <= info.sfreq <= MAX_SFREQ:
        raise BadSource(f"1 to {MAX_SFREQ:g} Hz", f"{info.sfreq:g} Hz", "resample it first")
    for fact in (info.uv_per_bit, info.range_uv):
        if fact is not None and not 0 < fact < math.inf:
            raise BadSource("µV above 0", f"{fact:g}", "leave out unknown values")
    texts = (info.name, info.source_id, *names, *info.notices)
    if max(map(len, texts)) > MAX_TEXT or len(info.notices) > MAX_NOTICES:
        raise BadSource(
            f"up to {MAX_NOTICES} notices, texts up to {MAX_TEXT} characters",
            f"{len(info.notices)}, the longest of {max(map(len, texts))}",
            "shorten them",
        )
