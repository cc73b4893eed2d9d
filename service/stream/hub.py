"""The hub: who is told what became of sessions, and when each connection is woken.

Sessions prompt it from their threads; it wakes the connections that follow them on the event loop.
Predictions and events wake at once, signal at most 30 times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.protocol.messages import SessionState
from mimamba.service.sessions.epoch_logs import EpochLogs, LinkEntry
from mimamba.service.sessions.log import Log
from mimamba.service.sessions.session import Session
from mimamba.service.stream.reader import SharedFrames

log = logging.getLogger(__name__)

SIGNAL_PERIOD = 1 / 30
"""Seconds between two signal messages of a session: a screen shows no more."""
HEARTBEAT_PERIOD = 1.0
MAX_STATES = 1024
"""States of sessions kept for connections that are slow to read."""


class Listener(Protocol):
    """A connection, as the hub sees it."""

    def wake(self, session: Session | None = None) -> None:
        """There is something new, of a session where one is named."""
        ...

    def beat(self) -> None:
        """A heartbeat is due."""
        ...


@dataclass(eq=False)
class SessionFeed:
    """What the hub knows of a session."""

    frames: SharedFrames
    followers: set[Listener] = field(default_factory=set)
    state: str = "opening"
    shown: float = 0.0
    scheduled: bool = False
    logs: EpochLogs | None = None
    links: int = 0
    """Events of this logs's link that the log has been told."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Wakes connections. All but ``notify`` and ``notify_signal`` are called on its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: set[Listener] = set()
        self._feeds: dict[Session, SessionFeed] = {}
        self._joined = 0
        self.counters = ServiceCounters()
        self.states: Log[SessionState] = Log(MAX_STATES)
        """What became of sessions; every connection reads it."""

    # From any thread -----------------------------------------------------------------------------

    def notify(self, session: Session) -> None:
        """Something of a session should be sent at once."""
        self._soon(self._on_notified, session)

    def notify_signal(self, session: Session) -> None:
        """There is more signal; the event loop is not troubled where nobody follows it."""
        feed = self._feeds.get(session)
        if feed is not None and feed.followers and not feed.scheduled:
            self._soon(self._on_signal, session)

    def _soon(self, call: Callable[[Session], None], session: Session) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, session)

    # On the event loop ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Give the heartbeat until cancelled, and see after markers that wait."""
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            for listener in self._listeners:
                listener.beat()
            for session in self._feeds:
                session.place_markers()  # also those whose sample does not come

    def add(self, session: Session) -> None:
        """Begin to listen to a session."""
        self._feeds[session] = SessionFeed(SharedFrames(self.counters))

    async def opened(self, session: Session) -> None:
        """Wait until a session is open, or has failed to; no thread waits for it."""
        await self._feeds[session].opened.wait()

    def remove(self, session: Session) -> None:
        """A session is closed and gone."""
        del self._feeds[session]
        self._tell(SessionState(session.name, "closed"))

    def join(self, listener: Listener) -> str:
        """A connection has come; its id, for the log."""
        self._listeners.add(listener)
        self._joined += 1
        return f"client-{self._joined}"

    def leave(self, listener: Listener) -> None:
        """A connection has gone."""
        self._listeners.discard(listener)
        for feed in self._feeds.values():
            feed.followers.discard(listener)

    def follow(self, session: Session, listener: Listener) -> None:
        """A connection is to be woken for a session; its signal so far is shown."""
        feed = self._feeds[session]
        first = not feed.followers
        feed.followers.add(listener)  # first, so that no later signal is missed
        if first and session.logs is not None:
            session.logs.signal_shown = session.logs.signal.next

    def unfollow(self, session: Session, listener: Listener) -> None:
        """It need not be woken for that session any more."""
        if session in self._feeds:
            self._feeds[session].followers.discard(listener)

    @property
    def subscribers(self) -> int:
        """How many connections there are."""
        return len(self._listeners)

    def frames(self, session: Session) -> SharedFrames:
        """The frames of a session that its readers share."""
        return self._feeds[session].frames

    def _on_notified(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is None:
            return
        if session.opened.is_set():
            feed.opened.set()
        self._log_losses(session, feed)
        if session.state != feed.state:
            self._state_changed(session, feed)
        _wake(feed, session)

    def _log_losses(self, session: Session, feed: SessionFeed) -> None:
        """Tell the operator where the link to a device is lost, and why."""
        if feed.logs is not session.logs:
            feed.logs, feed.links = session.logs, 0
        if feed.logs is None:
            return
        start, feed.links = feed.links, feed.logs.link.next
        for _, entry in feed.logs.link.read(start, feed.links):
            if isinstance(entry, LinkEntry) and entry.event == "lost":
                told = {"session": session.name, "reason": entry.detail}
                log.warning("link lost", extra=told)

    def _state_changed(self, session: Session, feed: SessionFeed) -> None:
        before, feed.state = feed.state, session.state
        if session.state == "ended":
            self._show(session)
        if before == "opening" and session.logs is not None:
            self._tell(SessionState(session.name, "opened"))
        if session.state == "ended":
            if session.reason is not None:
                kind = type(session.error).__name__ if session.error else "InternalError"
                self.counters.errors[kind] += 1
            self._tell(SessionState(session.name, "ended", session.reason))

    def _tell(self, state: SessionState) -> None:
        told = {"session": state.session, "reason": state.reason}
        log.log(
            logging.WARNING if state.reason else logging.INFO, f"session {state.state}", extra=told
        )
        self.states.append(state)
        for listener in self._listeners:
            listener.wake()

    def _on_signal(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is None or feed.scheduled:
            return
        feed.scheduled = True
        self._loop.call_at(feed.shown + SIGNAL_PERIOD, self._show, session)

    def _show(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is None or session.logs is None:
            return
        feed.scheduled, feed.shown = False, self._loop.time()
        session.logs.signal_shown = session.logs.signal.next
        _wake(feed, session)


def _wake(feed: SessionFeed, session: Session) -> None:
    for listener in feed.followers:
        listener.wake(session)
