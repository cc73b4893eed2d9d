"""Runs of feedback, or of studies that give it: one at a time in each session."""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from mimamba.drivers.errors import UserError
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.session import Session
from mimamba.service.topics import Topic

LONGEST_BEGIN = 60
"""Characters of a name before its time: a recording's name has up to 81 in all."""

Position_contra = TypeVar("Position_contra", contravariant=True)


class RunLease(Protocol[Position_contra]):
    """The right to go on with a run that several services could."""

    def renew(self, position: Position_contra) -> bool:
        """Note how far it is; return False if another service has it now."""
        ...

    def give_up(self) -> None:
        """Note that it is over."""
        ...


class SessionRun(Protocol):
    """A run in a session that this service has begun, or goes on with."""

    @property
    def session(self) -> Session:
        """Its session."""
        ...

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def recording(self) -> str | None:
        """Name of the recording that ends with it; None without one."""
        ...

    @property
    def going_on(self) -> bool:
        """True until it has ended, or another service goes on with it."""
        ...

    @property
    def over(self) -> bool:
        """True once nothing is left to do for it here."""
        ...

    @property
    def elsewhere(self) -> bool:
        """True if another service goes on with it."""
        ...

    def entry(self) -> FeedbackEntry | StudyEntry:
        """Return its state now, as the session's log has it."""
        ...

    def close(self) -> None:
        """Stop it as the service ends."""
        ...

    def leave(self) -> None:
        """Leave it to another service."""
        ...


AnyRun = TypeVar("AnyRun", bound=SessionRun)
AnyEntry = TypeVar("AnyEntry", FeedbackEntry, StudyEntry)


class SessionRuns(ABC, Generic[AnyRun, AnyEntry]):
    """The newest run of one kind in each session of a service.

    Parameters
    ----------
    topic
        Topic of the sessions' logs that has the states of these runs.
    kind
        Type of these states.
    """

    def __init__(self, topic: Topic, kind: type[AnyEntry]) -> None:
        self._topic: Topic = topic
        self._kind: type[AnyEntry] = kind
        self._live: dict[Session, AnyRun] = {}
        self._changing = threading.Lock()
        self._closed = False

    @abstractmethod
    def _none_in(self, session: Session) -> UserError:
        """Make the error for a session that has had no run."""

    def of(self, session: Session) -> AnyRun:
        """Return the newest run of a session.

        Raises NoFeedback or NoStudy, and NotNow if it is at another service.
        """
        live = self._live.get(session)
        if live is None:
            raise self._none_in(session)
        return live

    def entry_of(self, session: Session) -> AnyEntry:
        """Return the newest state of a session's runs, also of another service.

        Raises NoFeedback or NoStudy.
        """
        live, logs = self._live.get(session), session.logs
        newest: object = None
        if logs is not None:
            log = logs.events(self._topic)
            newest = next((entry for _, entry in log.read(log.next - 1, log.next)), None)
        logged = newest if isinstance(newest, self._kind) else None
        # Another service may have begun one since that of this one ended.
        if live is not None and not live.elsewhere:
            own = live.entry()
            assert isinstance(own, self._kind)
            if live.going_on or logged is None or logged.id == own.id:
                return own
        if logged is None:
            raise self._none_in(session)
        return logged

    def close(self) -> None:
        """Stop all runs; no other can begin."""
        with self._changing:
            self._closed = True
        for live in list(self._live.values()):
            live.close()


def new_name(begin: str, now: datetime | None = None) -> str:
    """Return a name for a run or its recording, which no other one has.

    Parameters
    ----------
    begin
        Its first part, a name itself; shortened where it is long.
    now
        Time in the name. Several may begin in one second, also at other services, so four random
        digits follow it.
    """
    stem = begin[:LONGEST_BEGIN].rstrip(".")
    return f"{stem}-{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
