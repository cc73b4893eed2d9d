"""What a session has said in one epoch: its logs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from mimamba.drivers.driver import Chunk, Marker, Playback, StreamInfo
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.decoding.decoder import DecoderState
from mimamba.models.prediction import Prediction
from mimamba.models.signal.band_power import BandMeter, BandPower
from mimamba.models.signal.channel_quality import Quality, QualityMeter
from mimamba.models.signal.montage import Electrode
from mimamba.models.signal.sliding_window import QUARTER_RATE, SlidingWindow
from mimamba.service.protocol.events import LinkEvent
from mimamba.service.protocol.messages import TOPICS, Model, Timing, Topic
from mimamba.service.sessions.log import Log, SignalLog

SIGNAL_SECONDS = 300.0
"""Of the signal, its quality and bands: so far back a page can look, which waits for all of it."""
HOUR = 3600.0
MAX_EVENTS = 4096
"""Markers and link events kept; more than one a second for an hour."""


@dataclass(frozen=True)
class PublishedPrediction:
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


@dataclass(frozen=True)
class ActiveModel:
    """Who makes a session's predictions, from one entry of their log on.

    Parameters
    ----------
    since
        The ``seq`` of the first prediction that is its own.
    model, outputs, montage, delay
        As ``subscribed`` tells them; None where nobody speaks, and only the signal is watched.
    """

    since: int = 0
    model: Model | None = None
    outputs: dict[str, list[str]] | None = None
    montage: list[Electrode] | None = None
    delay: float | None = None

    @property
    def hour(self) -> int:
        """Its predictions in an hour; 1 where there are none."""
        return round(HOUR / self.model.hop) if self.model else 1


def gap_detail(lost: int, sfreq: float) -> str:
    """A gap in words."""
    return f"{lost} samples never came ({lost / sfreq:.2f} s)"


Event: TypeAlias = PublishedPrediction | Quality | BandPower | Marker | LinkEntry


class EpochLogs:
    """The logs of one epoch: 5 minutes of signal, quality and bands, an hour of
    predictions, events.

    Parameters
    ----------
    epoch
        An opaque name, unique across restarts.
    info
        The source.
    active_model
        Who makes the first predictions.

    Attributes
    ----------
    expected
        Index of the next sample, if none is lost; None before the first one.
    active_models
        Who made the predictions, in order.
    """

    def __init__(self, epoch: str, info: StreamInfo, active_model: ActiveModel) -> None:
        self.epoch, self.info = epoch, info
        self.expected: int | None = None
        self.active_models = [replace(active_model, since=0)]
        self._quarters = SlidingWindow(info)
        self._quality, self._bands = QualityMeter(info), BandMeter(info)
        self.signal = SignalLog(info.n_channels, info.sfreq, SIGNAL_SECONDS)
        self.prediction: Log[Event] = Log(active_model.hour)
        self.quality: Log[Event] = Log(round(SIGNAL_SECONDS * QUARTER_RATE))
        self.bands: Log[Event] = Log(round(SIGNAL_SECONDS * QUARTER_RATE))
        self.marker: Log[Event] = Log(MAX_EVENTS)
        self.link: Log[Event] = Log(MAX_EVENTS)
        self.signal_shown = 0
        """Readers go up to here, so that all who keep up share the same merged messages."""

    def take(self, chunk: Chunk) -> None:
        """Log a chunk and what is measured of it."""
        self.signal.append(chunk)
        for newest in self._quarters.feed(chunk):
            self.bands.append(self._bands.measure(newest))
            if quality := self._quality.measure(newest):
                self.quality.append(quality)
        for marker in chunk.markers:
            self.marker.append(marker)
        self.expected = chunk.end

    def gap_before(self, chunk: Chunk) -> LinkEntry | None:
        """What the link says of the samples that never came before this chunk, if any."""
        lost = 0 if self.expected is None else chunk.first - self.expected
        if lost <= 0:
            return None
        detail = gap_detail(lost, self.info.sfreq)
        return LinkEntry(float(chunk.timestamps[0]), "gap", detail, self.expected, lost)

    def set_model(self, active_model: ActiveModel) -> LinkEntry:
        """Another one makes the predictions to come; what the link says of it."""
        self.prediction.widen(active_model.hour)
        self.active_models.append(replace(active_model, since=self.prediction.next))
        detail = (
            f"{active_model.model.name if active_model.model else 'no model'} speaks from here on"
        )
        return LinkEntry(local_clock(), "model", detail, self.expected)

    def events(self, topic: Topic) -> Log[Event]:
        """The log of a topic other than the signal."""
        return {
            "prediction": self.prediction,
            "quality": self.quality,
            "bands": self.bands,
            "marker": self.marker,
            "link": self.link,
        }[topic]

    def log(self, topic: Topic) -> SignalLog | Log[Event]:
        """A topic's log."""
        return self.signal if topic == "signal" else self.events(topic)

    def snapshot(self, state: DecoderState | None) -> SessionSnapshot:
        """Where all stands now, with what the model remembers."""
        return SessionSnapshot(
            self, self.expected, {topic: self.log(topic).next for topic in TOPICS}, state
        )


@dataclass(frozen=True)
class SessionSnapshot:
    """Where a session stands between two chunks.

    Parameters
    ----------
    logs
        The logs of its present epoch.
    first
        Index of the next sample, if none is lost; None before the first one.
    next
        The ``seq`` that each topic's next entry will have.
    state
        All that its model remembers; None without a model.
    """

    logs: EpochLogs
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
