"""A study in wire protocol v1: the step that goes on, and everything that is shown with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

StudyPhase: TypeAlias = Literal["contact", "step", "done", "stopped"]
"""Phases of a study: the wait for good electrodes, the steps, and its two ends."""


@dataclass(frozen=True)
class StudyProgress:
    """Progress of a study.

    ``study`` is the protocol's name. ``step`` counts from 1, and is 0 before the first one.
    ``text``, ``sound`` and ``speak`` are what the step shows, plays and says, null for nothing.
    With ``rating`` the person is asked how they feel. ``left`` and ``total`` are the seconds of
    this phase, null where it waits for an answer. ``planned`` are the seconds of all steps and
    ``later`` those after this one, as far as they are known. ``recording`` is the name of the
    study's recording. ``reason`` says why it waits or has stopped. With ``feedback`` the step gives
    the study's feedback.
    """

    study: str
    title: str
    phase: StudyPhase
    step: int
    of: int
    text: str | None
    sound: str | None
    speak: str | None
    rating: bool
    left: float | None
    total: float | None
    planned: float
    later: float
    recording: str | None = None
    reason: str | None = None
    feedback: bool = False


@dataclass(frozen=True)
class StudyEntry:
    """Progress of the study run ``id`` at a time on the LSL clock, s."""

    timestamp: float
    id: str
    progress: StudyProgress
