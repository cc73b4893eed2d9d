"""A person's own output beside a session's model: a head on the hops of the same signal.

It takes the hops of the session's model where that has the same signal settings and electrodes:
cutting a hop costs thirty times what the head does. Else it cuts its own. Each prediction holds the
newest output at its sample or before it, whatever the chunks and rounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.personal.features import SIGNAL, FeatureStream, HopFeatures
from mimamba.models.personal.fit_personal import PersonalFit
from mimamba.models.personal.head import FRESH, PersonalHead, Smoothing
from mimamba.models.signal.baseline import UNALIGNED, AlignerState, Baseline
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.hops import CutterState, Hop
from mimamba.service.logs.head_use import HeadOrigin, TimedReading
from mimamba.service.logs.log import Log
from mimamba.service.protocol.personal import HeadCard, PersonalReading

KEPT = 600
"""Outputs kept: ten minutes, for a recorder with a slow disk."""
RECENT = 64
"""Outputs among which that of a prediction is found: its hop waited for less than a minute."""


@dataclass(frozen=True, eq=False)
class ServedHead:
    """A head to use in a session.

    Parameters
    ----------
    card
        The head, as people are shown it.
    fit
        The calibration with its head.
    content
        Bytes of its file.
    rest
        Seconds of rest to take first; 0 to align by the head's own.
    """

    card: HeadCard
    fit: PersonalFit
    content: bytes
    rest: float = 0.0


@dataclass(frozen=True, eq=False)
class HopsBefore:
    """Hops that a head measured in a stretch of signal.

    Parameters
    ----------
    epoch
        Name of the session's epoch.
    start
        Index of the stretch's first sample.
    values
        (n_hops, n_features) of its good hops.
    rest
        Rest that they are aligned by, or None.
    """

    epoch: str
    start: int
    values: NDArray[np.float64]
    rest: Baseline | None


@dataclass(frozen=True, eq=False)
class PersonalState:
    """State of a ``PersonalDecoder`` on which its later outputs depend.

    Parameters
    ----------
    first
        As in ``PersonalDecoder``.
    epoch
        Epoch of the newest chunk; None before the first one.
    smoothing
        State of the head.
    newest
        The newest output, if there is one.
    next
        Number of the next output.
    cutter, aligner
        State of its own hops, and of the rest.
    hops
        The newest good hops that it measured, by their indices.
    """

    first: tuple[int, int] | None = None
    epoch: int | None = None
    smoothing: Smoothing = FRESH
    newest: PersonalReading | None = None
    next: int = 0
    cutter: CutterState = field(default_factory=CutterState)
    aligner: AlignerState = UNALIGNED
    hops: tuple[tuple[int, NDArray[np.float64]], ...] = ()


class PersonalDecoder:
    """Steps a head on one stream; used by the compute loop.

    Parameters
    ----------
    head
        The head.
    info
        The source.
    baseline
        Rest to align by; by default the head's own.
    kept
        Outputs kept.
    shares
        Whether it is given the hops of the model; else it cuts its own.

    Attributes
    ----------
    shares
        As given.
    readings
        Its outputs, with their times.
    first
        Index and epoch of the first sample that it took; None before.

    Raises
    ------
    ValueError
        If the calibration has no head.
    MontageError, SignalError
        If the source is unsuitable.
    """

    def __init__(
        self,
        head: ServedHead,
        info: StreamInfo,
        baseline: Baseline | None = None,
        kept: int = KEPT,
        shares: bool = False,
    ) -> None:
        fit = head.fit
        if fit.head is None:
            raise ValueError(f"Expected a head, but found none. {fit.verdict.sentence}")
        self.head, self._info, self.shares, self._kept = head, info, shares, kept
        self.baseline = baseline or (None if head.rest else fit.baseline)
        self.rest = 0.0 if self.baseline is not None else head.rest
        self._features = FeatureStream(info, fit.settings.montage, self.baseline)
        if self.rest:
            self._features.start_baseline(self.rest)
        self._head = PersonalHead(fit.head, fit.settings.kinds, SIGNAL.hop / SIGNAL.sfreq)
        self.first: tuple[int, int] | None = None
        self.readings: Log[TimedReading] = Log(kept)
        self._recent: deque[PersonalReading] = deque(maxlen=RECENT)
        self._hops: deque[tuple[int, NDArray[np.float64]]] = deque(maxlen=RECENT)
        self._epoch: int | None = None

    @property
    def electrodes(self) -> list[Electrode]:
        """The electrodes that it measures, and the channels used for them."""
        return self._features.electrodes

    @property
    def origin(self) -> HeadOrigin | None:
        """All that it takes to make its outputs again; None before its first sample."""
        if self.first is None:
            return None
        head = self.head
        return HeadOrigin(
            head.card, head.content, self.rest, self.baseline, self.shares, self.first[0]
        )

    @property
    def state(self) -> PersonalState:
        """State between two chunks, with which another process continues it."""
        cutter, aligner = self._features.state
        return PersonalState(
            self.first,
            self._epoch,
            self._head.state,
            self.newest,
            self.readings.next,
            cutter,
            aligner,
            tuple(self._hops),
        )

    @state.setter
    def state(self, state: PersonalState) -> None:
        self.first, self._epoch, self._head.state = state.first, state.epoch, state.smoothing
        self._recent.clear()
        self._recent.extend([state.newest] if state.newest else [])
        self.readings = Log(self._kept, state.next)
        self._hops.extend(state.hops)
        self._features.state = state.cutter, state.aligner

    def fresh(self, shares: bool) -> PersonalDecoder:
        """Return a decoder that starts over, with the rest that this one has."""
        return PersonalDecoder(self.head, self._info, self._features.baseline, shares=shares)

    def with_card(self, card: HeadCard) -> None:
        """Show people another card of the same head."""
        self.head = replace(self.head, card=card)

    def take(self, chunk: Chunk) -> None:
        """Take the source's next chunk."""
        if self.first is None:
            self.first = chunk.first, chunk.epoch
        if chunk.epoch != self._epoch:
            self._recent.clear()
            self._hops.clear()
            self._epoch = chunk.epoch
        if not self.shares:
            self._step(self._features.feed(chunk))

    def take_hops(self, hops: Iterable[Hop]) -> None:
        """Take the model's next hops, as its cutter gives them."""
        self._step(self._features.measure(hop) for hop in hops)

    def _step(self, hops: Iterable[HopFeatures]) -> None:
        for hop in hops:
            if hop.values is not None:
                self._hops.append((hop.index, hop.values))
            output = self._head.step(hop.values, hop.restart)
            reading = PersonalReading(
                hop.index,
                hop.status,
                hop.reason,
                output.probabilities if output else None,
                output.state if output else None,
            )
            self._recent.append(reading)
            self.readings.append(TimedReading(reading, hop.timestamp))

    def hops_before(self, index: int, seconds: float, epoch: str) -> HopsBefore:
        """Return the good hops whose windows lie in the seconds up to a sample of an epoch."""
        start = index + 1 - round(seconds * self._info.sfreq)
        reach = round(SIGNAL.window / SIGNAL.sfreq * self._info.sfreq)
        found = [values for at, values in self._hops if start + reach - 1 <= at <= index]
        return HopsBefore(epoch, start, np.array(found), self._features.baseline)

    def end(self) -> None:
        """Do nothing: there is nothing to give back."""

    @property
    def newest(self) -> PersonalReading | None:
        """The newest output; None if there is none."""
        return self._recent[-1] if self._recent else None

    def reading_at(self, index: int) -> PersonalReading | None:
        """Return the newest output at a sample or before it; None if there is none."""
        return next((each for each in reversed(self._recent) if each.index <= index), None)
