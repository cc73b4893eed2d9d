"""Streams of a recording with what the device measures beside the EEG.

Each sensor is a plain stream at its nominal rate, of type PPG, ACC or GYRO, as other programs name
them; a lost sample is missing, and each other has its own stamp. ``heart`` has one row a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo
from mimamba.drivers.formats.xdf.chunk_writer import ChannelFormat, StreamHeader, XDFWriter
from mimamba.drivers.formats.xdf.sample_index import HEART_TOPIC
from mimamba.models.body.heart_rate import HeartRate
from mimamba.service.logs.epoch_logs import Event
from mimamba.service.recordings.stream_headers import device_name, device_source_id

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session

KINDS: Final = {"ppg": "PPG", "acceleration": "ACC", "rotation": "GYRO"}
"""Types of streams by the sensor's name."""
HEART_KIND: Final = "HeartRate"
HEART_CHANNELS: Final = {"rate": "beats/minute", "confidence": "share", "index": "sample"}
"""Units by channel; the rate is NaN where the pulse shows none."""
UNITS: Final = {"°/s": "degrees/second"}
"""Units in ASCII, where they are not."""


def sensor_unit(info: AuxiliaryInfo) -> str:
    """Return a sensor's unit as XDF and LSL have it."""
    return UNITS.get(info.unit, info.unit)


def heart_row(made: HeartRate) -> list[float]:
    """Return a heart rate as a row of ``HEART_CHANNELS``."""
    return [np.nan if made.rate is None else made.rate, made.confidence, float(made.index)]


@dataclass(frozen=True)
class SensorNumbers:
    """Numbers of a file's streams of sensors and of the heart rate; None for one not declared."""

    sensors: tuple[tuple[AuxiliaryInfo, int], ...] = ()
    heart: int | None = None


class SensorStreams:
    """Pulse, motion and heart rate; each stream is declared with its first samples.

    Parameters
    ----------
    writer
        The file.
    session
        The session.
    numbers
        The streams as they are declared.
    """

    def __init__(
        self, writer: XDFWriter, session: Session, numbers: SensorNumbers | None = None
    ) -> None:
        self._writer = writer
        self._session = session
        self._sensors: dict[AuxiliaryInfo, int] = dict(numbers.sensors) if numbers else {}
        self._heart: int | None = numbers.heart if numbers else None

    @property
    def numbers(self) -> SensorNumbers:
        """The streams as they are declared."""
        return SensorNumbers(tuple(self._sensors.items()), self._heart)

    def write(self, entries: Sequence[Event]) -> None:
        """Append the entries that belong to these streams."""
        chunks: defaultdict[AuxiliaryInfo, list[AuxiliaryChunk]] = defaultdict(list)
        for each in entries:
            if isinstance(each, AuxiliaryChunk):
                chunks[each.info].append(each)
        for info, measured in chunks.items():
            stamps = np.concatenate([each.timestamps for each in measured])
            data = np.concatenate([each.data for each in measured])
            self._writer.numbers(self._sensor(info), stamps, data)
        made = [each for each in entries if isinstance(each, HeartRate)]
        if made:
            stamps = np.array([each.timestamp for each in made])
            self._writer.numbers(self._heart_stream(), stamps, np.array([*map(heart_row, made)]))

    def _sensor(self, info: AuxiliaryInfo) -> int:
        """Return a sensor's stream."""
        if info not in self._sensors:
            header = self._header(
                info.name,
                KINDS.get(info.name, info.name),
                "float32",
                info.sfreq,
                dict.fromkeys(info.ch_names, sensor_unit(info)),
            )
            self._sensors[info] = self._writer.declare_late(header, self._session.now())
        return self._sensors[info]

    def _heart_stream(self) -> int:
        if self._heart is None:
            header = self._header("heart rate", HEART_KIND, "double64", 0.0, HEART_CHANNELS)
            self._heart = self._writer.declare_late(header, self._session.now())
        return self._heart

    def _header(
        self,
        name: str,
        kind: str,
        channel_format: ChannelFormat,
        sfreq: float,
        units: dict[str, str],
    ) -> StreamHeader:
        return StreamHeader(
            name=f"{device_name(self._session)} {name}",
            kind=kind,
            channel_format=channel_format,
            sfreq=sfreq,
            source_id=device_source_id(self._session),
            channels=[{"label": n, "unit": unit, "type": kind} for n, unit in units.items()],
            desc={"mimamba": {"topic": HEART_TOPIC}} if kind == HEART_KIND else {},
        )
