"""The use of personal outputs: their readings, and all that it takes to make these again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mimamba.models.signal.baseline import Baseline
from mimamba.service.logs.log import Log
from mimamba.service.protocol.personal import HeadCard, PersonalReading


@dataclass(frozen=True)
class TimedReading:
    """An output with the time of its sample, s."""

    reading: PersonalReading
    timestamp: float


@dataclass(frozen=True, eq=False)
class HeadOrigin:
    """All that it takes to make a head's outputs again from the signal.

    Parameters
    ----------
    card, content
        As in ``ServedHead``.
    rest
        Seconds of rest that it takes first; 0 for none.
    baseline
        Rest that it was aligned by from the start, or None.
    shares
        Whether its hops are those of the model.
    first
        Index of the first sample that it took.
    """

    card: HeadCard
    content: bytes
    rest: float
    baseline: Baseline | None
    shares: bool
    first: int


class HeadOutput(Protocol):
    """A head in use, as a recorder sees it."""

    @property
    def origin(self) -> HeadOrigin | None:
        """Its origin; None before its first sample, and where it is not known."""
        ...

    @property
    def readings(self) -> Log[TimedReading]:
        """Its outputs, with their times."""
        ...


@dataclass(eq=False)
class HeadUse:
    """The use of a personal output in an epoch.

    Parameters
    ----------
    output
        The output.
    since
        Number of its first reading in this epoch.
    stop
        Number after its last one, once the epoch is over: it may go on in the next epoch.
    """

    output: HeadOutput
    since: int
    stop: int | None = None

    def read(self, at: int, most: int | None = None) -> list[tuple[int, TimedReading]]:
        """Return its readings from a number on, at most so many, with their numbers."""
        readings = self.output.readings
        stop = readings.next if self.stop is None else self.stop
        return readings.read(at, stop if most is None else min(stop, at + most))
