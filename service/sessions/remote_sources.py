"""Push sessions: samples of remote acquirers, from their connections to their sessions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.driver import Chunk, Driver, LinkChange, StreamInfo
from mimamba.drivers.errors import BadSamples, BadSource, DriverError
from mimamba.drivers.push import MAX_TEXT, Inbox, Packet, PushDriver
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.service.protocol.messages import Error
from mimamba.service.protocol.push import Ack, Push, Pushing, Samples
from mimamba.service.sessions.registry import (
    ModelChoice,
    SessionFailed,
    SessionRegistry,
    SessionTaken,
)
from mimamba.service.sessions.session import Session

MAX_CHANNELS = 64
MAX_SFREQ = 2000.0
MAX_NOTICES = 16
ACQUIRER_TIMEOUT = 90.0
"""Seconds of silence after which an acquirer's id is free: as long as it keeps samples."""
RETRY_PERIOD = 0.02
"""Seconds between two tries to hand a packet to a busy session; 64 packets last longer."""


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
        self._pushed: dict[str, RemoteSource] = {}
        self._one_by_one = asyncio.Lock()
        self._openings: set[asyncio.Task[RemoteSource]] = set()

    async def open(self, asked: Push) -> RemoteSource:
        """Return the session of a stream; open one if the stream is new.

        It opens even if its connection is lost meanwhile; the next connection finds it.

        Raises
        ------
        DriverError
            If the stream cannot be a session's source.
        SessionTaken, CheckpointError, SessionFailed
            As ``SessionRegistry.open`` says; an id whose acquirer has ended or is away is free.
        """
        check_info(asked.info)
        opening = asyncio.create_task(self._find(asked))
        self._openings.add(opening)
        opening.add_done_callback(self._opened)
        pushed = await asyncio.shield(opening)
        if pushed.inbox.info != asked.info:
            raise BadSource("the same facts of the stream", "others", "start another stream")
        pushed.inbox.touch()
        return pushed

    async def close(self) -> None:
        """Wait for the sessions that are being opened, so that they can be closed."""
        if self._openings:
            await asyncio.wait(self._openings)

    def _opened(self, opening: asyncio.Task[RemoteSource]) -> None:
        self._openings.discard(opening)
        if not opening.cancelled():
            opening.exception()  # raised to the caller, which may be gone

    async def _find(self, asked: Push) -> RemoteSource:
        async with self._one_by_one:  # the same stream over two connections is one session
            self._forget_closed()
            if asked.stream not in self._pushed:
                await self._free(asked.session)
                self._pushed[asked.stream] = await self._open(asked)
            return self._pushed[asked.stream]

    async def _open(self, asked: Push) -> RemoteSource:
        inbox = Inbox(asked.info)

        def connect(_: str, on_change: Callable[[LinkChange], None]) -> Driver:
            return PushDriver(inbox, on_change)

        choice = self._choose(asked.model, asked.memory)
        session = await self._sessions.open("push://", asked.session, choice, connect)
        return RemoteSource(asked.stream, session, inbox)

    def _forget_closed(self) -> None:
        there = self._sessions.all()
        self._pushed = {
            stream: pushed
            for stream, pushed in self._pushed.items()
            if there.get(pushed.session.name) is pushed.session
        }

    async def _free(self, name: str | None) -> None:
        """Close the session of this name if its acquirer is gone for good."""
        for stream, pushed in list(self._pushed.items()):
            gone = pushed.session.state == "ended" or pushed.inbox.silence > ACQUIRER_TIMEOUT
            if pushed.session.name == name and gone:
                del self._pushed[stream]
                await self._sessions.close(name)


