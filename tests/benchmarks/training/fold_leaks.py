"""Leaks that leakfence finds in the folds of an evaluation.

leakfence sees a fold as arrays and knows nothing of how it was made. It looks for the same window
in two parts, for a person or a trial in two, for windows that share samples, and for windows of
equal content. The protocol ``paper`` deals neighbouring windows to different parts, so there it
must find leaks: that shows that it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from leakfence import audit_split, check_duplicates

from mimamba.models.datasets.dataset import Dataset
from mimamba.models.datasets.open import BidsOptions, open_dataset
from mimamba.models.evaluation.protocols import ProtocolName, make_splits
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.recipes import WHOLE
from mimamba.models.training.windowing import HopSequence, cut_hops
from mimamba.service.bench.figures import Figure, NotRun, at_most
from tests.benchmarks.training.recipe_seeds import DATA, REST

PARADIGMS = {
    "subject": "cross-subject",
    "trial": "cross-session",
    "paper": "within-session",
    "split": "cross-subject",
}
"""leakfence's name of what a protocol keeps apart."""


def measure(folds: float) -> list[Figure]:
    """Audit this many folds of the 24 people of the arithmetic set."""
    if not DATA.is_dir():
        raise NotRun("the arithmetic set in ../shared/data/bids", "none", "put it there")
    torch.set_num_threads(1)
    dataset = open_dataset("bids", DATA, outputs="workload", options=BidsOptions(rest="rest"))
    signal, n_folds = WHOLE.signal, max(2, round(folds))
    sequences = cut_hops(dataset, signal, REST)
    found = audit_folds("subject", sequences, signal, n_folds)
    control = audit_folds("paper", sequences, signal, n_folds)
    others = people_that_need_others(dataset, sequences, signal, REST)
    return [
        at_most(f"leaks, {n_folds} folds of people", len(found), "", 0),
        at_most("people whose windows depend on other people", len(others), "", 0),
        Figure("leaks, windows dealt at random", len(control), "", ">= 1", bool(control)),
    ]


def audit_folds(
    protocol: ProtocolName, sequences: Sequence[HopSequence], signal: SignalConfig, n_folds: int
) -> list[str]:
    """Return leakfence's errors, comparing the parts of each fold in pairs.

    Hops are counted without the gaps between them, so that windows seem to share no fewer samples
    than they do.
    """
    plan = make_splits(protocol, sequences, n_folds, seed=0)
    people = [s.person for s in sequences for _ in s.windows]
    trials = [f"{s.person}/{s.trial}" for s in sequences for _ in s.windows]
    firsts = [signal.hop * place for s in sequences for place in range(len(s.windows))]
    ranges = [(first, first + signal.window) for first in firsts]
    windows = np.concatenate([s.windows for s in sequences])
    counts = [len(s.windows) for s in plan.sequences]  # in the order of ``sequences``
    hops = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    found = []
    for fold in plan.folds:
        parts = [np.concatenate([hops[i] for i in part]).tolist() for part in vars(fold).values()]
        for one, other in combinations(parts, 2):
            report = audit_split(
                one,
                other,
                subject=people,
                session=trials,
                sample_range=ranges,
                recording=trials,
                paradigm=PARADIGMS[protocol],
            )
            found += [str(error) for error in report.errors]
        learnt, tested = parts[0] + parts[1], parts[2]
        doubles = check_duplicates(list(windows), learnt, tested)[1]
        found += [str(double) for double in doubles if double.severity == "error"]
    return found


def people_that_need_others(
    dataset: Dataset, sequences: Sequence[HopSequence], signal: SignalConfig, baseline: float
) -> list[str]:
    """Return the people whose windows are others if nobody else is in the data set.

    ``sequences`` are the hops of the whole data set. A statistic of all people, used before the
    folds are made, would show here.
    """
    found = []
    for person in dataset.people:
        own = tuple(trial for trial in dataset.trials if trial.person == person)
        alone = cut_hops(replace(dataset, trials=own), signal, baseline)
        there = [sequence.windows for sequence in sequences if sequence.person == person]
        if not all(map(np.array_equal, [s.windows for s in alone], there)):
            found.append(person)
    return found
