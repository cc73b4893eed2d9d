"""The hub: wakes connections when there is something new in the sessions that they follow.

Sessions notify it from their threads; it wakes connections on the event loop: immediately for
predictions and events, at most 30 times a second for signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mimamba.service.logs.epoch_logs import EpochLogs, LinkEntry
from mimamba.service.logs.log import Log
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.protocol.messages import SessionState
from mimamba.service.sessions.session import Session
from mimamba.service.stream.reader import SharedFrames

log = logging.getLogger(__name__)

SIGNAL_PERIOD = 1 / 30
"""Seconds between two signal messages of a session: a screen shows no more."""
HEARTBEAT_PERIOD = 1.0
MAX_STATES = 1024
"""Session states kept for connections that are slow to read."""


class Listener(Protocol):
    """A connection, as the hub sees it."""

    def wake(self, session: Session | None = None) -> None:
        """Wake it: there is something new, in a session if one is named."""
        ...

    def beat(self) -> None:
        """A heartbeat is due."""
        ...


@dataclass(eq=False)
class SessionFeed:
    """The followers of a session, and what they share."""

    frames: SharedFrames
    followers: set[Listener] = field(default_factory=set)
    viewers: set[Listener] = field(default_factory=set)
    """Followers of its signal, quality or bands; others are not woken for these."""
    state: str = "opening"
    shown: float = 0.0
    scheduled: bool = False
    logs: EpochLogs | None = None
    links: int = 0
    """Link events of these logs that are in the operator's log."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Wakes connections; used on its event loop, but for ``notify`` and ``notify_round``."""

    def __init__(self) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._listeners: set[Listener] = set()
        self._feeds: dict[Session, SessionFeed] = {}
        self._joined = 0
        self.counters = ServiceCounters()
        self.states: Log[SessionState] = Log(MAX_STATES)
        """Changes of the sessions' states; every connection reads it."""
        self.farewell: str | None = None
        """Reason for which connections are closed, new ones too; None to serve them."""

    # From any thread -----------------------------------------------------------------------------

    def notify(self, session: Session) -> None:
        """Wake the followers of a session."""
        self._soon(self._on_notified, session)

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Wake the followers of sessions with news, and viewers of others when they are due."""
        feeds = [(session, self._feeds.get(session)) for session in signal]
        due = [session for session, feed in feeds if feed and feed.viewers and not feed.scheduled]
        if due or news:
            self._soon(self._on_round, due, news)

    def _soon(self, call: Callable[..., None], *arguments: object) -> None:
        on_loop = threading.get_ident() == self._thread  # then it need not be woken
        soon = self._loop.call_soon if on_loop else self._loop.call_soon_threadsafe
        with contextlib.suppress(RuntimeError):  # the loop is closed, with all connections
            soon(call, *arguments)

    # On the event loop ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Send the heartbeat until cancelled, and place the markers that wait."""
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            for listener in self._listeners:
                listener.beat()
            for session in self._feeds:
                session.place_markers()  # also if their sample does not come

    def add(self, session: Session) -> None:
        """Add a session, before it starts."""
        self._feeds[session] = SessionFeed(SharedFrames(self.counters))

    async def opened(self, session: Session) -> None:
        """Wait until a session is open, or has failed to; no thread waits for it."""
        await self._feeds[session].opened.wait()

    def remove(self, session: Session) -> None:
        """Remove a session that has ended, and report that it is closed."""
        del self._feeds[session]
        self._publish_state(SessionState(session.name, "closed"))

    def join(self, listener: Listener) -> str:
        """Add a connection; return its id for the operator's log."""
        self._listeners.add(listener)
        self._joined += 1
        return f"client-{self._joined}"

    def leave(self, listener: Listener) -> None:
        """Remove a connection."""
        self._listeners.discard(listener)
        for session in self._feeds:
            self.unfollow(session, listener)

    def dismiss_all(self, reason: str) -> None:
        """Close all connections, but those that push, and new ones at once until ``welcome``."""
        self.farewell = reason
        for listener in self._listeners:
            listener.wake()

    def welcome(self) -> None:
        """Take connections again."""
        self.farewell = None

    def follow(self, session: Session, listener: Listener, views: bool) -> None:
        """Wake a connection for a session from now on.

        With ``views`` it is woken for signal, quality and bands, too; its signal so far is shown.
        """
        feed = self._feeds[session]
        feed.followers.add(listener)
        if not views:
            feed.viewers.discard(listener)
            session.watchers.discard(listener)
            return
        first = not feed.viewers
        feed.viewers.add(listener)  # first, so that no later signal is missed
        session.watchers.add(listener)
        if first and session.logs is not None:
            session.logs.signal_shown = session.logs.signal.next

    def unfollow(self, session: Session, listener: Listener) -> None:
        """Wake a connection for that session no more."""
        if session in self._feeds:
            self._feeds[session].followers.discard(listener)
            self._feeds[session].viewers.discard(listener)
            session.watchers.discard(listener)

    @property
    def subscribers(self) -> int:
        """Number of connections."""
        return len(self._listeners)

    def frames(self, session: Session) -> SharedFrames:
        """Return the frames of a session that its readers share."""
        return self._feeds[session].frames

    def _on_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        for session in news:
            self._on_notified(session)
        for session in signal:
            self._on_signal(session)

    def _on_notified(self, session: Session) -> None:
        feed = self._feeds.get(session)
        if feed is None:
            return
        if not feed.opened.is_set() and session.opened.is_set():
            feed.opened.set()
        self._log_losses(session, feed)
        if session.state != feed.state:
            self._state_changed(session, feed)
        for listener in feed.followers:
            listener.wake(session)

    def _log_losses(self, session: Session, feed: SessionFeed) -> None:
        """Log that the link to a device is lost, and why."""
        logs = session.logs
        if feed.logs is not logs:
            feed.logs, feed.links = logs, 0
        if logs is None or feed.links == logs.link.next:  # the usual case
            return
        start, feed.links = feed.links, logs.link.next
        for _, entry in logs.link.read(start, feed.links):
            if isinstance(entry, LinkEntry) and entry.event == "lost":
                extra = {"session": session.name, "reason": entry.detail}
                log.warning("link lost", extra=extra)

    def _state_changed(self, session: Session, feed: SessionFeed) -> None:
        before, feed.state = feed.state, session.state
        if session.state == "ended":
            self._show(session)
        if before == "opening" and session.logs is not None:
            self._publish_state(SessionState(session.name, "opened"))
        if session.state == "ended":
            if session.reason is not None:
                kind = type(session.error).__name__ if session.error else "InternalError"
                self.counters.errors[kind] += 1
            # One that never opened is the answer to who opened it, who reports the reason.
            opened = session.logs is not None
            ended = SessionState(session.name, "ended", session.reason)
            self._publish_state(ended, logging.WARNING if opened else logging.INFO)

    def _publish_state(self, state: SessionState, level: int = logging.WARNING) -> None:
        """Publish a state; logged at ``level`` if it has a reason."""
        extra = {"session": state.session, "reason": state.reason}
        log.log(level if state.reason else logging.INFO, f"session {state.state}", extra=extra)
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
        for listener in feed.viewers:
            listener.wake(session)
