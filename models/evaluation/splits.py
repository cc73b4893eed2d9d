"""Splits of people into training, validation and test as published benchmarks use them.

The lists of people are facts of these packages, read in the named versions:

- Open EEG Bench 0.6.0 (``default_configs/datasets.py``): fixed lists.
- EEGain (``test_subjects.json`` and the tables of its README, 2025): DEAP with one person left out
  at a time, or with a fixed list of test people. It takes a fifth of the windows of the training
  people for validation; here whole people are taken.
- LibEER 0.1.4 (``data_utils/split.py``, ``config/setting.py``): people shuffled by Python's
  ``random`` with a seed; the first fifth is the test set, the next fifth the validation set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.evaluation.candidates.candidate import ClassificationTask
from mimamba.models.evaluation.groups import (
    covers_labels,
    hold_out_validation,
    members,
    person_groups,
)
from mimamba.models.evaluation.protocols import Fold, Splits
from mimamba.models.training.windowing import HopSequence


class SplitError(Mismatch):
    """Split that is unknown, or does not suit the data."""


@dataclass(frozen=True)
class PeopleFold:
    """People of each part; without validation, some people of the training are held out."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Everyone, each once."""
        return tuple(dict.fromkeys((*self.train, *self.validation, *self.test)))


@dataclass(frozen=True)
class PublishedSetting:
    """Setting of published figures, to say what differs from it.

    Parameters
    ----------
    kind
        Kind of the data set.
    n_channels
        Number of channels.
    window
        Length of a window, s.
    filtering
        Preprocessing in words.
    threshold
        Ratings above it are high; None without ratings.
    hop
        Distance of two windows, s; None if it is not stated.
    others
        Other differences, in words.
    figures
        Published figures in words, or None.
    """

    kind: str
    n_channels: int
    window: float
    filtering: str
    threshold: float | None = None
    hop: float | None = None
    others: tuple[str, ...] = ()
    figures: str | None = None


@dataclass(frozen=True)
class PeopleSplit:
    """Named split of people, with the setting of the figures published for it, if any."""

    name: str
    folds: tuple[PeopleFold, ...]
    published: PublishedSetting | None = None

    def missing(self, there: Collection[str]) -> tuple[str, ...]:
        """Return the people of the split who are not there."""
        everyone = dict.fromkeys(person for fold in self.folds for person in fold.people)
        return tuple(person for person in everyone if person not in there)


OPEN_EEG_BENCH_ZYMA = PublishedSetting(
    "bids",
    n_channels=20,
    window=5.0,
    filtering="0.1 Hz high-pass, 100 Hz",
    figures="balanced accuracy 0.556 to 0.674 (Open EEG Bench, foundation models)",
)
OPEN_EEG_BENCH_FACED = PublishedSetting(
    "bids", n_channels=32, window=10.0, filtering="0.1 Hz high-pass, 100 Hz"
)
EEGAIN_DEAP = PublishedSetting(
    "deap",
    n_channels=32,
    window=4.0,
    filtering="DEAP's own filter, 50 Hz notch",
    threshold=4.5,
    hop=4.0,
    others=("validation on whole people instead of a fifth of the training people's windows",),
    figures="accuracy 0.51 to 0.53 of valence (trivial 0.57), 0.53 to 0.57 of arousal "
    "(trivial 0.59); weighted F1 0.41 to 0.47 (0.51) and 0.49 to 0.53 (0.53)",
)
EEGAIN_FIXED_TEST = (16, 2, 7, 15, 12, 32, 21, 9)
"""Test people of DEAP in EEGain's fixed list; the other 24 are the training."""
LIBEER_N_PEOPLE = {"deap": 32, "dreamer": 23, "seed": 15}
LIBEER_SEED = 2024
"""Seed in the commands of LibEER's published figures."""
LIBEER_FIRST_SESSION = "all sessions instead of the first"


def _libeer_setting(kind: str, seed: int | None) -> PublishedSetting:
    others = ["samples and spectra instead of differential entropy smoothed over a trial"]
    if kind == "seed":
        others.append(LIBEER_FIRST_SESSION)
    if seed is not None and seed != LIBEER_SEED:
        others.append(f"seed {seed} instead of {LIBEER_SEED}")
    channels = {"deap": 32, "dreamer": 14, "seed": 62}[kind]
    threshold = {"deap": 5.0}.get(kind)
    return PublishedSetting(kind, channels, 1.0, "0.3 to 50 Hz", threshold, 1.0, tuple(others))


