"""Outputs of a person's head on the bus, one for each hop, with all that makes them again.

Predictions hold the newest of them only; a recording has them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.service.logs.epoch_logs import EpochLogs
from mimamba.service.logs.head_use import HeadOrigin, HeadUse, TimedReading
from mimamba.service.logs.log import Log
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.personal_decoder import KEPT

MOST_READINGS = 256
"""Outputs of a head in one bundle."""


class CarriedOrigin(msgspec.Struct, frozen=True):
    """A ``HeadOrigin``; ``seconds`` and ``log_power`` are those of its rest, 0 and empty without.

    ``log_power`` is float64, little-endian.
    """

    card: HeadCard
    content: bytes
    rest: float
    shares: bool
    first: int
    seconds: float
    log_power: bytes


class HeadReadings(msgspec.Struct, frozen=True):
    """Outputs of the head ``number`` of an epoch; ``seq`` is the number of the first one.

    ``origin`` comes with the first ones that a worker sends.
    """

    number: int
    seq: int
    readings: list[TimedReading]
    origin: CarriedOrigin | None = None


class HeadReader:
    """Takes from an epoch's logs whatever heads have said since.

    Parameters
    ----------
    logs
        The logs.
    """

    def __init__(self, logs: EpochLogs) -> None:
        self._logs = logs
        self._at: dict[int, int] = {}

    def take(self) -> list[HeadReadings]:
        """Return the next outputs of each head."""
        found = []
        for number, use in list(self._logs.heads.items()):
            entries = use.read(self._at.get(number, use.since), MOST_READINGS)
            if not entries:
                continue
            origin = None
            if number not in self._at and use.output.origin is not None:
                origin = carry_origin(use.output.origin)
            self._at[number] = entries[-1][0] + 1
            readings = [entry for _, entry in entries]
            found.append(HeadReadings(number, entries[0][0], readings, origin))
        return found


class MirroredHead:
    """A head that a worker elsewhere steps, as a recorder sees it.

    Parameters
    ----------
    seq
        Number of the first output that is known here.
    """

    def __init__(self, seq: int) -> None:
        self.origin: HeadOrigin | None = None
        self.readings: Log[TimedReading] = Log(KEPT, seq)


def take_readings(logs: EpochLogs, found: Sequence[HeadReadings]) -> None:
    """Add outputs to the logs of an epoch, each number once and in its place."""
    for each in found:
        use = logs.heads.get(each.number)
        if use is None:
            use = logs.heads[each.number] = HeadUse(MirroredHead(each.seq), each.seq)
        head = use.output
        assert isinstance(head, MirroredHead)
        if head.origin is None and each.origin is not None:
            head.origin = read_origin(each.origin)
        if each.seq > head.readings.next:  # some were not sent: those before have no place
            head.readings = Log(KEPT, each.seq)
        for seq, entry in enumerate(each.readings, each.seq):
            if seq >= head.readings.next:
                head.readings.append(entry)


def carry_origin(origin: HeadOrigin) -> CarriedOrigin:
    """Encode the origin of a head's outputs."""
    rest = origin.baseline
    power = b"" if rest is None else np.ascontiguousarray(rest.log_power, "<f8").tobytes()
    seconds = 0.0 if rest is None else rest.seconds
    card, content = origin.card, origin.content
    return CarriedOrigin(card, content, origin.rest, origin.shares, origin.first, seconds, power)


def read_origin(carried: CarriedOrigin) -> HeadOrigin:
    """Decode the origin of a head's outputs."""
    rest = None
    if carried.log_power:
        power = np.frombuffer(carried.log_power, "<f8").reshape(-1, len(BAND_CENTRES))
        rest = Baseline(power, carried.seconds)
    return HeadOrigin(
        carried.card, carried.content, carried.rest, rest, carried.shares, carried.first
    )
