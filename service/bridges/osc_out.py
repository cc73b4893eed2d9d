"""OSC output: what all sessions make and measure but the EEG, by UDP, for sound and light.

It reads the sessions' logs in a thread of its own, and sends each entry as bundles of messages (OSC
1.0, opensoundcontrol.org).
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import isnan
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from mimamba.drivers.driver import AuxiliaryChunk
from mimamba.drivers.errors import UserError
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.motion import find_motion
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.bridges.log_reader import LogReader
from mimamba.service.logs.epoch_logs import Event
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.sessions.session import Session
from mimamba.service.topics import Topic

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Message: TypeAlias = tuple[str, float | str]
"""An address below the session's, and its argument."""

ROOT = "/mimamba"
WAKE = 0.02
"""Seconds between two reads of the logs: the maximal delay."""
TOPICS: tuple[Topic, ...] = ("prediction", "quality", "bands", "heart", "motion", "ppg")
BUNDLE = 16
"""Messages in a bundle at most: it fits an Ethernet frame, so it is never lost in part."""
RESERVED = re.compile(r"[\x00-\x20\x7f-\U0010ffff#*,/?\[\]{}]")
"""Characters that no part of an OSC address may contain."""


class CannotSend(UserError):
    """The address to send to is not valid."""


def find_address(target: str) -> tuple[socket.AddressFamily, Address]:
    """Resolve HOST:PORT.

    Raises
    ------
    CannotSend
        If it is not valid, or the host has no address.
    """
    try:
        parts = urlsplit(f"//{target}")
        if not parts.hostname or not parts.port or parts.netloc != target:
            raise ValueError("no host and port")  # noqa: TRY301  reported like the others
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)
    except (ValueError, OSError) as error:
        raise CannotSend(
            f"Expected HOST:PORT for OSC messages, but found {target!r} ({error}). "
            "Use an address such as 127.0.0.1:9000."
        ) from error
    family, _, _, _, address = found[0]
    return family, address


class OSCOut:
    """Messages of each session, from its opening until its deletion.

    Parameters
    ----------
    sessions
        Returns the sessions by id; called in the thread.
    target
        HOST:PORT.

    Raises
    ------
    CannotSend
        If ``target`` is not valid.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]], target: str) -> None:
        family, self._address = find_address(target)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._sessions = sessions
        self._readers: dict[Session, LogReader] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="osc out")

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when the thread has ended."""
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.wait(WAKE):
            present = [each for each in self._sessions().values() if each.logs is not None]
            for session in present:
                session.watchers.add(self)
                reader = self._readers.setdefault(session, LogReader(session, TOPICS))
                for entry in reader.new_entries():
                    self._send(f"{ROOT}/{session.name}", list(messages(entry)))
            for gone in self._readers.keys() - set(present):
                del self._readers[gone]
        for session in self._readers:
            session.watchers.discard(self)

    def _send(self, address: str, sent: list[Message]) -> None:
        for start in range(0, len(sent), BUNDLE):
            # Datagrams may be lost anyway; a network that is down may come back.
            with suppress(OSError):
                self._socket.sendto(bundle(address, sent[start : start + BUNDLE]), self._address)


def bundle(address: str, content: Sequence[Message]) -> bytes:
    """Return a datagram of messages that take effect immediately."""
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message_builder import OscMessageBuilder

    made = OscBundleBuilder(IMMEDIATELY)
    for below, value in content:
        message = OscMessageBuilder(f"{address}/{below}")
        message.add_arg(value, "s" if isinstance(value, str) else "f")
        made.add_content(message.build())
    return made.build().dgram


def messages(entry: Event) -> Iterator[Message]:
    """Return the messages of a log's entry.

    When the model abstains there are its status and reason, and no probabilities. A band without a
    value has no message, nor has a heart rate without a clear pulse.
    """
    if isinstance(entry, PublishedPrediction):
        yield from _prediction(entry.prediction)
        yield from _personal(entry.personal)
        yield from _sets(entry.prediction)
    elif isinstance(entry, Quality):
        for name, channel in entry.channels.items():
            yield f"quality/{_part(name)}/score", channel.score
            yield f"quality/{_part(name)}/reason", channel.reason or ""
    elif isinstance(entry, BandPower):
        for name, bands in entry.channels.items():
            for band, power in msgspec.structs.asdict(bands).items():
                if power is not None:
                    yield f"bands/{_part(name)}/{band}", power
    elif isinstance(entry, HeartRate):
        yield from _heart(entry)
    elif isinstance(entry, AuxiliaryChunk):
        yield from _sensor(entry)


def _prediction(made: Prediction) -> Iterator[Message]:
    yield "prediction/status", made.status
    yield "prediction/reason", made.reason or ""
    for output, shares in (made.outputs or {}).items():
        for label, share in shares.items():
            yield f"prediction/{_part(output)}/{_part(label)}", share


def _sets(made: Prediction) -> Iterator[Message]:
    """Return whether each label is in the set of its output, and how often the sets were right."""
    for output, found in (made.set or {}).items():
        for label in (made.outputs or {}).get(output, {}):
            yield f"set/{_part(output)}/{_part(label)}", float(label in found.labels)
        if found.coverage is not None:
            yield f"coverage/{_part(output)}", found.coverage


def _heart(made: HeartRate) -> Iterator[Message]:
    if made.rate is not None:
        yield "heart/rate", made.rate
    yield "heart/confidence", made.confidence
    yield "heart/reason", made.reason or ""


def _sensor(entry: AuxiliaryChunk) -> Iterator[Message]:
    """Return each sample's values in order, and whether the head moved in these samples."""
    ppg = entry.info.name == "ppg"
    at = "ppg" if ppg else f"motion/{_part(entry.info.name)}"
    names = [_part(name) for name in entry.info.ch_names]
    for row in entry.data.tolist():
        for name, value in zip(names, row, strict=True):
            if not isnan(value):
                yield f"{at}/{name}", value
    if not ppg:
        yield f"{at}/moved", float(find_motion(entry.info, entry.data).any())


def _personal(reading: PersonalReading | None) -> Iterator[Message]:
    """Return the messages of a person's own output; ``state`` is empty where it is not sure."""
    if reading is None:
        return
    yield "personal/status", reading.status
    yield "personal/reason", reading.reason or ""
    yield "personal/state", reading.state or ""
    for kind, share in (reading.probabilities or {}).items():
        yield f"personal/{_part(kind)}", share


def _part(name: str) -> str:
    """Return a name as a part of an address."""
    return RESERVED.sub("_", name)
