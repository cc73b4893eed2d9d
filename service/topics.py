"""A session's topics, and the values that their entries are made of; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Topic: TypeAlias = Literal[
    "prediction",
    "quality",
    "bands",
    "signal",
    "marker",
    "link",
    "calibration",
    "rating",
    "study",
    "feedback",
    "heart",
    "motion",
    "ppg",
]
TOPICS: tuple[Topic, ...] = (
    "prediction",
    "quality",
    "bands",
    "marker",
    "link",
    "heart",
    "motion",
    "ppg",
    "calibration",
    "rating",
    "study",
    "feedback",
    "signal",
)
"""In the order in which a reader with a backlog is served: the bulky signal last."""

LinkEvent: TypeAlias = Literal[
    "connected",
    "lost",
    "retrying",
    "paused",
    "playing",
    "gap",
    "hops_skipped",
    "restarted",
    "recording",
    "model",
    "baseline_begun",
    "baseline_taken",
    "baseline_used",
    "baseline_stopped",
    "head",
    "labelled",
]
"""Events on a session's link, explained at ``LinkMessage``."""


@dataclass(frozen=True)
class Model:
    """The checkpoint that makes predictions: show ``notice`` wherever they are shown.

    ``window`` and ``hop`` are seconds; ``r`` is the gate at each hop's start. ``emotion`` says
    whether an output infers emotion: the law then wants the wearer to know.
    """

    name: str
    sha256: str
    trained_on: str
    licence: str
    notice: str | None
    window: float
    hop: float
    r: float
    emotion: bool = False


@dataclass(frozen=True)
class Timing:
    """Times on the LSL clock: newest sample received, model stepped, entry logged."""

    received: float
    stepped: float
    published: float
