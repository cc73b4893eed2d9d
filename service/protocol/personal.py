"""A person's own output in wire protocol v1: its card, its readings, calibrations and ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mimamba.models.prediction import Outputs, Status

CalibrationPhase: TypeAlias = Literal[
    "rest", "cue", "block", "rating", "pause", "judging", "done", "stopped", "failed"
]
"""Phases of a calibration, in order; the last two end it before a verdict."""
ServedFor: TypeAlias = Literal["yes", "this session", "no"]


@dataclass(frozen=True)
class AccuracyNote:
    """Result of a test over blocks; chance is 0.5."""

    accuracy: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class VerdictNote:
    """Verdict of a calibration: show ``sentence``.

    ``accuracy`` is on blocks held out, ``p`` is multiplied by the number of ``tests``; both are
    null without a test. ``poor`` is the share of poor signal, ``doubtful`` the number of ratings
    that contradict their block. ``model`` is the test of a shipped model, ``muscle`` that of 20 to
    40 Hz alone, ``time`` that of the first against the second half.
    """

    name: str
    served: ServedFor
    sentence: str
    accuracy: float | None
    interval: tuple[float, float] | None
    p: float | None
    attempts: int
    tests: int
    n_blocks: tuple[int, int]
    doubtful: int
    poor: float
    reason: str | None
    model: AccuracyNote | None = None
    muscle: AccuracyNote | None = None
    time: AccuracyNote | None = None


@dataclass(frozen=True)
class CalibrationProgress:
    """Progress of a calibration.

    ``block`` counts from 1, and is 0 during the rest; ``of`` grows with each further pair, of which
    there were ``extra``. ``kind`` is shown from the cue on, never ahead. ``left`` and ``total`` are
    the seconds of this phase, null where it has no end. ``repeat`` says why a block is done again.
    ``status`` and ``reason`` are those of the newest second. ``step`` is to be subtracted from
    ``number``, again and again.
    """

    phase: CalibrationPhase
    block: int
    of: int
    kind: str | None
    left: float | None
    total: float | None
    rating_due: bool
    repeat: Literal["signal"] | None
    extra: int
    status: Status
    reason: str | None
    number: int | None = None
    step: int | None = None


@dataclass(frozen=True)
class CalibrationEntry:
    """Progress of the calibration ``id`` at a sample, with the verdict once there is one."""

    index: int
    timestamp: float
    id: str
    progress: CalibrationProgress
    verdict: VerdictNote | None = None


@dataclass(frozen=True)
class HeadCard:
    """A person's own output, as people are shown it.

    ``id`` is that of its calibration. ``confirmed`` is false for one of an earlier day until it was
    right often enough today: ``right`` of ``checked`` blocks and ratings. ``half_life`` is that of
    the smoothing, ``delay`` the mean delay in all, both in seconds. ``usable`` says whether a
    session may use it. ``days`` are confirmed days whose blocks joined its training, and
    ``ratings`` is the number of ratings at any time that did.
    """

    id: str
    person: str
    contrast: str
    kinds: tuple[str, str]
    dimension: str | None
    day: str
    verdict: str
    served: ServedFor
    sentence: str
    accuracy: float | None
    interval: tuple[float, float] | None
    p: float | None
    attempts: int
    confirmed: bool
    right: int
    checked: int
    half_life: float
    delay: float
    usable: bool
    days: tuple[str, ...] = ()
    ratings: int = 0


@dataclass(frozen=True)
class PersonalReading:
    """A person's own output, as it was at sample ``index``.

    ``reason`` says why ``probabilities`` is null when the status is not ok. ``state`` is null where
    the output is not sure.
    """

    index: int
    status: Status
    reason: str | None
    probabilities: dict[str, float] | None
    state: str | None


@dataclass(frozen=True)
class RatingEntry:
    """A person's rating of how they feel, 0 to 100, with what was predicted before it was known."""

    index: int
    timestamp: float
    valence: float
    arousal: float
    personal: PersonalReading | None = None
    outputs: Outputs | None = None
