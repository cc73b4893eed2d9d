"""The logs of one epoch of a session: everything that its readers can be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, Marker, Playback, StreamInfo
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import QUARTER_RATE
from mimamba.service.logs.head_use import HeadOutput, HeadUse
from mimamba.service.logs.log import Log, SignalLog
from mimamba.service.logs.prediction_log import PredictionLog, PublishedPrediction
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.personal import CalibrationEntry, HeadCard, RatingEntry
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.topics import TOPICS, LinkEvent, Model, Topic

SIGNAL_SECONDS = 300.0
"""Seconds of signal, quality and bands that are kept: as far back as the page looks."""
SENSOR_ENTRIES = 1200
"""Entries of pulse and of each motion sensor that are kept: two minutes, more than a worker has to
make up for after an outage of all workers."""
HOUR = 3600.0
MAX_EVENTS = 4096
"""Markers and link events kept; more than one a second for an hour."""


@dataclass(frozen=True)
class LinkEntry:
    """A link event; ``first`` and ``lost`` are set where it is about samples."""

    timestamp: float
    event: LinkEvent
    detail: str
    first: int | None = None
    lost: int | None = None


@dataclass(frozen=True)
class ActiveModel:
    """The model that makes a session's predictions, from one entry of their log on.

    Parameters
    ----------
    since
        The ``seq`` of its first prediction.
    model, outputs, montage, delay
        As in ``Subscribed``; None where there is no model and only the signal is watched.
    head
        The person's own output beside it; None without one.
    """

    since: int = 0
    model: Model | None = None
    outputs: dict[str, list[str]] | None = None
    montage: list[Electrode] | None = None
    delay: float | None = None
    head: HeadCard | None = None

    @property
    def predictions_per_hour(self) -> int:
        """Predictions that it makes in an hour; 1 where there is no model."""
        return round(HOUR / self.model.hop) if self.model else 1


def gap_detail(lost: int, sfreq: float) -> str:
    """A gap in words."""
    return f"{lost} samples were lost ({lost / sfreq:.2f} s)"


Event: TypeAlias = (
    PublishedPrediction
    | Quality
    | BandPower
    | Marker
    | LinkEntry
    | AuxiliaryChunk
    | HeartRate
    | CalibrationEntry
    | RatingEntry
    | StudyEntry
    | FeedbackEntry
)


class EpochLogs:
    """The logs of one epoch: 5 minutes of signal, quality, bands and heart rate, two of pulse and
    motion, an hour of predictions, and events.

    Parameters
    ----------
    epoch
        An opaque name, unique across restarts.
    info
        The source.
    active_model
        The model that makes the first predictions.
    max_events
        Markers and link events kept.
    first
        The ``seq`` of each topic's first entry; 0 where it is absent.
    first_head
        Number of the first personal output.

    Attributes
    ----------
    expected
        Index of the next sample, if none is lost; None before the first one.
    active_models
        The models that made the predictions, in order.
    heads
        The personal outputs that were used, by their numbers.
    next_head
        Number of the next one.
    """

    def __init__(
        self,
        epoch: str,
        info: StreamInfo,
        active_model: ActiveModel,
        max_events: int = MAX_EVENTS,
        first: Mapping[Topic, int] | None = None,
        first_head: int = 0,
    ) -> None:
        first = dict.fromkeys(TOPICS, 0) | dict(first or {})
        self.epoch, self.info = epoch, info
        self.expected: int | None = None
        self.active_models = [replace(active_model, since=0)]
        self.heads: dict[int, HeadUse] = {}
        self.next_head = first_head
        self.signal = SignalLog(info.n_channels, info.sfreq, SIGNAL_SECONDS, first["signal"])
        self.prediction = PredictionLog(active_model.predictions_per_hour, first["prediction"])
        quarters = round(SIGNAL_SECONDS * QUARTER_RATE)
        self.quality: Log[Event] = Log(quarters, first["quality"])
        self.bands: Log[Event] = Log(quarters, first["bands"])
        self.marker: Log[Event] = Log(max_events, first["marker"])
        self.link: Log[Event] = Log(max_events, first["link"])
        self.heart: Log[Event] = Log(round(SIGNAL_SECONDS), first["heart"])
        self.motion: Log[Event] = Log(2 * SENSOR_ENTRIES, first["motion"])
        self.ppg: Log[Event] = Log(SENSOR_ENTRIES, first["ppg"])
        self.calibration: Log[Event] = Log(max_events, first["calibration"])
        self.rating: Log[Event] = Log(max_events, first["rating"])
        self.study: Log[Event] = Log(max_events, first["study"])
        self.feedback: Log[Event] = Log(max_events, first["feedback"])
        self._by_topic: dict[Topic, Log[Event] | PredictionLog] = {
            "prediction": self.prediction,
            "quality": self.quality,
            "bands": self.bands,
            "marker": self.marker,
            "link": self.link,
            "heart": self.heart,
            "motion": self.motion,
            "ppg": self.ppg,
            "calibration": self.calibration,
            "rating": self.rating,
            "study": self.study,
            "feedback": self.feedback,
        }
        self.signal_shown = first["signal"]
        """Readers go up to here, so that all who keep up share the same merged messages."""

    def take(self, chunk: Chunk, lengths: Sequence[int] = ()) -> list[LinkEntry | Marker]:
        """Log a chunk; return the events logged with it: the gap before it and its markers.

        ``lengths`` are as in ``SignalLog.append``.
        """
        events: list[LinkEntry | Marker] = list(chunk.markers)
        if chunk.first != self.expected and (gap := self._gap_before(chunk)):
            self.link.append(gap)
            events.insert(0, gap)
        self.signal.append(chunk, lengths)
        for marker in chunk.markers:
            self.marker.append(marker)
        self.expected = chunk.end
        return events

    def add_measure(self, measure: Quality | BandPower) -> None:
        """Log a measure of the signal."""
        (self.bands if isinstance(measure, BandPower) else self.quality).append(measure)

    def _gap_before(self, chunk: Chunk) -> LinkEntry | None:
        """The link event of the samples that were lost before this chunk, if any."""
        lost = 0 if self.expected is None else chunk.first - self.expected
        if lost <= 0:
            return None
        detail = gap_detail(lost, self.info.sfreq)
        return LinkEntry(float(chunk.timestamps[0]), "gap", detail, self.expected, lost)

    def set_model(self, active_model: ActiveModel) -> LinkEntry:
        """Set the model of the predictions to come; return the link event that says so."""
        self.prediction.widen(active_model.predictions_per_hour)
        self.active_models.append(replace(active_model, since=self.prediction.next))
        name = active_model.model.name if active_model.model else "no model"
        return LinkEntry(local_clock(), "model", f"{name} is used from here on", self.expected)

    def set_head(self, head: HeadCard | None, detail: str) -> LinkEntry:
        """Set the personal output of the predictions to come; return the link event about it."""
        changed = replace(self.active_models[-1], head=head, since=self.prediction.next)
        self.active_models.append(changed)
        return LinkEntry(local_clock(), "head", detail, self.expected)

    def add_head(self, output: HeadOutput) -> None:
        """Note a personal output that is used from here on."""
        self.heads[self.next_head] = HeadUse(output, output.readings.next)
        self.next_head += 1

    def end_heads(self) -> None:
        """Note that the epoch is over: what an output says from here on is the next one's."""
        for use in self.heads.values():
            use.stop = use.output.readings.next

    @property
    def used_channels(self) -> list[str]:
        """Channels of the electrodes that the present model uses; all without one."""
        montage = self.active_models[-1].montage
        return [each.channel for each in montage] if montage else list(self.info.ch_names)

    def events(self, topic: Topic) -> Log[Event] | PredictionLog:
        """The log of a topic other than the signal."""
        return self._by_topic[topic]

    def append(self, topic: Topic, entry: Event) -> None:
        """Log an entry of a topic other than the signal and predictions."""
        log = self.events(topic)
        assert isinstance(log, Log)
        log.append(entry)

    def log(self, topic: Topic) -> SignalLog | Log[Event] | PredictionLog:
        """A topic's log."""
        return self.signal if topic == "signal" else self.events(topic)

    def snapshot(self, state: bytes | None) -> SessionSnapshot:
        """The present ends of all logs, with the decoder's state."""
        return SessionSnapshot(
            self,
            self.expected,
            {topic: self.log(topic).next for topic in TOPICS},
            state,
            self.next_head,
        )


@dataclass(frozen=True)
class SessionSnapshot:
    """A session between two chunks.

    Parameters
    ----------
    logs
        The logs of its present epoch.
    first
        Index of the next sample, if none is lost; None before the first one.
    next
        The ``seq`` that each topic's next entry will have.
    state
        The state of its decoder, as ``pack_state`` gives it; None without a model.
    next_head
        Number that the next personal output will have.
    """

    logs: EpochLogs
    first: int | None
    next: dict[Topic, int]
    state: bytes | None
    next_head: int = 0


def playback_entry(playback: Playback) -> LinkEntry:
    """The link event of a recording that is paused, or is played from here on."""
    position = f"{playback.position:.1f} of {playback.length:.1f} s"
    if playback.paused:
        return LinkEntry(local_clock(), "paused", f"at {position}")
    loop = ", in a loop" if playback.loop else ""
    speed = "full speed" if playback.speed == math.inf else f"speed {playback.speed:g}"
    return LinkEntry(local_clock(), "playing", f"from {position} at {speed}{loop}")
