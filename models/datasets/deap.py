"""DEAP, preprocessed: ``s01`` to ``s32``, as ``.dat`` for Python or ``.mat`` for MATLAB.

Source: Koelstra et al., "DEAP: A Database for Emotion Analysis using Physiological Signals", 2012,
https://www.eecs.qmul.ac.uk/mmv/datasets/deap/. Each person has 40 trials of 60 s at 128 Hz, after
3 s of baseline, which are left out. The first 32 of 40 channels are EEG. There is no other rest.

For a Muse's electrodes, T7 is used for TP9 (47.5 mm away), Fp1 for AF7 (29.9 mm), Fp2 for AF8
(30.2 mm) and T8 for TP10 (48.5 mm).
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
from mimamba.models.signal.montage import match_montage

SFREQ = 128.0
BASELINE = 384
"""Number of samples before the stimulus (3 s)."""
SHAPES = {"data": (40, 40, 8064), "labels": (40, 4)}
"""Shapes (trials, channels, samples) and (trials, ratings)."""
SCALE = (1.0, 9.0)
"""Lowest and highest rating."""
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
"""Folders of the files below the root; the first with any file is used."""
SOURCE = (
    "DEAP (Koelstra et al. 2012), preprocessed EEG of people who watched music videos; under its "
    "end user licence agreement, for academic research"
)


@dataclass(frozen=True)
class Deap:
    """Copy of DEAP, or of some of its people; the class name is part of the cache's key.

    Ratings above ``threshold`` are high; None for the middle of the scale.
    """

    root: Path
    name: str = "deap"
    threshold: float | None = None

    def channels(self) -> tuple[str, ...]:
        """Return the names of all channels."""
        return CHANNELS

    def files(self) -> list[Path]:
        """List a file per person, ``.dat`` preferred; raises DatasetError without any."""
        for folder in FOLDERS:
            found = {
                path.stem: path
                for kind in ("mat", "dat")
                for path in (self.root / folder).glob(f"s[0-3][0-9].{kind}")
            }
            if found:
                return [found[person] for person in sorted(found)]
        raise DatasetError(
            "DEAP's files s01.dat to s32.dat, or .mat", f"none in {self.root}", "correct --root"
        )

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read all people; raises DatasetError or MontageError."""
        met = match_montage(montage, CHANNELS)
        rows = [electrode.row for electrode in met]
        info, chosen = make_info(self.name, self.root, SFREQ, met)
        return Dataset(
            self.name,
            SOURCE,
            info,
            chosen,
            dict.fromkeys(OUTPUTS, LABELS),
            tuple(trial for path in self.files() for trial in _trials(path, rows, self.threshold)),
            {},
        )


def _trials(path: Path, rows: Sequence[int], threshold: float | None) -> list[Trial]:
    arrays = _arrays(path)
    labels = low_or_high(path, arrays["labels"], SCALE, threshold)
    return [
        continuous_trial(
            path, path.stem, f"trial-{n:02d}", samples[rows, BASELINE:].T, labels[n - 1]
        )
        for n, samples in enumerate(arrays["data"], 1)
    ]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read ``data`` and ``labels``, and check their shapes."""
    found = unpickle_arrays(path) if path.suffix == ".dat" else load_matlab(path, list(SHAPES))
    for name, shape in SHAPES.items():
        if name not in found:
            raise damaged_file(path, f"the array {name}", ", ".join(found) or "nothing")
        found[name] = numbers(path, name, found[name])
        if found[name].shape != shape:
            raise damaged_file(path, f"{name} of shape {shape}", f"{found[name].shape}")
    return found