def _ranges(train: Sequence[str], validation: Sequence[str], test: Sequence[str]) -> PeopleFold:
    return PeopleFold(tuple(train), tuple(validation), tuple(test))


def _numbered(start: int, stop: int, width: int) -> list[str]:
    return [f"sub-{i:0{width}d}" for i in range(start, stop)]


def _persons(numbers: Sequence[int]) -> tuple[str, ...]:
    """Return the names by which DEAP's, DREAMER's and SEED's people are known here."""
    return tuple(f"s{number:02d}" for number in numbers)


def _zyma(_kind: str, _seed: int) -> PeopleSplit:
    fold = _ranges(_numbered(0, 28, 2), _numbered(28, 32, 2), _numbered(32, 36, 2))
    return PeopleSplit("openeegbench-zyma2019", (fold,), OPEN_EEG_BENCH_ZYMA)


def _faced(_kind: str, _seed: int) -> PeopleSplit:
    fold = _ranges(_numbered(0, 80, 3), _numbered(80, 100, 3), _numbered(100, 123, 3))
    return PeopleSplit("openeegbench-faced", (fold,), OPEN_EEG_BENCH_FACED)


def _eegain(_kind: str, _seed: int) -> PeopleSplit:
    return PeopleSplit("eegain-deap", _leave_one_out(32), EEGAIN_DEAP)


def _eegain_fixed(_kind: str, _seed: int) -> PeopleSplit:
    train = [number for number in range(1, 33) if number not in EEGAIN_FIXED_TEST]
    fold = PeopleFold(_persons(train), (), _persons(sorted(EEGAIN_FIXED_TEST)))
    return PeopleSplit("eegain-deap-fixed", (fold,), EEGAIN_DEAP)


def _leave_one_out(n_people: int) -> tuple[PeopleFold, ...]:
    everyone = range(1, n_people + 1)
    return tuple(
        PeopleFold(_persons([other for other in everyone if other != one]), (), _persons([one]))
        for one in everyone
    )


def _libeer(kind: str, seed: int) -> PeopleSplit:
    if kind not in LIBEER_N_PEOPLE:
        raise SplitError(
            f"one of {', '.join(LIBEER_N_PEOPLE)} for the split libeer", kind, "choose another"
        )
    numbers = list(range(1, LIBEER_N_PEOPLE[kind] + 1))
    random.Random(seed).shuffle(numbers)
    fifth = int(0.2 * len(numbers))
    fold = PeopleFold(
        _persons(sorted(numbers[2 * fifth :])),
        _persons(sorted(numbers[fifth : 2 * fifth])),
        _persons(sorted(numbers[:fifth])),
    )
    return PeopleSplit(f"libeer, seed {seed}", (fold,), _libeer_setting(kind, seed))


def _libeer_left_out(kind: str) -> PeopleSplit:
    folds = _leave_one_out(LIBEER_N_PEOPLE[kind])
    return PeopleSplit("libeer, one person left out", folds, _libeer_setting(kind, None))


SPLITS: Mapping[str, Callable[[str, int], PeopleSplit]] = {
    "openeegbench-zyma2019": _zyma,
    "openeegbench-faced": _faced,
    "eegain-deap": _eegain,
    "eegain-deap-fixed": _eegain_fixed,
    "libeer": _libeer,
    # LibEER's names of its settings across people:
    "deap_sub_independent_train_val_test_setting": lambda _, seed: _libeer("deap", seed),
    "seed_sub_independent_train_val_test_setting": lambda _, seed: _libeer("seed", seed),
    "deap_sub_independent_leave_one_out_setting": lambda _, __: _libeer_left_out("deap"),
    "seed_sub_independent_leave_one_out_setting": lambda _, __: _libeer_left_out("seed"),
    "dreamer_sub_independent_setting": lambda _, __: _libeer_left_out("dreamer"),
}
"""Splits by name, made for a kind of data set and a seed."""


class SplitFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of a file with a split of one's own."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()


