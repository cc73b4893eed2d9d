"""What a session has said in one epoch: its logs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from drivers.base import Marker, Playback, StreamInfo
from drivers.clock import local_clock
from models.decoder import DecoderState
from models.meter import RATE, Quality
from models.prediction import Prediction
from service.log import Log, SignalLog
from service.messages import LinkEvent, Timing, Topic

SIGNAL_SECONDS = 300.0
"""Of the signal and its quality: a new page waits for all that is there, and shows 8 s."""
HOUR = 3600.0
EVENTS = 4096
"""Markers and link events kept; more than one a second for an hour."""


@dataclass(frozen=True)
class Told:
    """A prediction and when it was made."""

    prediction: Prediction
    timing: Timing


@dataclass(frozen=True)
class LinkEntry:
    """What befell the stream; ``first`` and ``lost`` are set where it is about samples."""

    timestamp: float
    event: LinkEvent
    detail: str
    first: int | None = None
    lost: int | None = None


def gap_detail(lost: int, sfreq: float) -> str:
    """A gap in words."""
    return f"{lost} samples never came ({lost / sfreq:.2f} s)"


Event: TypeAlias = Told | Quality | Marker | LinkEntry


class History:
    """The logs of one epoch: 5 minutes of signal and its quality, an hour of predictions, events.

    Parameters
    ----------
    epoch
        An opaque name, unique across restarts.
    info
        The source.
    hop
        Seconds from one prediction to the next; None without a model.
    """

    def __init__(self, epoch: str, info: StreamInfo, hop: float | None) -> None:
        self.epoch = epoch
        self.signal = SignalLog(info.n_channels, info.sfreq, SIGNAL_SECONDS)
        self.prediction: Log[Event] = Log(round(HOUR / hop) if hop else 1)
        self.quality: Log[Event] = Log(round(SIGNAL_SECONDS * RATE))
        self.marker: Log[Event] = Log(EVENTS)
        self.link: Log[Event] = Log(EVENTS)
        self.signal_shown = 0
        """Readers go up to here, so that all who keep up share the same merged messages."""

    def events(self, topic: Topic) -> Log[Event]:
        """The log of a topic other than the signal."""
        return {
            "prediction": self.prediction,
            "quality": self.quality,
            "marker": self.marker,
            "link": self.link,
        }[topic]

    def log(self, topic: Topic) -> SignalLog | Log[Event]:
        """A topic's log."""
        return self.signal if topic == "signal" else self.events(topic)


@dataclass(frozen=True)
class Place:
    """Where a session stands between two chunks.

    Parameters
    ----------
    history
        The logs of its present epoch.
    first
        Index of the next sample, if none is lost; None before the first one.
    next
        The ``seq`` that each topic's next entry will have.
    state
        All that its model remembers; None without a model.
    """

    history: History
    first: int | None
    next: dict[Topic, int]
    state: DecoderState | None


def playback_entry(playback: Playback) -> LinkEntry:
    """What the link says of a recording that is paused, or is played from here on."""
    place = f"{playback.position:.1f} of {playback.length:.1f} s"
    if playback.paused:
        return LinkEntry(local_clock(), "paused", f"at {place}")
    loop = ", in a loop" if playback.loop else ""
    speed = "full speed" if playback.speed == math.inf else f"speed {playback.speed:g}"
    return LinkEntry(local_clock(), "playing", f"from {place} at {speed}{loop}")
