"""Recordings of sessions on the bus, with a lease each: when a recorder dies, another goes on.

The lease is a message on the bus with the place that the file has reached, renewed at each fsync.
Whoever has the folder with the file takes it over, and reads on from there: the bus keeps results
for five minutes. A lock on the file keeps a recorder that was only slow from writing beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import TimeoutError as NoAnswer
from pathlib import Path
from typing import Any

import msgspec

from mimamba.drivers.errors import BadRecording
from mimamba.service.bus.bus import (
    Bus,
    Guard,
    NotStored,
    Overtaken,
    Result,
    publish,
    start_on,
)
from mimamba.service.cluster.placement import LEASE_SECONDS
from mimamba.service.cluster.subjects import decode_or_none, pack, recording_key
from mimamba.service.recordings.recorder import Recorder, RecorderPosition, RecordingEnd
from mimamba.service.recordings.recordings import Recordings, RecordingTaken
from mimamba.service.recordings.recovery import is_being_written, recover_recording
from mimamba.service.recordings.sidecar import Sidecar, load_sidecar
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.storage.folders import CannotRecord

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Seconds between two looks for recordings that nobody writes."""
PATIENCE = 5.0
"""Seconds for the bus to store a lease; a recorder goes on without it, as it has the file."""


class RecordingState(msgspec.Struct, frozen=True):
    """A recording in progress: its gateway, its facts, and the place in its file, if it has one."""

    gateway: str
    sidecar: Sidecar
    position: RecorderPosition | None = None


class HeldKey:
    """A message on the bus that this gateway renews until another one has replaced it.

    Parameters
    ----------
    bus
        The bus.
    loop
        Its event loop; methods are called in other threads.
    subject, sequence
        The message, and its newest number; 0 before the first one.
    """

    def __init__(
        self, bus: Bus, loop: asyncio.AbstractEventLoop, subject: str, sequence: int
    ) -> None:
        self._bus, self._loop = bus, loop
        self._subject, self._sequence = subject, sequence

    def store(self, payload: bytes) -> None:
        """Replace the message; raises Overtaken if another has, and NotStored."""
        guard = Guard(self._subject, self._sequence)
        sending = publish(self._bus, self._subject, payload, guard=guard)
        self._sequence = on_loop(self._loop, sending)

    def store_if_possible(self, payload: bytes) -> bool:
        """Replace the message, if the bus answers; return False if another has."""
        try:
            self.store(payload)
        except Overtaken:
            return False
        except NotStored:
            log.warning("bus", extra={"subject": self._subject})
        return True


class HeldLease:
    """The lease of one recording that this gateway writes; see ``RecorderLease``.

    Parameters
    ----------
    key
        Its message.
    state
        What it says.
    """

    def __init__(self, key: HeldKey, state: RecordingState) -> None:
        self._key, self._state = key, state

    def renew(self, position: RecorderPosition) -> bool:
        """Note how far the file is; return False if another gateway has it now.

        Where the bus does not answer it goes on: the file is locked, so nobody else writes it.
        """
        state = msgspec.structs.replace(self._state, position=position)
        return self._key.store_if_possible(pack(state))

    def give_up(self) -> None:
        """Let the session be recorded anew."""
        self._key.store_if_possible(b"")


