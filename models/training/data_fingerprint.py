"""Fingerprint of a data set, to check that training and evaluation used the same data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.errors import Mismatch
from mimamba.models.datasets.dataset import Dataset, Trial
from mimamba.models.signal.electrode import Electrode


@dataclass(frozen=True)
class DataFingerprint:
    """Identity of a data set as it was opened, with the length of the baseline.

    Parameters
    ----------
    dataset
        Name of the data set.
    people
        Everyone who has a trial.
    outputs
        Labels by output.
    montage
        The electrodes and the channels used for them.
    baseline
        Seconds of each person's rest used for alignment; 0 for none.
    sha256
        SHA-256 of all samples and labels, hexadecimal.
    """

    dataset: str
    people: tuple[str, ...]
    outputs: dict[str, tuple[str, ...]]
    montage: tuple[Electrode, ...]
    baseline: float
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset, baseline: float) -> DataFingerprint:
        """Compute the fingerprint of a data set."""
        return cls(
            dataset.name,
            dataset.people,
            dict(dataset.outputs),
            dataset.montage,
            baseline,
            _sha256(dataset, baseline),
        )

    @property
    def electrodes(self) -> tuple[str, ...]:
        """Names of the montage's electrodes."""
        return tuple(electrode.electrode for electrode in self.montage)

    def check_same(self, other: DataFingerprint, what: str, remedy: str) -> None:
        """Raise Mismatch if the fingerprint found in ``what`` differs, naming the first difference.

        ``remedy`` is the last sentence of the error.
        """
        pairs = (
            ("the data set", self.dataset, other.dataset),
            ("people", ", ".join(self.people), ", ".join(other.people)),
            ("outputs", _list_outputs(self), _list_outputs(other)),
            ("electrodes", _list_electrodes(self), _list_electrodes(other)),
            ("a baseline of", f"{self.baseline:g} s", f"{other.baseline:g} s"),
            ("samples and labels with SHA-256", self.sha256, other.sha256),
        )
        for name, wanted, found in pairs:
            if wanted != found:
                raise Mismatch(f"{name} {wanted} in {what}", found, remedy)


def _list_outputs(data: DataFingerprint) -> str:
    return ", ".join(f"{name} ({', '.join(v)})" for name, v in data.outputs.items())


def _list_electrodes(data: DataFingerprint) -> str:
    return ", ".join(f"{e.channel} for {e.electrode}" for e in data.montage)


def _sha256(dataset: Dataset, baseline: float) -> str:
    """Hash the trials, and the rest if a baseline is used."""
    digest = hashlib.sha256(repr((dataset.info.sfreq, dataset.info.ch_names)).encode())
    rest = sorted(dataset.rest.items()) if baseline else []
    for trial in (*dataset.trials, *(trial for _, trial in rest)):
        _update(digest, trial)
    return digest.hexdigest()


def _update(digest: hashlib._Hash, trial: Trial) -> None:
    digest.update(repr((trial.person, trial.name, trial.labels, trial.data.shape)).encode())
    digest.update(np.ascontiguousarray(trial.index, "<i8").data)
    digest.update(np.ascontiguousarray(trial.data, "<f4").data)
