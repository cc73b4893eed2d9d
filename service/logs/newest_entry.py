"""The newest state of what goes on in a session, here or at another service."""

from __future__ import annotations

from typing import Protocol, TypeVar

from mimamba.service.logs.epoch_logs import Event
from mimamba.service.logs.log import Log
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.study_progress import StudyEntry

AnyEntry = TypeVar("AnyEntry", FeedbackEntry, StudyEntry)
EntryOfRun_co = TypeVar("EntryOfRun_co", covariant=True)


class LoggedRun(Protocol[EntryOfRun_co]):
    """A run that logs its states."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def going_on(self) -> bool:
        """True until it has ended."""
        ...

    @property
    def elsewhere(self) -> bool:
        """True if another service goes on with it."""
        ...

    def entry(self) -> EntryOfRun_co:
        """Return its state now."""
        ...


def newest_entry(
    own: LoggedRun[AnyEntry] | None, log: Log[Event] | None, kind: type[AnyEntry]
) -> AnyEntry | None:
    """Return the newest state of a session's runs; None if it has had none.

    Parameters
    ----------
    own
        The newest run of this service, if any: another service may have begun one since it ended.
    log
        The session's log of these states; None without one.
    kind
        Their type.
    """
    found = log.read(log.next - 1, log.next) if log is not None else []
    logged = next((entry for _, entry in found if isinstance(entry, kind)), None)
    if own is None or own.elsewhere:
        return logged
    if own.going_on or logged is None or logged.id == own.id:
        return own.entry()
    return logged
