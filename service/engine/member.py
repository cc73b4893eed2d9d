"""A session as the compute loop sees it, and the work that passes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mimamba.models.prediction import Prediction
from mimamba.models.signal.channel_meters import ChannelMeters
from mimamba.models.signal.hops import Hop, HopWork
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import Window
from mimamba.service.engine.arrivals import ArrivedChunk
from mimamba.service.engine.engine import Engine, Slot


@dataclass(frozen=True, eq=False, slots=True)
class DueHop:
    """A hop for the model, and the time at which its last samples came, s."""

    hop: Hop
    received: float


@dataclass(frozen=True, eq=False, slots=True)
class Logged:
    """Work that logged chunks leave.

    Parameters
    ----------
    windows
        The windows to measure, oldest first.
    works
        The work on the hops of chunks, with the time at which each chunk came, from the first chunk
        on that completes a hop.
    """

    windows: list[Window]
    works: list[tuple[HopWork, float]]


class Member(Protocol):
    """A session, as the loop sees it. All of this is called in the loop's thread."""

    @property
    def watched(self) -> bool:
        """True if somebody waits for its signal, and not only for its predictions."""
        ...

    @property
    def unattended(self) -> bool:
        """True if nobody takes its signal, quality and bands, now or on another machine."""
        ...

    @property
    def meters(self) -> ChannelMeters:
        """Meters of the present epoch."""
        ...

    @property
    def stepping(self) -> tuple[Engine, Slot]:
        """Engine and slot of its model; called only if hops were accepted."""
        ...

    def log(self, arrivals: Sequence[ArrivedChunk]) -> Logged:
        """Log chunks of one epoch."""
        ...

    def add_measures(self, measures: Sequence[BandPower | Quality]) -> None:
        """Log measures of its signal."""
        ...

    def accept(self, hops: Sequence[DueHop]) -> list[DueHop]:
        """Return those of these hops that are to be stepped, aligned."""
        ...

    def publish(self, prediction: Prediction, received: float, stepped: float) -> None:
        """Log a prediction."""
        ...

    def stop(self) -> None:
        """Stop to read the source: the session has failed, and its thread raises the error."""
        ...
