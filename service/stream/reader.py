"""Readers of one session's logs: their topics, their positions and their next messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from mimamba.drivers.driver import AuxiliaryChunk, Marker
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.body.motion import find_motion
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.logs.epoch_logs import ActiveModel, Event
from mimamba.service.logs.log import SignalRun
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.messages import (
    BandsMessage,
    CalibrationMessage,
    FeedbackMessage,
    HeartMessage,
    LinkMessage,
    MarkerMessage,
    MotionMessage,
    Position,
    PPGMessage,
    PredictionMessage,
    QualityMessage,
    RatingMessage,
    SignalMessage,
    Skipped,
    StudyMessage,
    Subscribed,
    TopicMessage,
    encode,
)
from mimamba.service.protocol.personal import CalibrationEntry, RatingEntry
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.session import Session
from mimamba.service.topics import TOPICS, Topic

VIEWED: frozenset[Topic] = frozenset({"signal", "quality", "bands", "heart", "motion", "ppg"})
"""Topics that grow steadily, and whose readers are woken at most as often as a screen shows."""
BATCH_SIZE = 64
"""Entries read at a time when catching up."""


@dataclass(frozen=True)
class Batch:
    """Encoded frames of consecutive entries.

    ``missed`` is the number of entries that had left their log. ``received`` is the time of
    reception of the newest prediction, s on the LSL clock; None where there is none.
    """

    frames: list[bytes]
    missed: int
    received: float | None


class SharedFrames:
    """Encoded frames of a session, made once per format and shared by all readers that keep up."""

    def __init__(self, counters: ServiceCounters, keep: int = 64) -> None:
        self.counters = counters
        self._keep = keep
        self._made: OrderedDict[tuple[object, ...], Batch] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], Batch]) -> list[bytes]:
        """Return the frames of a key, made by ``make`` the first time, and count them as sent."""
        batch = self._made.get(key)
        if batch is None:
            batch = self._made[key] = make()
            if len(self._made) > self._keep:
                self._made.popitem(last=False)
        self.counters.skipped += batch.missed
        if batch.received is not None:
            self.counters.on_prediction(batch.received)
        return batch.frames


class SessionReader:
    """Follows a session's topics with one integer each.

    Parameters
    ----------
    session
        An open session.
    frames
        The session's shared frames.
    binary
        Whether frames are msgpack.
    """

    def __init__(self, session: Session, frames: SharedFrames, binary: bool) -> None:
        assert session.logs is not None
        self._session = session
        self._frames = frames
        self._binary = binary
        self._logs = session.logs
        self._positions: dict[Topic, int] = {}
        self._model_index = 0  # of the model in the last ``subscribed``

    def subscribe(self, topics: list[Topic], since: Position | None) -> None:
        """Follow topics: from now on, or after ``since``.

        The logs of a past epoch are gone, so a reader with a position in another epoch than the
        present one gets all entries of the present logs.
        """
        for topic in topics:
            log = self._logs.log(topic)
            if since is None:
                self._positions[topic] = log.next
            elif since.epoch != self._logs.epoch:
                self._positions[topic] = log.oldest
            elif topic in since.seq:
                self._positions[topic] = max(0, min(since.seq[topic] + 1, log.next))
            else:
                self._positions[topic] = log.oldest
        self._positions = {
            each: self._positions[each] for each in TOPICS if each in self._positions
        }
        self._model_index = 0
        while self._model_changed():
            self._model_index += 1

    def unsubscribe(self, topics: list[Topic] | None) -> None:
        """Follow these topics no longer, or no topic if ``topics`` is None."""
        for topic in topics or list(self._positions):
            self._positions.pop(topic, None)

    @property
    def idle(self) -> bool:
        """True if it follows no topic."""
        return not self._positions

    @property
    def views(self) -> bool:
        """True if it follows a topic that grows steadily."""
        return not VIEWED.isdisjoint(self._positions)

    def describe(self, answer: str | int | None = None) -> bytes:
        """Encode the ``subscribed`` message for the reader's position."""
        session, logs = self._session, self._logs
        assert session.info is not None
        active_model = logs.active_models[self._model_index]
        message = Subscribed(
            session.name,
            logs.epoch,
            session.info,
            active_model.model,
            active_model.outputs,
            active_model.montage,
            active_model.delay,
            dict(self._positions),
            answer,
            active_model.head,
        )
        return encode(message, self._binary)

    def take(self) -> list[bytes]:
        """Return the next frames, also of the next epoch; none if there is nothing new.

        This is at most one batch, predictions first, so a backlog of signal delays nothing else.
        ``subscribed`` comes between the predictions of two models.
        """
        if self._model_changed():
            self._model_index += 1
            return [self.describe()]
        present = self._session.logs  # read first: the logs of a past epoch are complete
        for topic, at in self._positions.items():
            stop = min(self._stop(topic), at + BATCH_SIZE)
            if at < stop:
                self._positions[topic] = stop
                key = (self._logs.epoch, topic, at, stop, self._binary)
                return self._frames.get(key, partial(self._make, topic, at, stop))
        assert present is not None
        if present is self._logs:
            return []
        self._logs, self._model_index = present, 0
        self._positions = dict.fromkeys(self._positions, 0)
        return [self.describe()]

    def _stop(self, topic: Topic) -> int:
        """Return the end of what may be read of a topic now."""
        if topic == "signal" and self._logs is self._session.logs:
            return self._logs.signal_shown
        stop = self._logs.log(topic).next  # the model of all entries before it is known by now
        if topic != "prediction":
            return stop
        following = self._following_model()
        return stop if following is None else min(stop, following.since)

    def _following_model(self) -> ActiveModel | None:
        """Return the model after that of the last ``subscribed``; None while there is none."""
        models = self._logs.active_models
        return models[self._model_index + 1] if len(models) > self._model_index + 1 else None

    def _model_changed(self) -> bool:
        """Check if the next prediction is of another model than that of the last ``subscribed``."""
        following = self._following_model()
        return following is not None and self._positions.get("prediction", inf) >= following.since

    def _make(self, topic: Topic, at: int, stop: int) -> Batch:
        """Encode the entries from ``at`` to before ``stop``, with ``skipped`` if some are gone."""
        name, logs = self._session.name, self._logs
        messages: list[TopicMessage | Skipped]
        received: float | None = None
        if topic == "signal":
            runs = logs.signal.read(at, stop)
            there = runs[0].start if runs else stop
            messages = [signal_message(name, run) for run in runs]
        else:
            entries = logs.events(topic).read(at, stop)
            there = entries[0][0] if entries else stop
            messages = [topic_message(name, seq, entry) for seq, entry in entries]
            if entries and isinstance(newest := entries[-1][1], PublishedPrediction):
                received = newest.timing.received
        if there > at:
            messages.insert(0, Skipped(name, topic, at, there - 1))
        frames = [encode(each, self._binary) for each in messages]
        return Batch(frames, there - at, received)


