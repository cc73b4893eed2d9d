"""Recordings of sessions on the bus, with a lease each: when a recorder dies, another goes on.

The lease is a message on the bus with the place that the file has reached, renewed at each fsync.
Whoever has the folder with the file takes it over, and reads on from there: the bus keeps results
for five minutes. A lock on the file keeps a recorder that was only slow from writing beside it. One
that is cut off from the bus leaves its file to another gateway that asks for it in the folder.
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
from mimamba.service.bus.bus import Bus, NotStored, Overtaken
from mimamba.service.cluster.failover.watched_keys import (
    HeldKey,
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


SILENT_SECONDS = 3.0
"""Seconds without a renewed lease after which another gateway asks for the file: a recorder renews
it every 2 s."""


class RecordingState(HeldState, frozen=True):
    """A recording in progress: its gateway, its facts, and the place in its file, if it has one."""

    sidecar: Sidecar
    position: RecorderPosition | None = None

    def at(self, position: RecorderPosition) -> RecordingState:
        """Return the same recording at another place in its file."""
        return msgspec.structs.replace(self, position=position)


class RecordingLease(HeldLease[RecorderPosition]):
    """The right to write a recording's file.

    Without the bus it goes on, until another gateway of the folder asks for the file.

    Parameters
    ----------
    key, state_at
        As for ``HeldLease``; the message is this gateway's.
    path
        The file.
    """

    def __init__(
        self, key: HeldKey, state_at: Callable[[RecorderPosition], HeldState], path: Path
    ) -> None:
        super().__init__(key, state_at, held=True)
        self._path = path

    def renew(self, position: RecorderPosition) -> bool:
        """Note a position; return False if another gateway has the file now, or is to have it."""
        try:
            self._key.store(pack(self._state_at(position)))
        except Overtaken:
            return False
        except NotStored:
            return not asked_for(self._path).exists()
        forget_asking(self._path)
        return True

    def give_up(self) -> None:
        """Note that it is over."""
        super().give_up()
        forget_asking(self._path)


def asked_for(path: Path) -> Path:
    """Return the file beside a recording's that is there while another gateway asks for it."""
    return path.with_name(f".{path.name}.asked")


def forget_asking(path: Path) -> None:
    """Remove what another gateway asked while the one that wrote a recording seemed to be gone."""
    with contextlib.suppress(OSError):
        asked_for(path).unlink(missing_ok=True)


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

    def writes(self, name: str, session: str | None) -> bool:
        """Return whether this gateway writes a session's recording."""
        running = self._running.get(name)
        return running is not None and running[0].name == session

    def get(self, name: str) -> RecordingInfo:
        """Return one recording; one that is about to go on is in progress. Raises NoRecording."""
        found = super().get(name)
        if found.state == "unfinished" and any(_is_of(found, each) for each in self._keys.all()):
            return replace(found, state="recording")
        return found

    def _has_file(self, state: RecordingState) -> bool:
        """Return whether the file of its name in this folder is a recording's; reads the disk.

        Gateways may have a folder each, with recordings of the same name.
        """
        path = self._path(state.sidecar.name)
        return path.exists() and _is_of(load_sidecar(path), state)

    # Beginning and ending, in other threads -------------------------------------------------------

    def recover(self, but: Collection[str] = ()) -> None:
        """Repair recordings that were cut off, but those that are to go on."""
        going_on = [each.sidecar.name for each in self._keys.all() if self._has_file(each)]
        super().recover((*but, *going_on))

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
        if self._has_file(state):
            return True
        return not self._is_idle(state) and self._keys.is_there(state.gateway)

    def _is_idle(self, state: RecordingState) -> bool:
        """Return whether this gateway has the key of a recording that it does not write.

        Without a file, while none begins, such a recording never began.
        """
        sidecar = state.sidecar
        return state.gateway == self._gateway and not self.writes(sidecar.name, sidecar.session)

    def _delete_files(self, name: str) -> None:
        forget_asking(self._path(name))
        super()._delete_files(name)

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
        forget_asking(path)  # it was of an earlier recording
        lease = RecordingLease(key, state.at, path)
        try:
            recorder = Recorder(path, session, self._ending(sidecar, lease), lease)
        except BaseException:
            lease.give_up()
            raise
        return recorder

    def _ending(self, sidecar: Sidecar, lease: RecordingLease) -> Callable[[RecordingEnd], None]:
        def end(ending: RecordingEnd) -> None:
            self._ended(sidecar, ending)
            if not ending.elsewhere:
                lease.give_up()

        return end

    # Going on, on the event loop ------------------------------------------------------------------

    async def _is_left(self, state: RecordingState) -> bool:
        """Return whether a file of this folder has no recorder any more."""
        name, session = state.sidecar.name, state.sidecar.session
        mine = state.gateway == self._gateway
        idle = self._is_idle(state) and not self._changing.locked()
        if idle and not await asyncio.to_thread(self._has_file, state):
            return True
        path = self._path(name)
        if self._closed or name in self._running or not path.exists():
            return False
        if not mine and await self._bus.is_there(state.gateway):
            # The server may not see that a gateway is cut off.
            if self._keys.silence(recording_key(session or "")) < SILENT_SECONDS:
                return False
            await self._bus.now()  # raises NotStored if it is this one that is cut off
        if not await asyncio.to_thread(self._has_file, state):
            return False
        if not await asyncio.to_thread(is_being_written, path):
            return True
        if not mine:
            with contextlib.suppress(OSError):
                asked_for(path).touch(mode=0o600)
        return False

    async def _take_over(self, noted: NotedKey[RecordingState]) -> None:
        name = noted.state.sidecar.name
        path = self._path(name)
        found = await asyncio.to_thread(load_sidecar, path)
        forget_asking(path)  # whoever wrote it has left it
        if found.state != "recording" or not _is_of(found, noted.state):
            await self._keys.clear(noted)  # it never began, or ended while the bus did not answer
            return
        state = msgspec.structs.replace(noted.state, gateway=self._gateway)
        session = await self._find(state.sidecar.session or "")  # or NotStored, without a lease
        lease = RecordingLease(await self._keys.take(noted, state), state.at, path)
        try:
            await asyncio.to_thread(self._continue, state, session, lease)
        except (CannotRecord, SessionOver) as error:
            extra = {"recording": name, "reason": str(error)}
            log.warning("a recording does not go on", extra=extra)
            with contextlib.suppress(BadRecording):  # its sidecar says so
                await asyncio.to_thread(recover_recording, path)
            await asyncio.to_thread(lease.give_up)

    def _continue(
        self,
        state: RecordingState,
        session: Session | None,
        lease: RecordingLease,
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


def _is_of(sidecar: Sidecar, state: RecordingState) -> bool:
    """Return whether a sidecar on the disk is that of a recording, and not of a namesake."""
    begun = state.sidecar
    return (sidecar.name, sidecar.session, sidecar.started) == (
        begun.name,
        begun.session,
        begun.started,
    )
