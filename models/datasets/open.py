"""Labelled EEG of people, as trials that a model is trained and judged on.

======== ======================================= ============================= ====
kind     root                                    outputs                       rest
======== ======================================= ============================= ====
deap     folder with s01.dat .. s32.dat or .mat  valence, arousal, dominance,  no
                                                 liking: low, high
dreamer  folder with DREAMER.mat                 valence, arousal, dominance:  yes
                                                 low, high
seed     Preprocessed_EEG                        emotion: negative, neutral,   no
                                                 positive
bids     any BIDS-EEG data set                   one, labelled by the options  if named
======== ======================================= ============================= ====

Nothing is downloaded: people bring the copy that they have an agreement for, or a part of it.
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

_EMOTION: dict[str, Callable[[Path], DatasetSource]] = {
    "deap": Deap,
    "dreamer": Dreamer,
    "seed": Seed,
}
KINDS = (*_EMOTION, "bids")


def open_dataset(
    kind: str,
    root: str | Path,
    montage: str | Sequence[str] = "muse",
    outputs: str | Sequence[str] | None = None,
    options: BidsOptions | None = None,
    people: str | Sequence[str] | None = None,
    cache: Path | None = None,
) -> Dataset:
    """A data set of a kind, its signals mapped from the cache.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    root
        Its folder.
    montage
        A named montage or electrodes; text as ``parse_montage`` takes it.
    outputs
        Which of its outputs, in this order; text has commas. All where it is None. For BIDS, what
        the one output is called; its column's name where it is None.
    options
        How a BIDS data set is labelled; of another kind there are none.
    people
        Whose trials, as ``s01`` or ``sub-01``; text has commas. Everybody who is there where it is
        None.
    cache
        Where it is kept once read; the person's cache folder where it is None.

    Raises
    ------
    DatasetError
        If it is not there, is damaged, or does not hold what was asked for.
    MontageError
        If its channels cannot stand in for the electrodes.
    LibraryMissing
        If mne-bids is not installed, for BIDS.
    """
    source = _source(kind, Path(root).absolute(), options)
    wanted = parse_montage(montage) if isinstance(montage, str) else tuple(montage)
    dataset = read_cached(source, wanted, cache)
    if people is not None:
        dataset = _only(dataset, _names(people))
    if outputs is not None:
        dataset = _named(dataset, outputs) if kind == "bids" else _chosen(dataset, outputs)
    _check_labels(dataset)
    return dataset


def _source(kind: str, root: Path, options: BidsOptions | None) -> DatasetSource:
    if kind not in KINDS:
        raise DatasetError(f"a data set ({', '.join(KINDS)})", kind, "choose one of them")
    if not root.exists():
        raise DatasetError(f"the data set {kind}", f"nothing at {root}", "correct the root")
    if kind == "bids":
        return Bids(root, options or BidsOptions())
    if options is not None:
        raise DatasetError(f"no options of BIDS for {kind}", f"{options}", "take them out")
    return _EMOTION[kind](root)


def _names(text: str | Sequence[str]) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(part.strip() for part in parts))


def _only(dataset: Dataset, people: Sequence[str]) -> Dataset:
    """The trials and rest of these people."""
    for person in people:
        if person not in dataset.people:
            raise DatasetError(
                f"{person} in {dataset.name}", ", ".join(dataset.people), "choose among these"
            )
    trials = tuple(trial for trial in dataset.trials if trial.person in people)
    rest = {person: rest for person, rest in dataset.rest.items() if person in people}
    return replace(dataset, trials=trials, rest=rest)


def _chosen(dataset: Dataset, outputs: str | Sequence[str]) -> Dataset:
    """With these outputs' labels only."""
    there, names = tuple(dataset.outputs), _names(outputs)
    for name in names:
        if name not in there:
            raise DatasetError(
                f"outputs of {dataset.name}", name or "none", f"choose among {', '.join(there)}"
            )
    columns = [there.index(name) for name in names]
    made = dataset.relabelled(
        [tuple(trial.labels[column] for column in columns) for trial in dataset.trials]
    )
    return replace(made, outputs={name: dataset.outputs[name] for name in names})


def _named(dataset: Dataset, outputs: str | Sequence[str]) -> Dataset:
    """With its one output called so."""
    names = _names(outputs)
    if len(names) != 1 or not names[0]:
        raise DatasetError(
            "one name for the one output of a BIDS data set", ", ".join(names) or "none", "name one"
        )
    return replace(dataset, outputs={names[0]: next(iter(dataset.outputs.values()))})


def _check_labels(dataset: Dataset) -> None:
    """Raises DatasetError if an output has fewer than two labels among the trials."""
    for place, (output, labels) in enumerate(dataset.outputs.items()):
        there = {labels[trial.labels[place]] for trial in dataset.trials}
        if len(there) < 2:
            raise DatasetError(
                f"trials of two labels or more in {output} of {dataset.name}",
                f"{len(dataset.trials)} trials, all of them {', '.join(there) or 'without one'}",
                "choose other labels, or more people",
            )
