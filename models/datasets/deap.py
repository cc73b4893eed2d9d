"""DEAP, preprocessed: ``s01`` .. ``s32``, as ``.dat`` for Python or ``.mat`` for MATLAB.

Source: Koelstra et al., "DEAP: A Database for Emotion Analysis using Physiological Signals", 2012,
and the data set's description. 40 trials of 60 s at 128 Hz, each after 3 s of a baseline, which
are left out; the first 32 of 40 channels are EEG. It has no other rest.

As a Muse's electrodes serve T7 for TP9 (47.5 mm), Fp1 for AF7 (29.9 mm), Fp2 for AF8 (30.2 mm), T8
for TP10 (48.5 mm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mimamba.models.datasets.dataset import (
    Dataset,
    DatasetError,
    Trial,
    continuous_trial,
    damaged_file,
    make_info,
)
from mimamba.models.datasets.matlab import load_matlab, numbers
from mimamba.models.datasets.ratings import LABELS, low_or_high
from mimamba.models.datasets.unpickler import unpickle_arrays
from mimamba.models.signal.montage import meet_montage

SFREQ = 128.0
BASELINE = 384
"""Samples before the stimulus."""
SHAPES = {"data": (40, 40, 8064), "labels": (40, 4)}
"""(trials, channels, samples), and (trials, ratings)."""
SCALE = (1.0, 9.0)
OUTPUTS = ("valence", "arousal", "dominance", "liking")
CHANNELS = (
    *(
        "Fp1",
        "AF3",
        "F3",
        "F7",
        "FC5",
        "FC1",
        "C3",
        "T7",
        "CP5",
        "CP1",
        "P3",
        "P7",
        "PO3",
        "O1",
        "Oz",
        "Pz",
    ),
    *(
        "Fp2",
        "AF4",
        "Fz",
        "F4",
        "F8",
        "FC6",
        "FC2",
        "Cz",
        "C4",
        "T8",
        "CP6",
        "CP2",
        "P4",
        "P8",
        "PO4",
        "O2",
    ),
)
FOLDERS = (".", "data_preprocessed_python", "data_preprocessed_matlab")
"""Where the files lie below the root, the first that has any."""
SOURCE = (
    "DEAP (Koelstra et al. 2012), preprocessed EEG of people who watched music videos; under its "
    "end user licence agreement, for academic research"
)


@dataclass(frozen=True)
class Deap:
    """A copy of DEAP, or of a part of its people."""

    root: Path
    name: str = "deap"

    def files(self) -> list[Path]:
        """One per person, ``.dat`` before ``.mat``; raises DatasetError if there is none."""
        for folder in FOLDERS:
            found = {
                path.stem: path
                for kind in ("mat", "dat")
                for path in (self.root / folder).glob(f"s[0-3][0-9].{kind}")
            }
            if found:
                return [found[person] for person in sorted(found)]
        raise DatasetError(
            "DEAP's s01.dat .. s32.dat, or .mat", f"none of them in {self.root}", "correct the root"
        )

    def read(self, montage: Sequence[str]) -> Dataset:
        """Every person who is there; raises DatasetError or MontageError."""
        met = meet_montage(montage, CHANNELS)
        rows = [electrode.row for electrode in met]
        info, chosen = make_info(self.name, self.root, SFREQ, met)
        return Dataset(
            self.name,
            SOURCE,
            info,
            chosen,
            dict.fromkeys(OUTPUTS, LABELS),
            tuple(trial for path in self.files() for trial in _trials(path, rows)),
            {},
        )


def _trials(path: Path, rows: Sequence[int]) -> list[Trial]:
    arrays = _arrays(path)
    labels = low_or_high(path, arrays["labels"], SCALE)
    return [
        continuous_trial(
            path, path.stem, f"trial-{n:02d}", samples[rows, BASELINE:].T, labels[n - 1]
        )
        for n, samples in enumerate(arrays["data"], 1)
    ]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """``data`` and ``labels`` in the shapes that they must have."""
    found = unpickle_arrays(path) if path.suffix == ".dat" else load_matlab(path, list(SHAPES))
    for name, shape in SHAPES.items():
        if name not in found:
            raise damaged_file(path, name, ", ".join(found) or "nothing")
        found[name] = numbers(path, name, found[name])
        if found[name].shape != shape:
            raise damaged_file(path, f"{name} of shape {shape}", f"{found[name].shape}")
    return found