def signal_message(session: str, run: SignalRun) -> SignalMessage:
    """Make the message of a run of samples."""
    return SignalMessage(
        session,
        run.seq,
        run.first,
        run.timestamps.astype("<f8", copy=False).tobytes(),
        run.data.astype("<f4", copy=False).tobytes(),
    )


def topic_message(session: str, seq: int, entry: Event) -> TopicMessage:
    """Make the message of a log's entry."""
    if isinstance(entry, PublishedPrediction):
        made = entry.prediction
        return PredictionMessage(
            session,
            seq,
            made.index,
            made.timestamp,
            made.status,
            made.reason,
            made.outputs,
            entry.timing,
            entry.personal,
            made.set,
        )
    if isinstance(entry, Quality):
        return QualityMessage(
            session, seq, entry.index, entry.timestamp, entry.channels, entry.motion
        )
    if isinstance(entry, BandPower):
        return BandsMessage(session, seq, entry.index, entry.timestamp, entry.channels)
    if isinstance(entry, Marker):
        return MarkerMessage(session, seq, entry.timestamp, entry.index, entry.label, entry.source)
    if isinstance(entry, HeartRate):
        return HeartMessage(
            session, seq, entry.index, entry.timestamp, entry.rate, entry.confidence, entry.reason
        )
    if isinstance(entry, AuxiliaryChunk):
        return sensor_message(session, seq, entry)
    if isinstance(entry, CalibrationEntry | RatingEntry | StudyEntry | FeedbackEntry):
        return _message_about_person(session, seq, entry)
    return LinkMessage(
        session, seq, entry.timestamp, entry.event, entry.detail, entry.first, entry.lost
    )


def _message_about_person(
    session: str, seq: int, entry: CalibrationEntry | RatingEntry | StudyEntry | FeedbackEntry
) -> TopicMessage:
    if isinstance(entry, CalibrationEntry):
        return CalibrationMessage(
            session, seq, entry.index, entry.timestamp, entry.id, entry.progress, entry.verdict
        )
    if isinstance(entry, RatingEntry):
        return RatingMessage(
            session,
            seq,
            entry.index,
            entry.timestamp,
            entry.valence,
            entry.arousal,
            entry.personal,
            entry.outputs,
        )
    if isinstance(entry, StudyEntry):
        return StudyMessage(session, seq, entry.timestamp, entry.id, entry.progress)
    return FeedbackMessage(session, seq, entry.timestamp, entry.id, entry.state)


def sensor_message(session: str, seq: int, entry: AuxiliaryChunk) -> PPGMessage | MotionMessage:
    """Make the message of samples measured beside the EEG."""
    info = entry.info
    timestamps = entry.timestamps.astype("<f8", copy=False).tobytes()
    data = entry.data.astype("<f4", copy=False).tobytes()
    channels = list(info.ch_names)
    if info.name == "ppg":
        return PPGMessage(
            session, seq, entry.first, timestamps, data, channels, info.unit, info.sfreq
        )
    return MotionMessage(
        session,
        seq,
        info.name,
        entry.first,
        timestamps,
        data,
        channels,
        info.unit,
        info.sfreq,
        bool(find_motion(info, entry.data).any()),
    )
