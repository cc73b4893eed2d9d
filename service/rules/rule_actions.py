"""Acts of rules: a webhook, an OSC or MQTT message, a marker. A slow receiver delays nothing."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Protocol

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.service.bridges.osc_out import RESERVED, ROOT, bundle, find_address
from mimamba.service.rules.rule_file import Rule
from mimamba.service.sessions.markers import set_marker
from mimamba.service.sessions.session import Session, SessionOver

log = logging.getLogger(__name__)

WEBHOOK_SECONDS = 5.0
"""For an answer to a webhook."""
MOST_WAITING = 100
"""Actions that may wait for a slow receiver; further ones are dropped, with a warning."""
SOURCE = "rule"
"""Source of the markers of rules."""


class Publisher(Protocol):
    """A connection to an MQTT broker."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish a message, and wait until the broker has it; raises UserError if it does not."""
        ...


@dataclass(frozen=True)
class RuleAct:
    """One act of a rule: in which session, at which time (s, LSL clock), at which value."""

    rule: Rule
    session: str
    timestamp: float
    value: float

    @property
    def body(self) -> bytes:
        """The body of its webhook and its MQTT message, JSON."""
        return msgspec.json.encode(
            {
                "rule": self.rule.name,
                "session": self.session,
                "when": self.rule.when,
                "value": self.value,
                "timestamp": self.timestamp,
                "unix": time.time(),
            }
        )


class RuleActions:
    """Carries out the acts of rules; all but markers in a thread of their own.

    Parameters
    ----------
    publisher
        For MQTT messages; None where no rule has any.

    Attributes
    ----------
    failed
        Number of acts that no receiver got.
    """

    def __init__(self, publisher: Publisher | None = None) -> None:
        self.failed = 0
        self._publisher = publisher
        self._waiting: queue.Queue[RuleAct | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="rule actions")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Drop what waits, and end; returns when the thread has ended."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        self._waiting.put(None)
        self._thread.join()

    def act(self, act: RuleAct, session: Session) -> None:
        """Set the marker of an act now, and send the rest soon."""
        log.info("rule", extra={"rule": act.rule.name, "session": act.session})
        if act.rule.marker is not None:
            try:
                set_marker(session, act.rule.marker, None, SOURCE)
            except (UserError, SessionOver) as error:
                self._fail(act, str(error))
        if act.rule.webhook or act.rule.osc or act.rule.mqtt:
            try:
                self._waiting.put_nowait(act)
            except queue.Full:
                self._fail(act, "the receiver is too slow")

    def _run(self) -> None:
        while (act := self._waiting.get()) is not None:
            if act.rule.webhook is not None:
                self._post(act, act.rule.webhook)
            if act.rule.osc is not None:
                self._send(act, act.rule.osc)
            if act.rule.mqtt is not None and self._publisher is not None:
                self._publish(act, act.rule.mqtt, self._publisher)

    def _post(self, act: RuleAct, url: str) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, act.body, headers)  # http or https: it was checked
        try:
            with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):
                pass
        except (OSError, ValueError) as error:
            self._fail(act, f"{url}: {error}")

    def _send(self, act: RuleAct, target: str) -> None:
        try:
            family, address = find_address(target)
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.sendto(
                    bundle(
                        f"{ROOT}/{act.session}/rule",
                        [(RESERVED.sub("_", act.rule.name), act.value)],
                    ),
                    address,
                )
        except (OSError, UserError) as error:
            self._fail(act, f"{target}: {error}")

    def _publish(self, act: RuleAct, topic: str, publisher: Publisher) -> None:
        text = act.rule.mqtt_payload
        try:
            publisher.publish(topic, act.body if text is None else text.encode())
        except UserError as error:
            self._fail(act, f"{topic}: {error}")

    def _fail(self, act: RuleAct, reason: str) -> None:
        self.failed += 1
        log.warning("a rule could not act", extra={"rule": act.rule.name, "reason": reason})
