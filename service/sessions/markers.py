"""Markers that other programs set in a session, over WebSocket, API or UDP."""

from __future__ import annotations

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import Mismatch
from mimamba.drivers.lsl.markers import MAX_AHEAD, ReceivedMarker
from mimamba.service.logs.epoch_logs import SIGNAL_SECONDS, EpochLogs
from mimamba.service.sessions.session import Session

MAX_LABEL_LENGTH = 256
"""Characters."""
CERTAIN_SECONDS = 0.8 * SIGNAL_SECONDS
"""Age up to which a marker that is not logged was surely not set: a bus keeps results longer."""


class BadLabel(Mismatch):
    """The marker's label is not valid."""


class BadTimestamp(Mismatch):
    """The marker's time is too long ago, too far ahead, or not on the LSL clock."""


def set_marker(
    session: Session, label: str, timestamp: float | None, source: str
) -> ReceivedMarker:
    """Set a marker at ``timestamp`` on the session's clock, or now, where that is None.

    It is logged when its sample is there, or is too late.

    Raises
    ------
    BadLabel
        If it is empty, longer than ``MAX_LABEL_LENGTH``, or holds control characters.
    BadTimestamp
        If it is older than the kept signal, or more than ``MAX_AHEAD`` s ahead.
    SessionOver
        If the session is not open.
    """
    session.check_open()
    time = _checked_time(timestamp, session.now())
    marker = ReceivedMarker(time, check_label(label), source)
    session.add_marker(marker)
    return marker


def is_logged(logs: EpochLogs, marker: ReceivedMarker) -> bool:
    """Return whether the log of an epoch has a marker."""
    entries = logs.marker
    return any(
        isinstance(each, Marker)
        and (each.timestamp, each.label) == (marker.timestamp, marker.label)
        for _, each in entries.read(entries.oldest, entries.next)
    )


def set_again(session: Session, logs: EpochLogs, marker: ReceivedMarker) -> None:
    """Set a marker of the service before, unless that has, or it is too old to be sure.

    One that is set twice within a minute is one. Raises as ``set_marker``.
    """
    if session.now() - marker.timestamp < CERTAIN_SECONDS and not is_logged(logs, marker):
        set_marker(session, marker.label, marker.timestamp, marker.source)


def check_label(label: str) -> str:
    """Return a marker's label.

    Raises
    ------
    BadLabel
        If it is empty, longer than ``MAX_LABEL_LENGTH``, or holds control characters.
    """
    if not 0 < len(label) <= MAX_LABEL_LENGTH or any(map(_is_control, label)):
        raise BadLabel(
            f"a label of 1 to {MAX_LABEL_LENGTH} characters, none of them a control character",
            f"{label[:40]!r} of {len(label)}",
            "shorten it or remove those characters",
        )
    return label


def _checked_time(timestamp: float | None, now: float) -> float:
    time = now if timestamp is None else timestamp
    if not -SIGNAL_SECONDS <= time - now <= MAX_AHEAD:  # NaN is in no range
        raise BadTimestamp(
            f"a time on the LSL clock, up to {SIGNAL_SECONDS:g} s ago or {MAX_AHEAD:g} s ahead",
            f"{time:.3f}, while the clock shows {now:.3f} now",
            "leave it out to use the time of arrival",
        )
    return time


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0
