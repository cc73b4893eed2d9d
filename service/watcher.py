"""Who is told of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session


class SessionObserver(Protocol):
    """Who is told of a session, from any of its threads; the calls do not block."""

    def notify(self, session: Session) -> None:
        """Something should be sent at once: a prediction, a marker, the link, the state."""
        ...

    def signal(self, session: Session) -> None:
        """There is more signal."""
        ...
