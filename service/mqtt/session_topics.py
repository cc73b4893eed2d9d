"""MQTT messages of one session: states, which are retained, and measurements, which are not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from mimamba.models.signal.measures import Quality
from mimamba.service.bridges.log_reader import LogReader
from mimamba.service.mqtt.home_assistant import (
    DiscoveredSession,
    discovery_payload,
    discovery_topic,
    session_components,
)
from mimamba.service.protocol.messages import encode
from mimamba.service.sessions.session import Session
from mimamba.service.stream.reader import topic_message
from mimamba.service.topics import Topic

TOPICS: tuple[Topic, ...] = ("prediction", "quality")
QUALITY_SECONDS = 1.0
"""Seconds between two messages about the quality: four a second are more than homes store."""
LOST = ("lost", "retrying")
"""Events after which there is no link to the device."""
CLOSED = msgspec.json.encode({"state": "closed"})
"""State of a session that is not there any more."""


@dataclass(frozen=True)
class TopicNews:
    """A message to publish; an empty payload that is retained removes the one before."""

    topic: str
    payload: bytes
    retain: bool


class SessionTopics:
    """Topics of a session, from now on.

    Parameters
    ----------
    session
        Its source is open.
    prefix
        Of all topics.
    discovery
        Prefix at which Home Assistant looks for discovery; None for none.
    public_url
        Address of the page, for a link to the session; None for none.
    """

    def __init__(
        self, session: Session, prefix: str, discovery: str | None, public_url: str | None = None
    ) -> None:
        self._public_url = public_url
        self._session, self._prefix, self._discovery = session, prefix, discovery
        self._reader = LogReader(session, TOPICS)
        self._facts: tuple[object, ...] = ()
        self._retained: dict[str, bytes] = {}
        self._components: set[str] = set()
        self._quality_at = -math.inf

    def news(self) -> Iterator[TopicNews]:
        """Return what is new: states that have changed, then measurements."""
        facts = self._read_facts()
        if facts != self._facts:  # which is cheap, unlike their messages
            self._facts = facts
            for topic, payload in self._make_states():
                if self._retained.get(topic) != payload:
                    self._retained[topic] = payload
                    yield TopicNews(topic, payload, retain=True)
        for seq, entry in self._reader.numbered_entries():
            if isinstance(entry, Quality) and not self._is_due(entry.timestamp):
                continue
            part = "quality" if isinstance(entry, Quality) else "prediction"
            message = topic_message(self._session.name, seq, entry)
            yield TopicNews(self._topic(part), encode(message, binary=False), retain=False)

    def restart(self) -> None:
        """Start over with a broker that may have forgotten all; its states stay to be removed."""
        self._reader = LogReader(self._session, TOPICS)
        self._facts = ()
        self._retained = dict.fromkeys(self._retained, b"")

    def removal(self) -> Iterator[TopicNews]:
        """Return what removes the session's states from the broker."""
        for topic in self._retained:
            yield TopicNews(topic, b"", retain=True)

    def closing(self) -> TopicNews:
        """Return the message that the session is closed, with the service."""
        return closed_state(self._prefix, self._session.name)

    def _topic(self, part: str) -> str:
        return f"{self._prefix}/{self._session.name}/{part}"

    def _is_due(self, timestamp: float) -> bool:
        """Return whether the quality of this time is to be sent; time may go back with an epoch."""
        if 0 <= timestamp - self._quality_at < QUALITY_SECONDS - 1e-6:
            return False
        self._quality_at = timestamp
        return True

    def _read_facts(self) -> tuple[object, ...]:
        session = self._session
        return session.state, session.reason, session.info, session.active_model, self._link()

    def _link(self) -> dict[str, Any]:
        session, entry, battery = self._session, self._session.link, self._session.battery
        return {
            "connected": session.state == "open" and (entry is None or entry.event not in LOST),
            "event": entry and entry.event,
            "detail": entry and entry.detail,
            "timestamp": entry and entry.timestamp,
            "battery": None if battery is None else round(battery),
        }

    def _make_states(self) -> Iterator[tuple[str, bytes]]:
        session, active_model = self._session, self._session.active_model
        info, logs, model = session.info, session.logs, active_model.model
        assert info is not None  # as its source is open
        assert logs is not None
        yield (
            self._topic("session"),
            msgspec.json.encode(
                {
                    "state": session.state,
                    "reason": session.reason,
                    "device": info.name,
                    "simulated": info.simulated,
                    "channels": info.ch_names,
                    "model": model and model.name,
                    "emotion": model and model.emotion,
                    "notice": model and model.notice,
                    "outputs": active_model.outputs,
                    "personal": active_model.head and active_model.head.kinds,
                }
            ),
        )
        link = self._link()
        yield self._topic("link"), msgspec.json.encode(link)
        if self._discovery is not None:
            discovered = DiscoveredSession(
                self._prefix,
                session.name,
                f"{info.name} (simulated)" if info.simulated else info.name,
                logs.used_channels,
                active_model.outputs or {},
                active_model.head.kinds if active_model.head else (),
                model.notice if model else None,
                link["battery"] is not None,
                self._public_url,
            )
            components = session_components(discovered)
            yield (
                discovery_topic(self._discovery, discovered),
                discovery_payload(discovered, components, self._components - components.keys()),
            )
            self._components = set(components)


def closed_state(prefix: str, name: str) -> TopicNews:
    """Return the message that a session is closed."""
    return TopicNews(f"{prefix}/{name}/session", CLOSED, retain=True)
