"""LSL streams of what a session's device measures beside the EEG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from mimamba.drivers.driver import AuxiliaryChunk
from mimamba.models.body.heart_rate import HeartRate
from mimamba.service.logs.epoch_logs import EpochLogs, Event
from mimamba.service.recordings.sensor_streams import (
    HEART_CHANNELS,
    HEART_KIND,
    KINDS,
    heart_row,
    sensor_unit,
)
from mimamba.service.topics import Topic

SENSOR_TOPICS: Final[tuple[Topic, ...]] = ("heart", "motion", "ppg")


class OpenOutlet(Protocol):
    """Opens an outlet of a session."""

    def __call__(
        self, name: str, kind: str, channels: Mapping[str, str], sfreq: float, numbers: str
    ) -> Any:
        """Open an outlet with these channels and units, rate (Hz) and format of numbers."""
        ...


class SensorOutlets:
    """An outlet for each sensor, opened with its first samples, and one of the heart rate.

    It keeps nothing of the session: streams end when the last reference to their outlets does.

    Parameters
    ----------
    logs
        The session's present logs; what they hold already is not sent.
    """

    def __init__(self, logs: EpochLogs) -> None:
        self._outlets: dict[object, Any] = {}
        self._at = {topic: logs.log(topic).next for topic in SENSOR_TOPICS}

    def begin_epoch(self) -> None:
        """Begin new logs at their first entry."""
        self._at = dict.fromkeys(SENSOR_TOPICS, 0)

    def send(self, logs: EpochLogs, open_outlet: OpenOutlet) -> None:
        """Send all new entries; ``open_outlet`` opens an outlet of the session."""
        for topic in SENSOR_TOPICS:
            log = logs.events(topic)
            if log.next > self._at[topic]:
                for seq, entry in log.read(self._at[topic], log.next):
                    self._push(entry, open_outlet)
                    self._at[topic] = seq + 1

    def _push(self, entry: Event, open_outlet: OpenOutlet) -> None:
        if isinstance(entry, HeartRate):
            if HEART_KIND not in self._outlets:
                self._outlets[HEART_KIND] = open_outlet(
                    "heart rate", HEART_KIND, HEART_CHANNELS, 0.0, "double64"
                )
            self._outlets[HEART_KIND].push_sample(heart_row(entry), entry.timestamp)
        elif isinstance(entry, AuxiliaryChunk):
            info = entry.info
            if info not in self._outlets:
                units = dict.fromkeys(info.ch_names, sensor_unit(info))
                kind = KINDS.get(info.name, info.name)
                self._outlets[info] = open_outlet(info.name, kind, units, info.sfreq, "float32")
            self._outlets[info].push_chunk(entry.data, entry.timestamps.tolist())
