"""Rest that is not part of a data set: a recording of each person in a file of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from mimamba.drivers.errors import DriverError
from mimamba.drivers.formats.read import read_recording
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.datasets.resampling import resample_trial
from mimamba.models.signal.montage import MontageError, match_montage

PERSON = "{person}"
"""Part of a path that stands for a person's identifier, such as ``s01`` or ``sub-01``."""


def add_rest(dataset: Dataset, pattern: str) -> Dataset:
    """Return a data set whose rest is read from files.

    Parameters
    ----------
    dataset
        The trials.
    pattern
        Path of the recording of each person at rest, with ``{person}`` for the person.

    Raises
    ------
    DatasetError
        If the pattern does not contain ``{person}``, or a person's file cannot be read or has
        other channels than the trials. Files of another rate are resampled to that of the trials.
    """
    if PERSON not in pattern:
        raise DatasetError(
            f"a path with {PERSON}, one recording of rest for each person", pattern, "correct it"
        )
    found = {person: _read(dataset, person, pattern) for person in dataset.people}
    rates = Counter(rate for _, rate in found.values() if rate != dataset.info.sfreq)
    notices = tuple(
        f"Rest of {count} {'person' if count == 1 else 'people'} of {rate:g} Hz resampled to "
        f"{dataset.info.sfreq:g} Hz."
        for rate, count in sorted(rates.items())
    )
    info = replace(dataset.info, notices=(*dataset.info.notices, *notices))
    return replace(dataset, info=info, rest={person: rest for person, (rest, _) in found.items()})


def _read(dataset: Dataset, person: str, pattern: str) -> tuple[Trial, float]:
    """Return a person's rest, which is the trial itself if the file is one, and the file's rate."""
    path, info = pattern.replace(PERSON, person), dataset.info
    try:
        recording = read_recording(path)
        met = match_montage(info.ch_names, recording.info.ch_names)
    except (DriverError, MontageError) as error:
        here = "" if path in str(error) else f" in {path}"
        raise DatasetError(error.expected, f"{error.found}{here}", error.remedy) from error
    if any(electrode.distance_mm for electrode in met):
        raise DatasetError(
            f"rest of {', '.join(info.ch_names)}, as in {dataset.name}",
            f"{', '.join(recording.info.ch_names)} in {path}",
            "choose other files with --baseline-from",
        )
    data = np.ascontiguousarray(recording.data[:, [electrode.row for electrode in met]])
    rest, rate = Trial(person, "rest", data, recording.index, ()), recording.info.sfreq
    if rate != info.sfreq:
        rest = resample_trial(rest, rate, info.sfreq)
    return next((trial for trial in dataset.trials if _is_same(trial, rest)), rest), rate


def _is_same(trial: Trial, rest: Trial) -> bool:
    return (
        trial.person == rest.person
        and np.array_equal(trial.index, rest.index)
        and np.array_equal(trial.data, rest.data)
    )
