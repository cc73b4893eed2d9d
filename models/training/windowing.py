"""From the trials of a data set to sequences of hops, as a live session would have cut them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.signal.baseline import Aligner, Baseline
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import SignalConfig

CHUNK_SAMPLES = 4096
"""Samples that are filtered at once; any number gives the same."""


@dataclass(frozen=True, eq=False)
class HopSequence:
    """The good hops of one recording or trial, in order, and what they mean.

    Parameters
    ----------
    windows
        (n_hops, n_channels, n_times) float32, µV after the band-pass.
    restart
        (n_hops,) bool, where the state begins anew; the first hop always does.
    labels
        (n_hops, n_heads) int64, one label's index per head.
    person, trial
        Whose they are, and of which of that person's trials or recordings.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]
    labels: NDArray[np.int64]
    person: str = ""
    trial: str = ""


def cut_hops(dataset: Dataset, signal: SignalConfig, baseline: float = 0.0) -> list[HopSequence]:
    """The trials of a data set as a live session would have cut them, one sequence each.

    With ``baseline`` so many seconds of each person's rest align all of the person's trials; where
    the rest is a trial itself, its beginning is left out of it.

    Raises
    ------
    DatasetError
        If there is no such rest of somebody, or too little.
    SignalError
        If the set's rate does not serve.
    """
    if not baseline:
        return [_cut(dataset, trial, Aligner(signal), signal) for trial in dataset.trials]
    taken = {person: _rest(dataset, person, signal, baseline) for person in dataset.people}
    return [
        taken[trial.person][1]
        if trial is dataset.rest[trial.person]
        else _cut(dataset, trial, Aligner(signal, taken[trial.person][0]), signal)
        for trial in dataset.trials
    ]


def _rest(
    dataset: Dataset, person: str, signal: SignalConfig, seconds: float
) -> tuple[Baseline, HopSequence]:
    """A person's baseline, and what is left of the rest."""
    if person not in dataset.rest:
        raise DatasetError(
            f"{seconds:g} s of rest of {person} in {dataset.name}",
            "none",
            "leave out --baseline, or name the task that is rest where the set has one",
        )
    aligner = Aligner(signal)
    aligner.begin(seconds)
    sequence = _cut(dataset, dataset.rest[person], aligner, signal)
    found = aligner.state
    if found.baseline is None:
        there = found.taken * signal.hop / signal.sfreq
        raise DatasetError(
            f"{seconds:g} s of good signal in the rest of {person} in {dataset.name}",
            f"{there:g} s",
            "ask for a shorter --baseline",
        )
    return found.baseline, sequence


def _cut(dataset: Dataset, trial: Trial, aligner: Aligner, signal: SignalConfig) -> HopSequence:
    info = dataset.info
    cutter = HopCutter(signal, info, range(info.n_channels), dataset.info.ch_names)
    good = [
        hop
        for chunk in trial.chunks(CHUNK_SAMPLES, info.sfreq)
        for hop in map(aligner.feed, cutter.feed(chunk))
        if hop.window is not None
    ]
    shape = (len(good), info.n_channels, signal.window)
    windows = [hop.window for hop in good if hop.window is not None]
    return HopSequence(
        np.array(windows, np.float32).reshape(shape),
        np.array([hop.restart for hop in good], np.bool_),
        np.tile(np.array(trial.labels, np.int64), (len(good), 1)),
        trial.person,
        trial.name,
    )
