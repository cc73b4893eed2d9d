"""Blinks and jaw clenches found in recordings, compared with those that a person sees.

The times are read by eye from filtered traces, as no recording at hand has annotations of them.
Thresholds were chosen on the first two recordings, so these figures flatter the detector. Eyes that
are closed cannot blink, and in the arithmetic set blinks were removed by those who published it:
what is found there is wrong. The recordings of the Insight took no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.read import read_recording
from mimamba.models.detection.blink import BlinkDetector
from mimamba.models.detection.event_detector import find_forehead, find_temples
from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.detection.jaw import JawDetector
from mimamba.service.bench.figures import Figure, NotRun

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CYTON = "formats/openbci_gui/OpenBCI_GUI-v6-blinks-jawClench-alpha.txt"
CYTON_NAMES = ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")
"""The default places of its channels."""
OPEN = "bids/eyes-eegmmidb/**/*eyesopen*.edf"
CLOSED = "bids/eyes-eegmmidb/**/*eyesclosed*.edf"
BLINKS: dict[str, list[float]] = {
    CYTON: [
        *(4.30, 4.95, 5.17, 5.38, 5.59, 5.79, 6.01, 6.22, 13.88, 15.43, 15.64, 15.83, 16.05),
        *(16.24, 16.47, 78.5, 79.68, 79.85, 80.07, 80.28, 80.5, 80.8),
    ],
    OPEN: [9.6, 14.2, 17.3, 24.35, 37.7, 38.15, 39.3, 40.7, 44.0, 49.1, 55.8],
}
"""Times of their peaks, s."""
CLENCHES = {CYTON: [8.35, 9.9, 11.7, 13.0, 82.0, 83.1, 84.3]}
"""Times of their beginnings, s."""
UNCLEAR = {CYTON: (85.9, 89.0)}
"""Five blinks with all muscles of the face, which count neither way, s."""
TOLERANCE: dict[EventKind, float] = {"blink": 0.15, "jaw": 0.4}
"""Distance from a seen event within which a found one is right, s."""


def measure(minutes: float) -> list[Figure]:
    """Measure; at most this many minutes of the arithmetic set are read."""
    if not DATA.is_dir():
        raise NotRun("the recordings in ../shared/data", "none", "put them there")
    return [*_rates("blink", BLINKS), *_rates("jaw", CLENCHES), *_false(minutes)]


def detect(kind: EventKind, path: Path) -> tuple[NDArray[np.float64], float]:
    """Return the times of the events in a recording, s, and its minutes."""
    recording = read_recording(str(path))
    info, data = recording.info, np.nan_to_num(recording.data.astype(np.float64))
    names = CYTON_NAMES if path.name == Path(CYTON).name else info.ch_names
    columns = find_forehead(names) if kind == "blink" else find_temples(names)
    if path.name == Path(CYTON).name and kind == "jaw":
        columns = list(range(2, len(names)))  # it was shown on all
    detector = (BlinkDetector if kind == "blink" else JawDetector)(info.sfreq, len(columns))
    found = np.array(detector.push(data[:, columns]), np.float64) / info.sfreq
    return found, len(data) / info.sfreq / 60


def count_right(found: Sequence[float], seen: Sequence[float], tolerance: float) -> int:
    """Return how many found events are seen ones; each counts once."""
    left, right = list(seen), 0
    for at in found:
        nearest = min(left, key=lambda each: abs(each - at), default=None)
        if nearest is not None and abs(nearest - at) <= tolerance:
            left.remove(nearest)
            right += 1
    return right


def _rates(kind: EventKind, seen: dict[str, list[float]]) -> list[Figure]:
    """Precision and recall over all recordings with seen events."""
    right = n_found = n_seen = 0
    figures = []
    for pattern, times in seen.items():
        found, _ = detect(kind, next(DATA.glob(pattern)))
        low, high = UNCLEAR.get(pattern, (np.inf, np.inf))
        clear = [at for at in found.tolist() if not low <= at <= high]
        hits = count_right(clear, times, TOLERANCE[kind])
        name = "Cyton" if pattern == CYTON else "eyes open"
        figures.append(Figure(f"{kind}, {name}: right of {len(clear)} found", hits, ""))
        figures.append(Figure(f"{kind}, {name}: right of {len(times)} seen", hits, ""))
        right, n_found, n_seen = right + hits, n_found + len(clear), n_seen + len(times)
    return [
        *figures,
        Figure(f"{kind}: precision", 100 * right / max(1, n_found), "%"),
        Figure(f"{kind}: recall", 100 * right / max(1, n_seen), "%"),
    ]


def _false(minutes: float) -> list[Figure]:
    figures = []
    for name, pattern, most in (
        ("eyes closed", CLOSED, np.inf),
        ("Insight, eyes closed", "bids/eyes-insight/**/*eyesclosed*.edf", np.inf),
        ("Insight, eyes open", "bids/eyes-insight/**/*eyesopen*.edf", np.inf),
        ("arithmetic", "bids/arith/**/*.edf", minutes),
    ):
        kinds: tuple[EventKind, ...] = ("blink", "jaw")
        for kind in kinds:
            count, length = 0, 0.0
            for path in sorted(DATA.glob(pattern)):
                if length >= most:
                    break
                found, part = detect(kind, path)
                count, length = count + len(found), length + part
            figures.append(Figure(f"{kind}, {name}: found", count / length, "a minute"))
    return figures