def find_split(text: str, kind: str, seed: int) -> PeopleSplit:
    """Return a split by name, or from a JSON file ``{"train": [...], "validation": [...], ...}``.

    Raises
    ------
    SplitError
        If there is neither, the file is damaged, or the split is of another kind of data set.
    """
    if text in SPLITS:
        split = SPLITS[text](kind, seed)
        wanted = split.published.kind if split.published else kind
        if wanted != kind:
            raise SplitError(
                f"the data set {wanted} for the split {text}", kind, "choose another split"
            )
        return split
    path = Path(text)
    if not path.is_file():
        raise SplitError(
            f"a file, or one of {', '.join(SPLITS)}, as the split", text, "correct --split"
        )
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SplitFile)
    except (OSError, ValueError) as error:
        raise SplitError(
            f"lists of people named train, validation and test as JSON in {path}",
            f"the error: {one_line(str(error))}",
            "correct the file",
        ) from error
    parts = (found.train, found.validation, found.test)
    twice = [
        person for i, part in enumerate(parts) for person in part if _elsewhere(person, parts, i)
    ]
    if twice:
        raise SplitError(
            f"each person in one part of {path}", f"{twice[0]} in two", "correct the file"
        )
    return PeopleSplit(path.name, (PeopleFold(*parts),))


def _elsewhere(person: str, parts: Sequence[tuple[str, ...]], place: int) -> bool:
    return any(person in part for i, part in enumerate(parts) if i != place)


def split_people(split: PeopleSplit, sequences: Sequence[HopSequence], seed: int) -> Splits:
    """Divide sequences by the people of a split; who is not there is left out.

    Without validation people, some of the training people are held out by the seed. A fold whose
    test people are all missing is left out.

    Raises
    ------
    SplitError
        If no fold is left, or a label is missing in its training.
    """
    kept = [sequence for sequence in sequences if len(sequence.windows)]
    empty = len(sequences) - len(kept)
    notes = [f"{empty} trials have no good signal"] if empty else []
    everyone = {person for fold in split.folds for person in fold.people}
    others = sorted({s.person for s in kept} - everyone)
    if others:
        notes.append(f"in no part of the split, so not used: {', '.join(others)}")
    there = [fold for fold in split.folds if any(s.person in fold.test for s in kept)]
    if not there:
        raise _nobody(split, kept)
    folds = tuple(_fold(split, fold, kept, seed) for fold in there)
    return Splits(tuple(kept), folds, tuple(notes))


def _fold(
    split: PeopleSplit, fold: PeopleFold, sequences: Sequence[HopSequence], seed: int
) -> Fold:
    groups = person_groups(sequences)
    names = np.unique([sequence.person for sequence in sequences])  # in the order of the groups
    train, validation, test = (
        np.flatnonzero(np.isin(names, part)) for part in (fold.train, fold.validation, fold.test)
    )
    if not len(validation) and len(train):
        rng = np.random.default_rng(seed)
        held = hold_out_validation(groups.counts[train], groups.owner[train], rng)
        validation = train[held]
        train = np.setdiff1d(train, validation)
    whole = np.concatenate([train, validation, test])
    if not len(train) or not len(validation) or not covers_labels(groups, train, whole):
        raise _nobody(split, sequences)
    return Fold(*(members(groups, part) for part in (train, validation, test)))


def _nobody(split: PeopleSplit, sequences: Sequence[HopSequence]) -> SplitError:
    there = ", ".join(sorted({sequence.person for sequence in sequences})) or "no one"
    return SplitError(
        f"people of the split {split.name} for training, validation and test, with every label "
        "in the training",
        there,
        "choose another split, or more of the data set",
    )


def list_differences(
    split: PeopleSplit, task: ClassificationTask, baseline: float, threshold: float | None
) -> tuple[str, ...]:
    """Return what differs from the setting of the published figures, apart from who is there.

    ``baseline`` is the length of the rest by which windows are aligned, s; ``threshold`` the rating
    above which a label is high, or None without ratings.
    """
    published = split.published
    if published is None:
        return ()
    signal = task.signal
    low, high = signal.band
    window, hop = signal.window / signal.sfreq, signal.hop / signal.sfreq
    found = [
        f"causal filter of {low:g} to {high:g} Hz at {signal.sfreq:g} Hz instead of "
        f"{published.filtering}",
        "windows with a poor signal are left out",
    ]
    if len(task.montage) != published.n_channels:
        found.append(f"{len(task.montage)} channels instead of {published.n_channels}")
    if (window, hop) != (published.window, published.hop or hop):
        every = f" every {published.hop:g} s" if published.hop else ""
        found.append(
            f"windows of {window:g} s every {hop:g} s instead of {published.window:g} s{every}"
        )
    if published.threshold is not None and threshold != published.threshold:
        found.append(f"high is above {threshold or 0:g} instead of {published.threshold:g}")
    if baseline:
        found.append(f"aligned by {baseline:g} s of each person's rest")
    return (*found, *published.others)
