"""UNIVERSE: Muse S recordings of 24 people with their ratings of valence and arousal.

Source: Anders et al., "Unobtrusive measurement of cognitive load and physiological signals in
uncontrolled environments", Scientific Data 11:1000, 2024, doi:10.1038/s41597-024-03738-7; data at
doi:10.5281/zenodo.10371068. A laboratory session has the signal as Mind Monitor writes it, and the
log of PsychoPy, in which both sliders of the Affective Slider (0 to 1) follow each task:

    UN_101/Lab1/Raw/Muse/Muse.csv
    UN_101/Lab1/Raw/Psychopy/*.log

Both have the local time of their machine, so a rating is placed within some seconds. The pickles in
``Labeled`` are never opened, nor is anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.models.datasets.dataset import DatasetError

SESSIONS = "*/Lab[0-9]*/Raw"
SIGNAL = "Muse/Muse.csv"
LOGS = "[Pp]sycho[Pp]y/**/*.log"
SHOWN = re.compile(r".*\tEXP \tRoutine Affective-Slider started at (?P<time>[-0-9 :.]+)\s*")
SET = re.compile(r".*\tEXP \tslider(?P<name>Valence|Arousal): markerPos = (?P<value>[0-9.]+)\s*")
DONE = re.compile(r".*\tEXP \tRoutine Affective-Slider finished at .*\s*")
MAX_LOG_BYTES = 1 << 28
"""Largest log that is read, bytes."""


@dataclass(frozen=True)
class TimedRating:
    """A rating of how a person felt.

    Parameters
    ----------
    index
        Position of the newest sample when the sliders were shown.
    valence, arousal
        0 to 100.
    """

    index: int
    valence: float
    arousal: float


@dataclass(frozen=True, eq=False)
class RatedSession:
    """A session of a person with ratings."""

    person: str
    name: str
    recording: Recording
    ratings: tuple[TimedRating, ...]


def is_universe(root: Path) -> bool:
    """Return whether a folder has the layout of UNIVERSE, or of one person of it."""
    return any(path.joinpath(SIGNAL).is_file() for path in _sessions(root))


def read_universe(root: Path) -> Iterator[RatedSession]:
    """Read the laboratory sessions that have a signal and a log, one after the other.

    Raises
    ------
    DatasetError
        If there is none.
    DriverError
        If a signal cannot be read.
    """
    n_found = 0
    for folder in _sessions(root):
        logs = sorted(path for path in folder.glob(LOGS) if path.is_file())
        if not folder.joinpath(SIGNAL).is_file() or not logs:
            continue
        recording = read_recording(folder / SIGNAL)
        session = folder.parent
        shown = [each for log in logs for each in _read_log(log)]
        ratings = tuple(_place(recording, *each) for each in shown if _within(recording, each[0]))
        n_found += 1
        yield RatedSession(session.parent.name, session.name, recording, ratings)
    if not n_found:
        raise DatasetError(
            f"laboratory sessions of UNIVERSE in {root}, as UN_101/Lab1/Raw/{SIGNAL} with a log of "
            "PsychoPy",
            "none",
            "correct --root, or unpack the raw data",
        )


def _sessions(root: Path) -> list[Path]:
    return sorted(path for path in root.glob(SESSIONS) if path.is_dir())


def _read_log(path: Path) -> list[tuple[float, float, float]]:
    """Return the answered sliders: time at which they were shown (UNIX, s), valence, arousal."""
    if path.stat().st_size > MAX_LOG_BYTES:
        raise DatasetError(
            f"a log of at most {MAX_LOG_BYTES >> 20} MiB", f"a larger one, {path}", "shorten it"
        )
    found: list[tuple[float, float, float]] = []
    shown: float | None = None
    given: dict[str, float] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := SHOWN.fullmatch(line):
                shown, given = _time(match["time"]), {}
            elif shown is not None and (match := SET.fullmatch(line)):
                given[match["name"]] = 100 * float(match["value"])  # the last one counts
            elif shown is not None and DONE.fullmatch(line):
                if len(given) == 2 and max(given.values()) <= 100:
                    found.append((shown, given["Valence"], given["Arousal"]))
                shown = None
    return found


def _time(text: str) -> float | None:
    """Return a local time as UNIX time, as the reader of the signal does; None if it is none."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _within(recording: Recording, time: float) -> bool:
    return bool(recording.timestamps[0] <= time <= recording.timestamps[-1])


def _place(recording: Recording, time: float, valence: float, arousal: float) -> TimedRating:
    row = int(np.searchsorted(recording.timestamps, time, side="right")) - 1
    return TimedRating(int(recording.index[row]), valence, arousal)
