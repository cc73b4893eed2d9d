"""SEED, ``Preprocessed_EEG``: ``<subject>_<date>.mat``, and ``label.mat`` for all of them.

Source: Zheng and Lu, "Investigating Critical Frequency Bands and Channels for EEG-based Emotion
Recognition with Deep Neural Networks", 2015, https://bcmi.sjtu.edu.cn/home/seed/. 15 people have
three sessions each, with 15 film clips per session: arrays ``<name>_eeg1`` to ``<name>_eeg15`` of
62 x N samples at 200 Hz. There is no rest.

For a Muse's electrodes, TP7 is used for TP9 (38.7 mm away), FP1 for AF7 (29.9 mm), FP2 for AF8
(30.2 mm) and TP8 for TP10 (38.8 mm).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from mimamba.models.signal.montage import match_montage

SFREQ = 200.0
N_CLIPS = 15
LABELS = {-1: "negative", 0: "neutral", 1: "positive"}
FOLDERS = (".", "Preprocessed_EEG")
SESSION = re.compile(r"\d+_\d+")
CHANNELS = (
    *("FP1", "FPZ", "FP2", "AF3", "AF4"),
    *("F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8"),
    *("FT7", "FC5", "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8"),
    *("T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8"),
    *("TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8"),
    *("P7", "P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8"),
    *("PO7", "PO5", "PO3", "POZ", "PO4", "PO6", "PO8"),
    *("CB1", "O1", "OZ", "O2", "CB2"),
)
SOURCE = (
    "SEED (Zheng and Lu 2015, Shanghai Jiao Tong University), EEG of people who watched film "
    "clips; under its licence agreement, for academic research"
)


@dataclass(frozen=True)
class Seed:
    """Copy of SEED's folder, or of some of its sessions.

    The class name is part of the cache's key.
    """

    root: Path
    name: str = "seed"

    def channels(self) -> tuple[str, ...]:
        """Return the names of all channels."""
        return CHANNELS

    def files(self) -> list[Path]:
        """List ``label.mat`` and the sessions by person and date; raises DatasetError."""
        for folder in (self.root / name for name in FOLDERS):
            sessions = [path for path in folder.glob("*.mat") if SESSION.fullmatch(path.stem)]
            labels = folder / "label.mat"
            if sessions and labels.is_file():
                return [labels, *sorted(sessions, key=_place)]
        raise DatasetError(
            "SEED's label.mat and sessions such as 1_20131027.mat",
            f"not both in {self.root}",
            "set --root to the folder Preprocessed_EEG",
        )

    def read(self, montage: Sequence[str]) -> Dataset:
        """Read all sessions; raises DatasetError or MontageError."""
        met = match_montage(montage, CHANNELS)
        rows = [electrode.row for electrode in met]
        labels_path, *sessions = self.files()
        labels = _labels(labels_path)
        info, chosen = make_info(self.name, self.root, SFREQ, met)
        return Dataset(
            self.name,
            SOURCE,
            info,
            chosen,
            {"emotion": tuple(LABELS.values())},
            tuple(trial for path in sessions for trial in _trials(path, rows, labels)),
            {},
        )


def _place(path: Path) -> tuple[int, str]:
    subject, date = path.stem.split("_")
    return int(subject), date


def _labels(path: Path) -> list[int]:
    """Read the label index of each clip."""
    found = load_matlab(path, ["label"])
    labels = numbers(path, "label", found.get("label"))
    if labels.shape != (N_CLIPS,) or not set(labels.tolist()) <= LABELS.keys():
        raise damaged_file(path, f"{N_CLIPS} labels of -1, 0, 1", f"{labels.tolist()}"[:80])
    return [list(LABELS).index(label) for label in labels.tolist()]


def _trials(path: Path, rows: Sequence[int], labels: Sequence[int]) -> Iterator[Trial]:
    """Read a session; its trials' names start with its date, so that they are unique."""
    subject, date = _place(path)
    for n, array in enumerate(_clips(path), 1):
        name = f"{date}_trial-{n:02d}"
        yield continuous_trial(path, f"s{subject:02d}", name, array[rows].T, (labels[n - 1],))


def _clips(path: Path) -> Iterator[NDArray[Any]]:
    """Yield the 15 arrays (62, n_times) of a session, in the order of the clips."""
    variables = load_matlab(path)
    clips = {
        int(match["n"]): value
        for name, value in variables.items()
        if (match := re.fullmatch(r"\w+_eeg(?P<n>\d+)", name))
    }
    if sorted(clips) != list(range(1, N_CLIPS + 1)):
        wanted = f"arrays *_eeg1 to *_eeg{N_CLIPS}"
        raise damaged_file(path, wanted, ", ".join(variables) or "nothing")
    for n in sorted(clips):
        array = numbers(path, f"eeg{n}", clips[n])
        if array.ndim != 2 or len(array) != len(CHANNELS):
            raise damaged_file(path, f"{len(CHANNELS)} x samples as eeg{n}", f"shape {array.shape}")
        yield array