def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of work on an event loop; raises NotStored where it takes too long."""
    doing = start_on(loop, work)
    try:
        return doing.result(PATIENCE)
    except NoAnswer:
        doing.cancel()
        raise NotStored(f"no answer within {PATIENCE:g} s") from None


class BusRecordings(Recordings):
    """Recordings of a gateway; others with the same folder go on with them.

    Parameters
    ----------
    folder
        As for ``Recordings``.
    bus
        The bus.
    gateway
        The name under which this gateway answers on the bus.
    find
        Returns a session with filled logs, or None.
    """

    def __init__(
        self,
        folder: Path,
        bus: Bus,
        gateway: str,
        find: Callable[[str], Awaitable[Session | None]],
    ) -> None:
        super().__init__(folder)
        self._bus, self._gateway, self._find = bus, gateway, find
        self._loop = asyncio.get_running_loop()
        self._states: dict[str, tuple[int, RecordingState]] = {}
        self._leases: dict[str, HeldLease] = {}

    async def load(self) -> None:
        """Learn which recordings are in progress."""
        for message in await self._bus.newest(recording_key("*")):
            self._note(message.subject, message.sequence, message.payload)

    async def run(self) -> None:
        """Go on with recordings of this folder that nobody writes any more, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._take_over_all())

    async def _watch(self) -> None:
        async with self._bus.follow(recording_key("*"), "newest") as messages:
            async for message in messages:
                self._note(message.subject, message.sequence, message.payload)

    def _note(self, subject: str, sequence: int, payload: bytes) -> None:
        state = decode_or_none(payload, RecordingState) if payload else None
        if state is None:
            self._states.pop(subject, None)
        else:
            self._states[subject] = sequence, state

    def writer_of(self, session: str, name: str) -> str | None:
        """Return the gateway that writes a session's recording; None if nobody does."""
        _, state = self._states.get(recording_key(session), (0, None))
        return None if state is None or state.sidecar.name != name else state.gateway

    def writes(self, name: str) -> bool:
        """Return whether this gateway writes a recording."""
        return name in self._running

    # Beginning and ending, in other threads -------------------------------------------------------

    def recover(self, but: Collection[str] = ()) -> None:
        """Repair recordings that were cut off, but those that are to go on."""
        names = [state.sidecar.name for _, state in list(self._states.values())]
        super().recover((*but, *names))

    def check_not_recorded(self, session: Session) -> None:
        """Raise RecordingTaken if a session is being recorded, here or by another gateway."""
        super().check_not_recorded(session)
        subject = recording_key(session.name)
        for message in on_loop(self._loop, self._bus.newest(subject)):
            self._note(subject, message.sequence, message.payload)
        _, state = self._states.get(subject, (0, None))
        if state is not None and self._goes_on(state):
            raise RecordingTaken(
                f"The session {session.name} is already recorded to {state.sidecar.name}. "
                "Stop that recording first."
            )

    def _goes_on(self, state: RecordingState) -> bool:
        """Return whether a recording has a gateway, or a file here with which one goes on."""
        if self._path(state.sidecar.name).exists():
            return True
        return on_loop(self._loop, self._bus.is_there(state.gateway))

    def _make_recorder(self, path: Path, sidecar: Sidecar, session: Session) -> Recorder:
        subject = recording_key(session.name)
        newest = on_loop(self._loop, self._bus.newest(subject))
        key = HeldKey(self._bus, self._loop, subject, newest[0].sequence if newest else 0)
        state = RecordingState(self._gateway, sidecar)
        try:
            key.store(pack(state))
        except Overtaken:
            raise RecordingTaken(
                f"The session {session.name} is recorded by another service from now on. "
                "Stop that recording first."
            ) from None
        lease = HeldLease(key, state)
        try:
            recorder = Recorder(path, session, self._ending(sidecar, lease), lease)
        except BaseException:
            lease.give_up()
            raise
        return recorder

    def _ending(self, sidecar: Sidecar, lease: HeldLease) -> Callable[[RecordingEnd], None]:
        def end(ending: RecordingEnd) -> None:
            self._ended(sidecar, ending)
            if not ending.elsewhere:
                lease.give_up()

        return end

    # Going on, on the event loop ------------------------------------------------------------------

    async def _take_over_all(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for subject, (sequence, state) in list(self._states.items()):
                with contextlib.suppress(NotStored, Overtaken):
                    if not await self._is_left(state):
                        continue
                    sidecar = load_sidecar(self._path(state.sidecar.name))
                    if sidecar.state == "recording":
                        await self._take_over(subject, sequence, state)
                    else:  # it has ended while the bus did not answer
                        await publish(self._bus, subject, b"", guard=Guard(subject, sequence))

    async def _is_left(self, state: RecordingState) -> bool:
        """Return whether a file of this folder has no recorder any more."""
        name = state.sidecar.name
        path = self._path(name)
        if self._closed or name in self._running or not path.exists():
            return False
        if time.monotonic() - self._bus.connected_since < LEASE_SECONDS:
            return False  # after an outage of the server, all are given time to connect again
        if state.gateway != self._gateway and await self._bus.is_there(state.gateway):
            return False
        return not await asyncio.to_thread(is_being_written, path)

    async def _take_over(self, subject: str, sequence: int, state: RecordingState) -> None:
        mine = msgspec.structs.replace(state, gateway=self._gateway)
        guard = Guard(subject, sequence)
        sequence = await publish(self._bus, subject, pack(mine), guard=guard)
        self._states[subject] = sequence, mine
        lease = HeldLease(HeldKey(self._bus, self._loop, subject, sequence), mine)
        name = state.sidecar.name
        session = await self._find(state.sidecar.session or "")
        try:
            await asyncio.to_thread(self._continue, mine, session, lease)
        except (CannotRecord, SessionOver) as error:
            extra = {"recording": name, "reason": str(error)}
            log.warning("a recording does not go on", extra=extra)
            with contextlib.suppress(BadRecording):  # its sidecar says so
                await asyncio.to_thread(recover_recording, self._path(name))
            await asyncio.to_thread(lease.give_up)

    def _continue(self, state: RecordingState, session: Session | None, lease: HeldLease) -> None:
        """Go on with a recording; raises CannotRecord or SessionOver where that is impossible."""
        sidecar, position = state.sidecar, state.position
        if session is None or position is None:
            raise SessionOver("Expected its session, but found that it has ended.")
        logs = session.check_open()
        if logs.epoch != position.epoch or logs.signal.oldest > position.at["signal"]:
            raise SessionOver("Expected what came since on the bus, but found that it is gone.")
        path, ending = self._path(sidecar.name), self._ending(sidecar, lease)
        with self._changing:
            recorder = Recorder(path, session, ending, lease, position)
            self._running[sidecar.name] = session, recorder
            recorder.start()
        log.warning("recording goes on", extra={"recording": sidecar.name})
