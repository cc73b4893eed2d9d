"""Runs in sessions, studies and feedback, that go on at the gateway that has their recording."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from mimamba.drivers.errors import UserError
from mimamba.service.bus.bus import Bus, NotStored
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.failover.watched_keys import (
    LOOK_SECONDS,
    HeldState,
    NotedKey,
    WatchedKeys,
)
from mimamba.service.cluster.placement import LEASE_SECONDS
from mimamba.service.feedback.session_runs import AnyRun, SessionRun
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)


FILE_SECONDS = 7.0
"""Seconds to wait until a gateway goes on with a run's recording: one that was cut off has left the
file by then."""


class RunState(HeldState, frozen=True):
    """State of a run in a session."""

    session: str

    @property
    def id(self) -> str:
        """Name of the run."""
        raise NotImplementedError

    @property
    def recording(self) -> str | None:
        """Name of the recording that ends with it; None without one."""
        raise NotImplementedError


AnyState = TypeVar("AnyState", bound=RunState)


class RunKeys(WatchedKeys[AnyState], Generic[AnyState, AnyRun]):
    """The keys of all runs of a kind; when a gateway dies, another one goes on with its runs.

    The one that writes a run's recording takes the run, too, as it has to stop it.

    Parameters
    ----------
    bus, pattern, kind
        As for ``WatchedKeys``.
    key
        Returns the subject of a session.
    gateway
        The name under which this gateway answers on the bus.
    recordings
        Of this gateway.
    find
        Returns a session with filled logs, or None.
    runs
        Returns the runs of this gateway.
    """

    def __init__(
        self,
        bus: Bus,
        pattern: str,
        kind: type[AnyState],
        key: Callable[[str], str],
        gateway: str,
        recordings: BusRecordings,
        find: Callable[[str], Awaitable[Session | None]],
        runs: Callable[[], Iterable[AnyRun]],
    ) -> None:
        super().__init__(bus, pattern, kind, self._leave)
        self._key, self._gateway, self._recordings = key, gateway, recordings
        self._find, self._runs = find, runs
        self._waiting: dict[tuple[str, str], float] = {}
        """Since when nobody has a run's file, by its session and its name."""

    async def go_on(self, take: Callable[[NotedKey[AnyState], Session | None], None]) -> None:
        """Let ``take``, in another thread, go on with runs that are left, until cancelled."""

        async def take_over(noted: NotedKey[AnyState]) -> None:
            if self._has_ended(noted.state):  # the bus did not answer then
                await self.clear(noted)
                return
            session = await self._find(noted.state.session)
            await asyncio.to_thread(take, noted, session)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.run(self._is_left, take_over))
            tasks.create_task(self._release_all())

    def is_here(self, state: AnyState) -> bool:
        """Return whether a run goes on at this gateway."""
        return self._run_of(state) is not None

    def elsewhere(self, subject: str, run: AnyRun | None) -> AnyState | None:
        """Return what a key says of a run that is not the one here; None if it says nothing."""
        state = self.of(subject)
        if state is None or (run is not None and run.id == state.id and not run.elsewhere):
            return None
        return state

    def release(self, run: AnyRun | None) -> None:
        """Stop the recording of a run that another gateway has ended, as only this one can.

        That is so if this gateway was cut off from the bus, and has gone on to write the file.
        Called in another thread; raises as ``Recordings.stop``, and NotStored.
        """
        if run is None or run.recording is None or not self._records_left(run):
            return
        _, state = self.ask(self._key(run.session.name))
        if state is None or state.id != run.id:
            self._recordings.stop(run.recording)

    async def _release_all(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for run in filter(self._records_left, self._runs()):
                # After an outage of the server, the end of the run is read first.
                if time.monotonic() - self._bus.connected_since < LEASE_SECONDS:
                    break
                try:
                    with contextlib.suppress(NotStored):
                        await asyncio.to_thread(self.release, run)
                except (UserError, OSError) as error:
                    log.warning("a recording could not be stopped", extra={"reason": str(error)})

    def _records_left(self, run: AnyRun) -> bool:
        """Return whether this gateway has left a run, but still writes its recording."""
        name = run.recording
        session = run.session.name
        if not run.elsewhere or name is None or not self._recordings.writes(name, session):
            return False
        return self._recordings.writer_of(session, name) == self._gateway

    def _run_of(self, state: AnyState) -> AnyRun | None:
        found = [each for each in self._runs() if _is(each, state)]
        return next((each for each in found if not each.elsewhere and not each.over), None)

    def _has_ended(self, state: AnyState) -> bool:
        """Return whether a run was at this gateway last, and has ended here."""
        ended = [each for each in self._runs() if each.over and not each.elsewhere]
        return state.gateway == self._gateway and any(_is(each, state) for each in ended)

    def _leave(self, state: AnyState) -> None:
        """Leave a run to the gateway that has it: this one was slow, and was taken for dead."""
        run = self._run_of(state)
        if state.gateway != self._gateway and run is not None:
            run.leave()

    async def _is_left(self, state: AnyState) -> bool:
        """Return whether a run is to go on here."""
        if state.gateway == self._gateway:
            return not self.is_here(state)
        recording = state.recording
        if recording and self._recordings.writes(recording, state.session):
            return True  # it began at the run's gateway, which is gone or cut off
        if await self._bus.is_there(state.gateway):
            self._waiting.pop((state.session, state.id), None)
            return False
        writer = recording and self._recordings.writer_of(state.session, recording)
        if not recording or not writer:
            return True
        # If nobody has the recording's file, the run goes on without.
        since = self._waiting.setdefault((state.session, state.id), time.monotonic())
        return time.monotonic() - since > FILE_SECONDS and not await self._bus.is_there(writer)


def _is(run: SessionRun, state: RunState) -> bool:
    """Return whether a state is that of a run: earlier versions gave a name to several sessions."""
    return (run.session.name, run.id) == (state.session, state.id)
