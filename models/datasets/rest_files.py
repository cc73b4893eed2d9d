"""Rest that is not part of a data set: a recording of each person in a file of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mimamba.drivers.errors import DriverError
from mimamba.drivers.formats.read import read_recording
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
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
        other channels or another sampling rate than the trials.
    """
    if PERSON not in pattern:
        raise DatasetError(
            f"a path with {PERSON}, one recording of rest for each person", pattern, "correct it"
        )
    return replace(
        dataset, rest={person: _read(dataset, person, pattern) for person in dataset.people}
    )


def _read(dataset: Dataset, person: str, pattern: str) -> Trial:
    """Read a person's rest; it is the trial itself if the file is one of the trials."""
    path, info = pattern.replace(PERSON, person), dataset.info
    try:
        recording = read_recording(path)
        met = match_montage(info.ch_names, recording.info.ch_names)
    except (DriverError, MontageError) as error:
        here = "" if path in str(error) else f" in {path}"
        raise DatasetError(error.expected, f"{error.found}{here}", error.remedy) from error
    if recording.info.sfreq != info.sfreq or any(electrode.distance_mm for electrode in met):
        raise DatasetError(
            f"rest of {', '.join(info.ch_names)} at {info.sfreq:g} Hz, as in {dataset.name}",
            f"{', '.join(recording.info.ch_names)} at {recording.info.sfreq:g} Hz in {path}",
            "choose other files with --baseline-from",
        )
    data = np.ascontiguousarray(recording.data[:, [electrode.row for electrode in met]])
    rest = Trial(person, "rest", data, recording.index, ())
    return next((trial for trial in dataset.trials if _is_same(trial, rest)), rest)


def _is_same(trial: Trial, rest: Trial) -> bool:
    return (
        trial.person == rest.person
        and np.array_equal(trial.index, rest.index)
        and np.array_equal(trial.data, rest.data)
    )
