"""Predictions, quality and bands of all sessions as OSC messages by UDP, for sound and light.

One more reader of the sessions' logs, in a thread of its own. OSC 1.0 (opensoundcontrol.org): each
entry leaves as bundles of messages whose addresses are in README.md.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TypeAlias
from urllib.parse import urlsplit

from mimamba.drivers.errors import UserError
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.sessions.epoch_logs import EpochLogs, Event, PublishedPrediction
from mimamba.service.sessions.session import Session
from mimamba.service.topics import Topic

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Message: TypeAlias = tuple[str, float | str]
"""An address below the session's, and its one argument."""

ROOT = "/mimamba"
WAKE = 0.02
"""Pause between two looks at the logs, s: what is new is sent at most this late."""
TOPICS: tuple[Topic, ...] = ("prediction", "quality", "bands")
AT_ONCE = 16
"""Messages in a bundle at most: it fits an Ethernet frame, so no part of it is lost alone."""
RESERVED = re.compile(r"[\x00-\x20\x7f-\U0010ffff#*,/?\[\]{}]")
"""Characters that no part of an OSC address may hold."""


class CannotSend(UserError):
    """There is no such place to send to; one clear line."""


def find_address(target: str) -> tuple[socket.AddressFamily, Address]:
    """Where HOST:PORT is.

    Raises
    ------
    CannotSend
        If it is none, or the host has no address.
    """
    try:
        parts = urlsplit(f"//{target}")
        if not parts.hostname or not parts.port or parts.netloc != target:
            raise ValueError("no host and port")  # noqa: TRY301  told as the others are
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)
    except (ValueError, OSError) as error:
        raise CannotSend(
            f"Expected HOST:PORT to send OSC to, but found {target!r}: {error}. "
            "Give one such as 127.0.0.1:9000."
        ) from error
    family, _, _, _, address = found[0]
    return family, address


class OSCOut:
    """Messages for each session, from when it is open until it is deleted.

    Parameters
    ----------
    sessions
        Gives the sessions by id; called in the thread.
    target
        HOST:PORT.

    Raises
    ------
    CannotSend
        If there is no such place.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]], target: str) -> None:
        family, self._address = find_address(target)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._sessions = sessions
        self._places: dict[Session, _Place] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="osc out")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """End; returns when the thread has ended."""
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.wait(WAKE):
            present = [each for each in self._sessions().values() if each.logs is not None]
            for session in present:
                place = self._places.setdefault(session, _Place(session))
                for entry in place.news():
                    self._send(f"{ROOT}/{session.name}", list(messages(entry)))
            for gone in self._places.keys() - set(present):
                del self._places[gone]

    def _send(self, address: str, told: list[Message]) -> None:
        for start in range(0, len(told), AT_ONCE):
            # Nobody promises that a datagram arrives; a network that is down may come back.
            with suppress(OSError):
                self._socket.sendto(bundle(address, told[start : start + AT_ONCE]), self._address)


class _Place:
    """How far a session's logs are sent."""

    def __init__(self, session: Session) -> None:
        assert session.logs is not None
        self._session = session
        self._logs: EpochLogs = session.logs
        self._at = {topic: self._logs.log(topic).next for topic in TOPICS}

    def news(self) -> Iterator[Event]:
        """What is new in the logs, on into the next epoch where there is one."""
        present = self._session.logs
        yield from self._new_entries()
        if present is not None and present is not self._logs:
            self._logs, self._at = present, dict.fromkeys(TOPICS, 0)
            yield from self._new_entries()

    def _new_entries(self) -> Iterator[Event]:
        for topic in TOPICS:
            log = self._logs.events(topic)
            for seq, entry in log.read(self._at[topic], log.next):
                self._at[topic] = seq + 1
                yield entry


def bundle(address: str, told: Sequence[Message]) -> bytes:
    """A datagram of messages, to be heeded at once."""
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message_builder import OscMessageBuilder

    made = OscBundleBuilder(IMMEDIATELY)
    for below, value in told:
        message = OscMessageBuilder(f"{address}/{below}")
        message.add_arg(value, "s" if isinstance(value, str) else "f")
        made.add_content(message.build())
    return made.build().dgram


def messages(entry: Event) -> Iterator[Message]:
    """What is told of a log's entry.

    Where the model abstains there are its status and reason, and no probabilities; where a band has
    no value, it has no message.
    """
    if isinstance(entry, PublishedPrediction):
        yield from _prediction(entry.prediction)
    elif isinstance(entry, Quality):
        for name, channel in entry.channels.items():
            yield f"quality/{_part(name)}/score", channel.score
            yield f"quality/{_part(name)}/reason", channel.reason or ""
    elif isinstance(entry, BandPower):
        for name, bands in entry.channels.items():
            for band, power in asdict(bands).items():
                if power is not None:
                    yield f"bands/{_part(name)}/{band}", power


def _prediction(made: Prediction) -> Iterator[Message]:
    yield "prediction/status", made.status
    yield "prediction/reason", made.reason or ""
    for output, shares in (made.outputs or {}).items():
        for label, share in shares.items():
            yield f"prediction/{_part(output)}/{_part(label)}", share


def _part(name: str) -> str:
    """A name as a part of an address."""
    return RESERVED.sub("_", name)
