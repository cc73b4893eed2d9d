"""Windowing of trials into hop sequences, exactly as a live session cuts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.signal.baseline import Baseline, BaselineAligner
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import SignalConfig

CHUNK_SAMPLES = 4096
"""Samples filtered per chunk; the result does not depend on it."""


@dataclass(frozen=True, eq=False)
class HopSequence:
    """Hops of one trial or recording with a good signal, in order, with their labels.

    Parameters
    ----------
    windows
        (n_hops, n_channels, n_times) float32, µV after the band-pass.
    restart
        (n_hops,) bool, true where the state is reset: at the first hop and after each gap.
    labels
        (n_hops, n_heads) int64, one label's index per head.
    person, trial
        Identifiers of the person, and of the trial within that person.
    """

    windows: NDArray[np.float32]
    restart: NDArray[np.bool_]
    labels: NDArray[np.int64]
    person: str = ""
    trial: str = ""


def cut_hops(dataset: Dataset, signal: SignalConfig, baseline: float = 0.0) -> list[HopSequence]:
    """Cut each trial of a data set into hops, one sequence per trial.

    Parameters
    ----------
    dataset
        The trials.
    signal
        Settings of preprocessing and windows.
    baseline
        Seconds of each person's rest by which their trials are aligned; 0 for none. If the rest is
        itself a trial, these seconds are left out of its sequence.

    Raises
    ------
    DatasetError
        If a person has no rest, or too little of good signal.
    SignalError
        If the sampling rate is not supported.
    """
    if not baseline:
        return [_cut(dataset, trial, BaselineAligner(signal), signal) for trial in dataset.trials]
    taken = {person: _rest(dataset, person, signal, baseline) for person in dataset.people}
    return [
        taken[trial.person][1]
        if trial is dataset.rest[trial.person]
        else _cut(dataset, trial, BaselineAligner(signal, taken[trial.person][0]), signal)
        for trial in dataset.trials
    ]


def _rest(
    dataset: Dataset, person: str, signal: SignalConfig, seconds: float
) -> tuple[Baseline, HopSequence]:
    """Return a person's baseline, and the sequence of the remaining rest."""
    if person not in dataset.rest:
        raise DatasetError(
            f"{seconds:g} s of rest of {person} in {dataset.name}",
            "no rest",
            "leave out --baseline, or name the resting task with --rest",
        )
    aligner = BaselineAligner(signal)
    aligner.start(seconds)
    sequence = _cut(dataset, dataset.rest[person], aligner, signal)
    found = aligner.state
    if found.baseline is None:
        there = found.n_hops * signal.hop / signal.sfreq
        raise DatasetError(
            f"{seconds:g} s of good signal in the rest of {person} in {dataset.name}",
            f"{there:g} s",
            "give a shorter --baseline",
        )
    return found.baseline, sequence


def _cut(
    dataset: Dataset, trial: Trial, aligner: BaselineAligner, signal: SignalConfig
) -> HopSequence:
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
