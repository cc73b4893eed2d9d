"""A person's rest in a recording of its own, from which the baseline is measured."""

from __future__ import annotations

from collections.abc import Sequence

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import Recording
from mimamba.models.signal.baseline import Baseline, BaselineAligner
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.montage import match_montage
from mimamba.models.signal.preprocessing import SignalConfig

CHUNK_SECONDS = 16.0
"""Seconds filtered per chunk; the result does not depend on it."""


class NoRest(Mismatch):
    """There is no rest, or too little of it, to measure a baseline on."""


def measure_baseline(
    recording: Recording, montage: Sequence[str], signal: SignalConfig, seconds: float
) -> Baseline:
    """Measure the baseline on the first good signal of a recording, as a session does.

    Parameters
    ----------
    recording
        The person at rest.
    montage
        The model's electrodes.
    signal
        Signal settings of the model.
    seconds
        Length of good signal, s.

    Raises
    ------
    NoRest
        If there is less good signal.
    MontageError, SignalError
        If the recording's channels or its rate are unsuitable.
    """
    rows = [electrode.row for electrode in match_montage(montage, recording.info.ch_names)]
    cutter, aligner = HopCutter(signal, recording.info, rows, montage), BaselineAligner(signal)
    aligner.start(seconds)
    for chunk in recording.chunks(round(CHUNK_SECONDS * recording.info.sfreq)):
        for hop in cutter.feed(chunk):
            aligner.feed(hop)
            if aligner.state.baseline is not None:
                return aligner.state.baseline
    there = aligner.state.n_hops * signal.hop / signal.sfreq
    raise NoRest(
        f"{seconds:g} s of good signal in {recording.info.source_id}",
        f"{there:g} s",
        "choose a longer rest, or a shorter --baseline",
    )
