"""Messages of the bus as entries of logs, as the session's worker has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk, Marker
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BANDS, BandPower, Quality
from mimamba.service.cluster.subjects import BUS_TOPICS, Entry, LoggedFeedback
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs, Event, LinkEntry
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.messages import (
    BandsMessage,
    CalibrationMessage,
    HeartMessage,
    LinkMessage,
    MarkerMessage,
    MotionMessage,
    PPGMessage,
    PredictionMessage,
    QualityMessage,
    RatingMessage,
    SignalMessage,
    StudyMessage,
)
from mimamba.service.protocol.personal import (
    CalibrationEntry,
    HeadCard,
    PersonalReading,
    RatingEntry,
)
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.topics import Topic

TOPIC_OF: Final[dict[type[Entry], Topic]] = {kind: topic for topic, kind in BUS_TOPICS.items()}
"""Topic of each kind of message."""
STAMP_BYTES: Final = 8
"""Bytes of a sample's time in a message."""


def is_earlier(epoch: str, present: str) -> bool:
    """Return whether an epoch of a source comes before the present one: they are numbered."""
    (source, _, number), (same, _, newest) = epoch.rpartition("-"), present.rpartition("-")
    numbered = number.isdecimal() and newest.isdecimal()
    return source == same and numbered and int(number) < int(newest)


def is_next(model: ActiveModel, last: ActiveModel) -> bool:
    """Return whether a model follows the last one that is known; those before it come again."""
    return model.since > last.since or (model.since == last.since and model != last)


def newest_reading(logs: EpochLogs, head: HeadCard) -> PersonalReading | None:
    """Return the newest output of a head that is in the logs; None if there is none."""
    output = logs.heads[max(logs.heads)].output if logs.heads else None
    if output is None or (output.origin is not None and output.origin.card.id != head.id):
        return None
    readings = output.readings
    found = readings.read(readings.next - 1, readings.next)
    return found[0][1].reading if found else None


def append_signal(logs: EpochLogs, messages: Sequence[SignalMessage]) -> Iterator[Chunk]:
    """Append messages that follow each other in number; yield the chunks once each is logged."""
    run: list[SignalMessage] = []
    end = 0
    for each in messages:
        if run and each.first != end:
            yield _append_run(logs, run)
            run = []
        run.append(each)
        end = each.first + len(each.timestamps) // STAMP_BYTES
    if run:
        yield _append_run(logs, run)


def _append_run(logs: EpochLogs, run: Sequence[SignalMessage]) -> Chunk:
    """Append messages without a gap between them: an entry each, in little more time than one."""
    lengths = [len(each.timestamps) // STAMP_BYTES for each in run]
    stamps, data = read_samples(
        b"".join(each.timestamps for each in run),
        b"".join(each.data for each in run),
        logs.info.n_channels,
    )
    chunk = Chunk(data, stamps, run[0].first)
    logs.signal.append(chunk, lengths)
    logs.expected = chunk.end
    return chunk


def append(logs: EpochLogs, message: Entry) -> None:
    """Append a message of the bus, other than signal, to the log of its topic."""
    assert not isinstance(message, SignalMessage)
    if isinstance(message, PredictionMessage):
        made = Prediction(
            message.index,
            message.timestamp,
            message.status,
            message.reason,
            message.outputs,
            message.set,
        )
        logs.prediction.append(PublishedPrediction(made, message.timing, message.personal))
    else:
        logs.append(TOPIC_OF[type(message)], read_event(message))


def read_event(
    message: QualityMessage
    | BandsMessage
    | MarkerMessage
    | LinkMessage
    | HeartMessage
    | MotionMessage
    | PPGMessage
    | CalibrationMessage
    | RatingMessage
    | StudyMessage
    | LoggedFeedback,
) -> Event:
    """Return what a message says, as a log's entry."""
    if isinstance(message, LoggedFeedback):
        return message.entry
    if isinstance(message, QualityMessage):
        return Quality(message.index, message.timestamp, message.channels, message.motion)
    if isinstance(message, BandsMessage):
        rows = [[getattr(each, band) for band in BANDS] for each in message.channels.values()]
        power = np.array(rows, np.float64)  # None becomes NaN
        return BandPower(message.index, message.timestamp, tuple(message.channels), power)
    if isinstance(message, MarkerMessage):
        return Marker(message.timestamp, message.index, message.label, message.source)
    if isinstance(message, HeartMessage):
        return HeartRate(
            message.index, message.timestamp, message.rate, message.confidence, message.reason
        )
    if isinstance(message, CalibrationMessage):
        return CalibrationEntry(
            message.index, message.timestamp, message.id, message.progress, message.verdict
        )
    if isinstance(message, RatingMessage):
        return RatingEntry(
            message.index,
            message.timestamp,
            message.valence,
            message.arousal,
            message.personal,
            message.outputs,
        )
    if isinstance(message, StudyMessage):
        return StudyEntry(message.timestamp, message.id, message.progress)
    if isinstance(message, LinkMessage):
        return LinkEntry(
            message.timestamp, message.event, message.detail, message.first, message.lost
        )
    name = message.sensor if isinstance(message, MotionMessage) else "ppg"
    info = AuxiliaryInfo(name, message.unit, message.sfreq, tuple(message.channels))
    stamps, data = read_samples(message.timestamps, message.data, len(message.channels))
    return AuxiliaryChunk(info, data, stamps, message.first)


def read_samples(
    timestamps: bytes, samples: bytes, n_channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the times (n_times,) and the samples (n_times, n_channels) of messages."""
    stamps = np.frombuffer(timestamps, "<f8").astype(np.float64, copy=False)
    data = np.frombuffer(samples, "<f4").astype(np.float32, copy=False)
    return stamps, data.reshape(len(stamps), n_channels)