class RemoteInbox:
    """One connection's push sessions.

    Parameters
    ----------
    pushes
        All push sessions of the service.
    """

    def __init__(self, pushes: RemoteSources) -> None:
        self._pushes = pushes
        self._mine: dict[str, RemoteSource] = {}
        self._due: dict[str, int] = {}  # by session: the seq to acknowledge

    def touch(self) -> None:
        """Note that the acquirer is there: a message of it has come."""
        for pushed in self._mine.values():
            pushed.inbox.touch()

    def acks(self) -> list[Ack]:
        """Return the acknowledgements to send; each one is for all samples before it."""
        if not self._due:  # the usual case: this is asked after each frame of any subscriber
            return []
        due, self._due = self._due, {}
        return [Ack(session, seq) for session, seq in due.items()]

    async def take(self, asked: Push | Samples) -> Pushing | Error | None:
        """Carry out a message, waiting while its session is busy; None if an ack will answer."""
        if isinstance(asked, Push):
            return await self._open(asked)
        if asked.session not in self._mine:
            text = f"Expected push before samples, but found none of {asked.session!r}. Send push."
            return Error("no_push", text, asked.seq)
        pushed = self._mine[asked.session]
        try:
            packet = read_packet(asked, pushed.inbox.info)
            while not pushed.inbox.put(packet, asked.offset):
                await asyncio.sleep(RETRY_PERIOD)
        except BadSamples as error:
            return Error("bad_samples", str(error), asked.seq)
        except DriverError as error:
            return Error("session_over", pushed.session.reason or str(error), asked.seq)
        self._due[asked.session] = pushed.inbox.next_seq - 1
        return None

    async def _open(self, asked: Push) -> Pushing | Error:
        try:
            pushed = await self._pushes.open(asked)
        except (DriverError, CheckpointError, SessionFailed, SessionTaken) as error:
            return Error("push_refused", str(error), asked.id)
        name = pushed.session.name
        self._mine[name] = pushed
        return Pushing(name, asked.stream, pushed.inbox.next_seq, asked.id)


def read_packet(asked: Samples, info: StreamInfo) -> Packet:
    """Read a message's samples as arrays; raises BadSamples if the sizes do not fit."""
    row = 4 * info.n_channels
    n_times, rest = divmod(len(asked.timestamps), 8)
    if rest or len(asked.data) != n_times * row:
        raise BadSamples(
            f"8 bytes of timestamps and {row} of data a sample",
            f"{len(asked.timestamps)} and {len(asked.data)} bytes",
            f"send float64 times and float32 rows of {info.n_channels} channels",
        )
    texts = [text for each in asked.markers for text in (each.label, each.source)]
    texts += [each.detail for each in asked.changes]
    if texts and max(map(len, texts)) > MAX_TEXT:
        raise BadSamples(
            f"texts of up to {MAX_TEXT} characters", f"{max(map(len, texts))}", "shorten it"
        )
    chunk = Chunk(
        np.frombuffer(asked.data, "<f4")
        .astype(np.float32, copy=False)
        .reshape(n_times, info.n_channels),
        np.frombuffer(asked.timestamps, "<f8").astype(np.float64, copy=False),
        asked.first,
        asked.epoch,
        tuple(asked.markers),
    )
    return Packet(asked.seq, chunk, tuple(asked.changes), asked.ends)


def check_info(info: StreamInfo) -> None:
    """Raise BadSource for a stream that is not valid, or would fill the service's memory."""
    names = info.ch_names
    if not 1 <= len(names) <= MAX_CHANNELS or len(set(names)) < len(names) or not all(names):
        raise BadSource(
            f"1 to {MAX_CHANNELS} channels of different names", f"{len(names)}", "choose channels"
        )
    if not 1 <= info.sfreq <= MAX_SFREQ:
        raise BadSource(f"1 to {MAX_SFREQ:g} Hz", f"{info.sfreq:g} Hz", "resample before")
    for fact in (info.uv_per_bit, info.range_uv):
        if fact is not None and not 0 < fact < math.inf:
            raise BadSource("µV above 0", f"{fact:g}", "leave unknown facts out")
    texts = (info.name, info.source_id, *names, *info.notices)
    if max(map(len, texts)) > MAX_TEXT or len(info.notices) > MAX_NOTICES:
        raise BadSource(
            f"up to {MAX_NOTICES} notices, texts up to {MAX_TEXT} characters",
            f"{len(info.notices)}, the longest of {max(map(len, texts))}",
            "shorten them",
        )
