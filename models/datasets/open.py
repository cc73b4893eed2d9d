"""Opening of labelled data sets, from the cache or from their files.

======== ======================================= ============================= ====
kind     root                                    outputs                       rest
======== ======================================= ============================= ====
deap     folder with s01.dat .. s32.dat or .mat  valence, arousal, dominance,  no
                                                 liking: low, high
dreamer  folder with DREAMER.mat                 valence, arousal, dominance:  yes
                                                 low, high
seed     Preprocessed_EEG                        emotion: negative, neutral,   no
                                                 positive
bids     any BIDS-EEG data set                   labelled by the options       if named
======== ======================================= ============================= ====

Nothing is downloaded: use the copy that your agreement with the data set's authors covers, or a
part of it. Each kind's module names its source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mimamba.models.datasets.bids import Bids, BidsOptions
from mimamba.models.datasets.cache import DatasetSource, read_cached
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.datasets.deap import Deap
from mimamba.models.datasets.dreamer import Dreamer
from mimamba.models.datasets.seed import Seed
from mimamba.models.signal.montage import parse_montage

__all__ = ["KINDS", "BidsOptions", "Dataset", "DatasetError", "Trial", "open_dataset"]

_RATED: dict[str, Callable[[Path, float | None], DatasetSource]] = {
    "deap": lambda root, threshold: Deap(root, threshold=threshold),
    "dreamer": lambda root, threshold: Dreamer(root, threshold=threshold),
}
KINDS = (*_RATED, "seed", "bids")
MIDDLES = {"deap": 5.0, "dreamer": 3.0}
"""Middle of the scale of ratings by kind: the threshold if none is given."""
ALL = "all"
"""Montage of all EEG channels of the data set."""


def open_dataset(
    kind: str,
    root: str | Path,
    montage: str | Sequence[str] = "muse",
    outputs: str | Sequence[str] | None = None,
    options: BidsOptions | None = None,
    people: str | Sequence[str] | None = None,
    cache: Path | None = None,
    threshold: float | None = None,
) -> Dataset:
    """Open a data set; its signals are memory-mapped from the cache.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    root
        Folder of the data set.
    montage
        A named montage or electrodes; text as for ``parse_montage``, or ``all`` for all EEG
        channels of the data set.
    outputs
        Outputs to use, in this order; text is separated by commas. None for all. For BIDS, a name
        for each of its outputs; None for the names of the columns.
    options
        Labels of a BIDS data set; None for other kinds.
    people
        People to use, such as ``s01`` or ``sub-01``; text is separated by commas. None for all.
    cache
        Folder of the cache; None for the user's cache folder.
    threshold
        Ratings above it are high; None for the middle of the scale, and for labels of a BIDS data
        set as they are.

    Raises
    ------
    DatasetError
        If the data set is missing, damaged, or does not contain what was asked for.
    MontageError
        If no suitable channels are near the electrodes.
    LibraryMissing
        If mne-bids is not installed, for BIDS.
    """
    source = _source(kind, Path(root).absolute(), options, threshold)
    if not isinstance(montage, str):
        wanted = tuple(montage)
    elif montage.strip().lower() == ALL:
        wanted = source.channels()
    else:
        wanted = parse_montage(montage)
    dataset = read_cached(source, wanted, cache)
    if people is not None:
        dataset = _only(dataset, _names(people))
    if outputs is not None:
        dataset = _named(dataset, outputs) if kind == "bids" else _chosen(dataset, outputs)
    _check_labels(dataset)
    return dataset


def _source(
    kind: str, root: Path, options: BidsOptions | None, threshold: float | None
) -> DatasetSource:
    if kind not in KINDS:
        raise DatasetError(f"a kind of data set ({', '.join(KINDS)})", kind, "choose one of them")
    if not root.exists():
        raise DatasetError(f"the data set {kind}", f"nothing at {root}", "correct --root")
    if kind == "bids":
        return Bids(root, replace(options or BidsOptions(), threshold=threshold))
    if threshold is not None and kind not in _RATED:
        raise DatasetError(f"no threshold for {kind}", f"{threshold:g}", "leave out --threshold")
    if options is not None:
        raise DatasetError(f"no BIDS options for {kind}", f"{options}", "leave them out")
    return _RATED[kind](root, threshold) if kind in _RATED else Seed(root)


def _names(text: str | Sequence[str]) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(part.strip() for part in parts))


def _only(dataset: Dataset, people: Sequence[str]) -> Dataset:
    """Keep the trials and rest of these people."""
    for person in people:
        if person not in dataset.people:
            raise DatasetError(
                f"{person} in {dataset.name}", ", ".join(dataset.people), "choose from these"
            )
    trials = tuple(trial for trial in dataset.trials if trial.person in people)
    rest = {person: rest for person, rest in dataset.rest.items() if person in people}
    return replace(dataset, trials=trials, rest=rest)


def _chosen(dataset: Dataset, outputs: str | Sequence[str]) -> Dataset:
    """Keep the labels of these outputs, in this order."""
    there, names = tuple(dataset.outputs), _names(outputs)
    for name in names:
        if name not in there:
            raise DatasetError(
                f"outputs of {dataset.name}", name or "none", f"choose from {', '.join(there)}"
            )
    columns = [there.index(name) for name in names]
    made = dataset.relabelled(
        [tuple(trial.labels[column] for column in columns) for trial in dataset.trials]
    )
    return replace(made, outputs={name: dataset.outputs[name] for name in names})


def _named(dataset: Dataset, outputs: str | Sequence[str]) -> Dataset:
    """Rename the outputs, in their order."""
    names, there = _names(outputs), tuple(dataset.outputs)
    if len(names) != len(there) or not all(names):
        several = f"{len(there)} names for the outputs {', '.join(there)}"
        what = "one name for the only output" if len(there) == 1 else several
        raise DatasetError(
            f"{what} of a BIDS data set", ", ".join(names) or "none", "correct --outputs"
        )
    return replace(dataset, outputs=dict(zip(names, dataset.outputs.values(), strict=True)))


def _check_labels(dataset: Dataset) -> None:
    """Raise DatasetError if an output has fewer than two labels among the trials."""
    for place, (output, labels) in enumerate(dataset.outputs.items()):
        there = {labels[trial.labels[place]] for trial in dataset.trials}
        if len(there) < 2:
            found = ", ".join(there) or "without a label"
            raise DatasetError(
                f"trials with two labels or more of {output} in {dataset.name}",
                f"{len(dataset.trials)} trials, all of them {found}",
                "choose other labels, or more people",
            )
