"""Recordings of sessions on the bus, with a lease each: when a recorder dies, another goes on.

The lease is a message on the bus with the place that the file has reached, renewed at each fsync.
Whoever has the folder with the file takes it over, and reads on from there: the bus keeps results
for five minutes. A lock on the file keeps a recorder that was only slow from writing beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path

import msgspec

from mimamba.drivers.errors import BadRecording
from mimamba.service.bus.bus import Bus, Overtaken
from mimamba.service.cluster.failover.watched_keys import (
    HeldLease,
    HeldState,
    NotedKey,
    WatchedKeys,
)
from mimamba.service.cluster.subjects import pack, recording_key
from mimamba.service.recordings.recorder import Recorder, RecorderPosition, RecordingEnd
from mimamba.service.recordings.recordings import Recordings, RecordingTaken
from mimamba.service.recordings.recovery import is_being_written, recover_recording
from mimamba.service.recordings.sidecar import RecordingInfo, Sidecar, load_sidecar
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.storage.folders import CannotRecord

log = logging.getLogger(__name__)


class RecordingState(HeldState, frozen=True):
    """A recording in progress: its gateway, its facts, and the place in its file, if it has one."""

    sidecar: Sidecar
    position: RecorderPosition | None = None

    def at(self, position: RecorderPosition) -> RecordingState:
        """Return the same recording at another place in its file."""
        return msgspec.structs.replace(self, position=position)


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
        self._keys = WatchedKeys(bus, recording_key("*"), RecordingState)

    async def load(self) -> None:
        """Learn which recordings are in progress."""
        await self._keys.load()

    async def run(self) -> None:
        """Go on with recordings of this folder that nobody writes any more, until cancelled."""
        await self._keys.run(self._is_left, self._take_over)

    def writer_of(self, session: str, name: str) -> str | None:
        """Return the gateway that writes a session's recording; None if nobody does."""
        state = self._keys.of(recording_key(session))
        return None if state is None or state.sidecar.name != name else state.gateway

    def writes(self, name: str) -> bool:
        """Return whether this gateway writes a recording."""
        return name in self._running

    def get(self, name: str) -> RecordingInfo:
        """Return one recording; one that is about to go on is in progress. Raises NoRecording."""
        found = super().get(name)
        if found.state == "unfinished" and name in self._in_progress():
            return replace(found, state="recording")
        return found

    def _in_progress(self) -> list[str]:
        return [state.sidecar.name for state in self._keys.all()]

    # Beginning and ending, in other threads -------------------------------------------------------

    def recover(self, but: Collection[str] = ()) -> None:
        """Repair recordings that were cut off, but those that are to go on."""
        super().recover((*but, *self._in_progress()))

    def check_not_recorded(self, session: Session) -> None:
        """Raise RecordingTaken if a session is being recorded, here or by another gateway."""
        super().check_not_recorded(session)
        _, state = self._keys.ask(recording_key(session.name))
        if state is not None and self._goes_on(state):
            raise RecordingTaken(
                f"The session {session.name} is already recorded to {state.sidecar.name}. "
                "Stop that recording first."
            )

    def _goes_on(self, state: RecordingState) -> bool:
        """Return whether a recording has a gateway, or a file here with which one goes on."""
        if self._never_began(state):
            return False
        return self._path(state.sidecar.name).exists() or self._keys.is_there(state.gateway)

    def _never_began(self, state: RecordingState) -> bool:
        """Return whether a key is left of a recording that could not begin at this gateway.

        Called while none begins.
        """
        name = state.sidecar.name
        mine = state.gateway == self._gateway and name not in self._running
        return mine and not self._path(name).exists()

    def _make_recorder(self, path: Path, sidecar: Sidecar, session: Session) -> Recorder:
        subject = recording_key(session.name)
        sequence, _ = self._keys.ask(subject)
        key = self._keys.hold(subject, sequence)
        state = RecordingState(self._gateway, sidecar)
        try:
            key.reserve()
            held = key.store_if_possible(pack(state))
        except Overtaken:
            held = False
        if not held:
            raise RecordingTaken(
                f"The session {session.name} is recorded by another service from now on. "
                "Stop that recording first."
            )
        lease = HeldLease(key, state.at, held=True)
        try:
            recorder = Recorder(path, session, self._ending(sidecar, lease), lease)
        except BaseException:
            lease.give_up()
            raise
        return recorder

    def _ending(
        self, sidecar: Sidecar, lease: HeldLease[RecorderPosition]
    ) -> Callable[[RecordingEnd], None]:
        def end(ending: RecordingEnd) -> None:
            self._ended(sidecar, ending)
            if not ending.elsewhere:
                lease.give_up()

        return end

    # Going on, on the event loop ------------------------------------------------------------------

    async def _is_left(self, state: RecordingState) -> bool:
        """Return whether a file of this folder has no recorder any more."""
        if not self._changing.locked() and self._never_began(state):
            return True
        name = state.sidecar.name
        path = self._path(name)
        if self._closed or name in self._running or not path.exists():
            return False
        if state.gateway != self._gateway and await self._bus.is_there(state.gateway):
            return False
        return not await asyncio.to_thread(is_being_written, path)

    async def _take_over(self, noted: NotedKey[RecordingState]) -> None:
        name = noted.state.sidecar.name
        if load_sidecar(self._path(name)).state != "recording":
            await self._keys.clear(noted)  # it never began, or ended while the bus did not answer
            return
        state = msgspec.structs.replace(noted.state, gateway=self._gateway)
        lease = HeldLease(await self._keys.take(noted, state), state.at, held=True)
        session = await self._find(state.sidecar.session or "")
        try:
            await asyncio.to_thread(self._continue, state, session, lease)
        except (CannotRecord, SessionOver) as error:
            extra = {"recording": name, "reason": str(error)}
            log.warning("a recording does not go on", extra=extra)
            with contextlib.suppress(BadRecording):  # its sidecar says so
                await asyncio.to_thread(recover_recording, self._path(name))
            await asyncio.to_thread(lease.give_up)

    def _continue(
        self,
        state: RecordingState,
        session: Session | None,
        lease: HeldLease[RecorderPosition],
    ) -> None:
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
