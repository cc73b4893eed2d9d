"""Rules that watch all sessions of a running service, in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.bridges.log_reader import LogReader
from mimamba.service.logs.epoch_logs import Event
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.rules.quality_join import QualityJoin
from mimamba.service.rules.rule_actions import Publisher, RuleAct, RuleActions
from mimamba.service.rules.rule_file import Rule
from mimamba.service.rules.rule_state import RuleState
from mimamba.service.rules.watched_values import band_value, predicted_value
from mimamba.service.sessions.session import Session
from mimamba.service.topics import Topic

WAKE = 0.1
"""Seconds between two reads of the logs."""
TOPICS: tuple[Topic, ...] = ("prediction", "quality", "bands")
"""Quality comes before the bands that it is about."""


class RulesRunner:
    """Follows each session with all rules that are for it.

    Parameters
    ----------
    sessions
        Returns the sessions by id; called in the thread.
    rules
        The rules.
    publisher
        For MQTT messages; None where no rule has any.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, Session]],
        rules: Sequence[Rule],
        publisher: Publisher | None = None,
    ) -> None:
        self._sessions, self._rules = sessions, rules
        self._followed: dict[Session, RuledSession] = {}
        self._closed = threading.Event()
        self.actions = RuleActions(publisher)
        self._thread = threading.Thread(target=self._run, name="rules")

    def start(self) -> None:
        """Start to watch."""
        self.actions.start()
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when all threads have ended."""
        self._closed.set()
        self._thread.join()
        self.actions.close()

    def _run(self) -> None:
        while not self._closed.wait(WAKE):
            present = [each for each in self._sessions().values() if each.logs is not None]
            for session in present:
                if session not in self._followed:
                    self._followed[session] = RuledSession(session, self._rules)
                for act in self._followed[session].acts():
                    self.actions.act(act, session)
            for gone in self._followed.keys() - set(present):
                self._followed.pop(gone).leave()
        for each in self._followed.values():
            each.leave()


class RuledSession:
    """A session's place in its logs, and the state of each rule that is for it.

    A rule on a band watches the session until ``leave``, as its signal may wait else.
    """

    def __init__(self, session: Session, rules: Sequence[Rule]) -> None:
        self._session = session
        self._reader = LogReader(session, TOPICS)
        self._states = [RuleState(rule) for rule in rules if rule.session in (None, session.name)]
        self._quality = QualityJoin()
        if any(each.rule.watched.kind == "band" for each in self._states):
            session.watchers.add(self)

    def leave(self) -> None:
        """Watch the session no more."""
        self._session.watchers.discard(self)

    def acts(self) -> Iterator[RuleAct]:
        """Return what rules do on the news of the logs, and on the link."""
        for entry in self._reader.new_entries():
            yield from self._take(entry)
        link = self._session.link
        lost = link is not None and link.event in ("lost", "retrying")
        for state in self._states:
            if state.rule.watched.kind == "link":
                yield from self._step(state, local_clock(), float(lost))

    def _take(self, entry: Event) -> Iterator[RuleAct]:
        logs, quality = self._reader.logs, None
        if isinstance(entry, Quality):
            self._quality.add(entry, logs)
        elif isinstance(entry, BandPower):
            quality = self._quality.take(entry, logs)
        for state in self._states:
            watched = state.rule.watched
            if isinstance(entry, PublishedPrediction) and watched.kind in ("output", "personal"):
                value = predicted_value(watched, entry)
                yield from self._step(state, entry.prediction.timestamp, value)
            elif isinstance(entry, BandPower) and watched.kind == "band":
                value = band_value(watched, entry, quality, logs.used_channels)
                yield from self._step(state, entry.timestamp, value)

    def _step(self, state: RuleState, at: float, value: float | None) -> Iterator[RuleAct]:
        if state.step(at, value):
            yield RuleAct(state.rule, self._session.name, at, value or 0.0)
