"""Runs in sessions, studies and feedback, that go on at the gateway that has their recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

from mimamba.service.bus.bus import Bus
from mimamba.service.cluster.continued.bus_recordings import BusRecordings
from mimamba.service.cluster.continued.watched_keys import (
    PATIENCE,
    HeldState,
    NotedKey,
    WatchedKeys,
)
from mimamba.service.sessions.session import Session


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


class Run(Protocol):
    """A run of this gateway, or one that it had."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def elsewhere(self) -> bool:
        """True if another gateway goes on with it."""
        ...

    def leave(self) -> None:
        """Leave it to another gateway."""
        ...


AnyState = TypeVar("AnyState", bound=RunState)
AnyRun = TypeVar("AnyRun", bound=Run)


class RunKeys(WatchedKeys[AnyState], Generic[AnyState, AnyRun]):
    """The keys of all runs of a kind; when a gateway dies, another one goes on with its runs.

    The one that writes a run's recording takes the run, too, as it has to stop it.

    Parameters
    ----------
    bus, pattern, kind
        As for ``WatchedKeys``.
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
        gateway: str,
        recordings: BusRecordings,
        find: Callable[[str], Awaitable[Session | None]],
        runs: Callable[[], Iterable[AnyRun]],
    ) -> None:
        super().__init__(bus, pattern, kind, self._leave)
        self._gateway, self._recordings, self._find, self._runs = gateway, recordings, find, runs
        self._waiting: dict[str, float] = {}

    async def go_on(self, take: Callable[[NotedKey[AnyState], Session | None], None]) -> None:
        """Let ``take``, in another thread, go on with runs that are left, until cancelled."""

        async def take_over(noted: NotedKey[AnyState]) -> None:
            session = await self._find(noted.state.session)
            await asyncio.to_thread(take, noted, session)

        await self.run(self._is_left, take_over)

    def is_here(self, state: AnyState) -> bool:
        """Return whether a run was at this gateway last."""
        return self._run_of(state) is not None

    def elsewhere(self, subject: str, run: AnyRun | None) -> AnyState | None:
        """Return what a key says of a run that is not the one here; None if it says nothing."""
        state = self.of(subject)
        if state is None or (run is not None and run.id == state.id and not run.elsewhere):
            return None
        return state

    def _run_of(self, state: AnyState) -> AnyRun | None:
        found = [each for each in self._runs() if each.id == state.id]
        return next((each for each in found if not each.elsewhere), None)

    def _leave(self, state: AnyState) -> None:
        """Leave a run to the gateway that has it: this one was slow, and was taken for dead."""
        run = self._run_of(state)
        if state.gateway != self._gateway and run is not None:
            run.leave()

    async def _is_left(self, state: AnyState) -> bool:
        """Return whether a run is to go on here."""
        if state.gateway == self._gateway:
            return not self.is_here(state)
        if await self._bus.is_there(state.gateway):
            self._waiting.pop(state.id, None)
            return False
        recording = state.recording
        writer = recording and self._recordings.writer_of(state.session, recording)
        if not recording or not writer or self._recordings.writes(recording):
            return True
        # If nobody has the recording's file, the run goes on without.
        since = self._waiting.setdefault(state.id, time.monotonic())
        return time.monotonic() - since > PATIENCE and not await self._bus.is_there(writer)
