"""Summary of a report: its figures without the pictures, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mimamba.service.recording_contents.report_data import OutputReport, ReportData

MAX_MARKERS = 100
"""Markers, and ratings, that are listed."""


@dataclass(frozen=True)
class OutputSummary:
    """One output over a recording.

    Parameters
    ----------
    means
        Mean probability of each label where the model did not abstain; None where it always did.
    abstained
        Share of hops without a prediction, 0 to 1; None if there was no hop.
    why
        Share of hops by the reason for that.
    """

    means: Mapping[str, float | None]
    abstained: float | None
    why: Mapping[str, float]


@dataclass(frozen=True)
class ElectrodeSummary:
    """Share of the time in which an electrode was good, 0 to 1, and by what was wrong otherwise."""

    good: float | None
    reasons: Mapping[str, float]


@dataclass(frozen=True)
class MarkerSummary:
    """A marker: seconds from the recording's first sample, its label, and the source."""

    seconds: float
    label: str
    source: str


@dataclass(frozen=True)
class RatingSummary:
    """A rating: seconds from the recording's first sample, and both answers, 0 to 100."""

    seconds: float
    valence: float
    arousal: float


@dataclass(frozen=True)
class ReportSummary:
    """Figures of a report.

    Parameters
    ----------
    name, title
        The recording's.
    model
        Name of the recorded model; None without predictions.
    seconds, lost
        Length, lost samples counted, and the seconds that were lost.
    simulated
        True if the signals do not come from a brain.
    notices
        Facts to show with the signal.
    outputs, electrodes
        By their names.
    n_markers
        Number of all markers.
    markers, ratings
        The first of them, by time.
    """

    name: str
    title: str | None
    model: str | None
    seconds: float
    lost: float
    simulated: bool
    notices: tuple[str, ...]
    outputs: Mapping[str, OutputSummary]
    electrodes: Mapping[str, ElectrodeSummary]
    n_markers: int
    markers: tuple[MarkerSummary, ...]
    ratings: tuple[RatingSummary, ...]


def summarise_report(path: Path) -> ReportSummary:
    """Read a recording and return the figures of its report; raises BadRecording."""
    from mimamba.service.recording_contents.report_data import (
        read_report_data,  # loads pyxdf and SciPy
    )

    data = read_report_data(path)
    return ReportSummary(
        data.about.name,
        data.about.title,
        data.model,
        float(data.seconds),
        float(data.lost),
        data.recording.info.simulated,
        data.notices,
        {each.name: _output(each) for each in data.outputs},
        {each.name: ElectrodeSummary(each.good, each.reasons) for each in data.electrodes},
        len(data.markers),
        _markers(data),
        tuple(RatingSummary(*each) for each in data.ratings[:MAX_MARKERS]),
    )


def _markers(data: ReportData) -> tuple[MarkerSummary, ...]:
    return tuple(
        MarkerSummary(at, each.label, each.source) for at, each in data.markers[:MAX_MARKERS]
    )


def _output(output: OutputReport) -> OutputSummary:
    means = {}
    for label, series in output.labels.items():
        known = series.values[np.isfinite(series.values)]
        means[label] = float(known.mean()) if len(known) else None
    return OutputSummary(means, output.abstained, output.why)
