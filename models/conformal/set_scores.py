"""Scores of prediction sets on labelled hops of people held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mimamba.models.conformal.label_sets import start_threshold, track


@dataclass(frozen=True)
class SetScores:
    """Scores of the sets of one output; the target of a coverage is 0.9.

    Parameters
    ----------
    coverage, size, lowest
        Share of the hops whose set has the true label, mean number of labels in a set, and the
        lowest coverage of a person, with the threshold of the validation people.
    adapting_coverage, adapting_size, adapting_lowest
        The same where the threshold then follows each person, told the label after every hop.
    """

    coverage: float
    size: float
    lowest: float
    adapting_coverage: float
    adapting_size: float
    adapting_lowest: float


def score_sets(
    known_labels: NDArray[np.int64],
    known: NDArray[np.float64],
    labels: NDArray[np.int64],
    said: NDArray[np.float64],
    people: NDArray[np.str_],
) -> SetScores:
    """Score the sets of a test set, with the threshold of a validation set.

    Parameters
    ----------
    known_labels, known
        (n_known,) label indices and (n_known, n_labels) probabilities of the validation set.
    labels, said
        The same of the test set, in the order of time for each person.
    people
        (n_hops,) person of each hop of the test set.
    """
    threshold = start_threshold(_misfit(known_labels, known))
    scores = _misfit(labels, said)
    fixed = np.full(len(scores), threshold)
    adapting = np.empty(len(scores))
    for person in np.unique(people):
        own = people == person
        adapting[own] = track(scores[own], threshold)
    return SetScores(
        *_measure(scores, said, fixed, people), *_measure(scores, said, adapting, people)
    )


def mean_set_scores(folds: Sequence[SetScores]) -> SetScores:
    """Return the mean over the folds; the lowest coverage is that of any person."""
    columns = {f.name: [getattr(fold, f.name) for fold in folds] for f in fields(SetScores)}
    return SetScores(
        **{
            name: float(min(column) if name.endswith("lowest") else np.mean(column))
            for name, column in columns.items()
        }
    )


def _misfit(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 minus the probability of each hop's true label."""
    return np.asarray(1 - probabilities[np.arange(len(labels)), labels])


def _measure(
    scores: NDArray[np.float64],
    said: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    people: NDArray[np.str_],
) -> tuple[float, float, float]:
    """Return the coverage, the mean number of labels, and the lowest person's coverage."""
    hits = scores <= thresholds
    sizes = (1 - said <= thresholds[:, None]).sum(1)
    lowest = min(hits[people == person].mean() for person in np.unique(people))
    return float(hits.mean()), float(sizes.mean()), float(lowest)
