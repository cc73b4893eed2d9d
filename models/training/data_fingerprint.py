"""Which data a network learns from, or is judged on: enough to tell whether two are the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.errors import Mismatch
from mimamba.models.datasets.dataset import Dataset, Trial
from mimamba.models.signal.montage import Electrode


@dataclass(frozen=True)
class DataFingerprint:
    """A data set as it was opened, and the rest that its windows are aligned by.

    Parameters
    ----------
    dataset
        Its name.
    people
        Everybody who has a trial.
    outputs
        With their labels.
    montage
        The electrodes, and the channels that stand for them.
    baseline
        Seconds of each person's rest; 0 for none.
    sha256
        Of every trial's samples and labels, in hexadecimal digits.
    """

    dataset: str
    people: tuple[str, ...]
    outputs: dict[str, tuple[str, ...]]
    montage: tuple[Electrode, ...]
    baseline: float
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset, baseline: float) -> DataFingerprint:
        """The setting of a data set."""
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
        """The montage's own names."""
        return tuple(electrode.electrode for electrode in self.montage)

    def check_same(self, other: DataFingerprint, what: str, remedy: str) -> None:
        """Raise Mismatch where another, found in ``what``, is not the same; it tells how."""
        pairs = (
            ("the data set", self.dataset, other.dataset),
            ("people", ", ".join(self.people), ", ".join(other.people)),
            ("outputs", _said(self), _said(other)),
            ("electrodes", _met(self), _met(other)),
            ("a baseline", f"{self.baseline:g} s", f"{other.baseline:g} s"),
            ("samples and labels with SHA-256", self.sha256, other.sha256),
        )
        for name, wanted, found in pairs:
            if wanted != found:
                raise Mismatch(f"{name} {wanted} in {what}", found, remedy)


def _said(setting: DataFingerprint) -> str:
    return ", ".join(f"{name} ({', '.join(v)})" for name, v in setting.outputs.items())


def _met(setting: DataFingerprint) -> str:
    return ", ".join(f"{e.channel} for {e.electrode}" for e in setting.montage)


def _sha256(dataset: Dataset, baseline: float) -> str:
    """Of what is learnt from; rest counts where it is made use of."""
    digest = hashlib.sha256(repr((dataset.info.sfreq, dataset.info.ch_names)).encode())
    rest = sorted(dataset.rest.items()) if baseline else []
    for trial in (*dataset.trials, *(trial for _, trial in rest)):
        _update(digest, trial)
    return digest.hexdigest()


def _update(digest: hashlib._Hash, trial: Trial) -> None:
    digest.update(repr((trial.person, trial.name, trial.labels, trial.data.shape)).encode())
    digest.update(np.ascontiguousarray(trial.index, "<i8").data)
    digest.update(np.ascontiguousarray(trial.data, "<f4").data)
