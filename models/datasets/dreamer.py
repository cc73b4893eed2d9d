"""DREAMER: one file, ``DREAMER.mat``.

Source: Katsigiannis and Ramzan, "DREAMER: A Database for Emotion Recognition Through EEG and ECG
Signals From Wireless Low-cost Off-the-Shelf Devices", 2018, https://zenodo.org/records/546113.
23 people watched 18 film clips each, with an Emotiv EPOC of 14 channels at 128 Hz. Before each clip
they watched a neutral one of 61 s; the first of these is the person's rest.

For a Muse's electrodes, T7 is used for TP9 (47.5 mm away), F7 for AF7 (30.3 mm), F8 for AF8
(30.6 mm) and T8 for TP10 (48.5 mm). There is no Fp1 and Fp2. AF3 and AF4 can replace them (29.4 and
30.5 mm), but not at the same time as themselves, so the montage Fp1,Fp2,AF3,AF4 is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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
from mimamba.models.signal.montage import match_montage

FILE = "DREAMER.mat"
SFREQ = 128.0
N_CLIPS = 18
SCALE = (1.0, 5.0)
CHANNELS = (
    *("AF3", "F7", "F3", "FC5", "T7", "P7", "O1"),
    *("O2", "P8", "T8", "FC6", "F4", "F8", "AF4"),
)
OUTPUTS = {
    "valence": "ScoreValence",
    "arousal": "ScoreArousal",
    "dominance": "ScoreDominance",
}
"""Fields of the struct by output."""
SOURCE = (
    "DREAMER (Katsigiannis and Ramzan 2018), EEG of people who watched film clips; under its end "
    "user licence agreement, for research"
)


@dataclass(frozen=True)
class Dreamer:
    """Copy of DREAMER: its file, or the folder with it.

    Ratings above ``threshold`` are high; None for the middle of the scale.
    """

    root: Path
    name: str = "dreamer"
    threshold: float | None = None

    def channels(self) -> tuple[str, ...]:
        """Return the names of all channels."""
        return CHANNELS

    def files(self) -> list[Path]:
        """List the only file; raises DatasetError if it is missing."""
        path = self.root if self.root.is_file() else self.root / FILE
        if not path.is_file():
            raise DatasetError(f"the file {FILE}", f"none in {self.root}", "correct --root")
        return [path]

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read all people; raises DatasetError or MontageError."""
        met = match_montage(montage, CHANNELS)
        columns = [electrode.row for electrode in met]
        (path,) = self.files()
        people = [
            _Person(path, f"s{n:02d}", columns, data) for n, data in enumerate(_data(path), 1)
        ]
        info, chosen = make_info(self.name, self.root, SFREQ, met)
        return Dataset(
            self.name,
            SOURCE,
            info,
            chosen,
            dict.fromkeys(OUTPUTS, LABELS),
            tuple(trial for person in people for trial in person.trials(self.threshold)),
            {person.name: person.rest() for person in people},
        )


def _data(path: Path) -> list[Any]:
    """Read the structs of people, from a cell array or an array of structs."""
    found = getattr(load_matlab(path, ["DREAMER"]).get("DREAMER"), "Data", None)
    if found is None:
        raise damaged_file(path, "the struct DREAMER with the field Data", "none")
    return list(np.atleast_1d(np.asarray(found, object)))


@dataclass(frozen=True)
class _Person:
    path: Path
    name: str
    columns: Sequence[int]
    data: Any  # MATLAB's struct

    def trials(self, threshold: float | None) -> Iterator[Trial]:
        scores = [self._scores(field) for field in OUTPUTS.values()]
        labels = low_or_high(self.path, np.stack(scores, axis=-1), SCALE, threshold)
        for n, cell in enumerate(self._cells("stimuli"), 1):
            yield self._trial(f"trial-{n:02d}", cell, labels[n - 1])

    def rest(self) -> Trial:
        return self._trial("baseline-01", self._cells("baseline")[0], ())

    def _scores(self, field: str) -> NDArray[Any]:
        scores = numbers(self.path, f"{field} of {self.name}", getattr(self.data, field, None))
        if scores.shape != (N_CLIPS,):
            raise damaged_file(
                self.path, f"{N_CLIPS} numbers as {field} of {self.name}", f"{scores.shape}"
            )
        return scores

    def _cells(self, field: str) -> NDArray[Any]:
        cells = np.asarray(getattr(getattr(self.data, "EEG", None), field, None), object)
        if cells.shape != (N_CLIPS,):
            wanted = f"{N_CLIPS} cells as EEG.{field} of {self.name}"
            raise damaged_file(self.path, wanted, f"shape {cells.shape}")
        return cells

    def _trial(self, name: str, cell: object, labels: tuple[int, ...]) -> Trial:
        samples = numbers(self.path, f"{name} of {self.name}", cell)
        if samples.ndim != 2 or samples.shape[1] != len(CHANNELS):
            wanted = f"samples x {len(CHANNELS)} as {name} of {self.name}"
            raise damaged_file(self.path, wanted, f"shape {samples.shape}")
        return continuous_trial(self.path, self.name, name, samples[:, self.columns], labels)
