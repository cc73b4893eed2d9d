"""Contents of a report: what a recording holds over time, thinned to what a picture can show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.marker_edits import (
    EditedMarker,
    apply_marker_edits,
    edited_markers,
    read_edits,
)
from mimamba.drivers.formats.read import read_with_streams
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.xdf.reader import (
    XDFStream,
)
from mimamba.drivers.formats.xdf.sample_index import (
    BANDS_TOPIC,
    PERSONAL_TOPIC,
    PREDICTIONS_TOPIC,
    QUALITY_TOPIC,
    SIGNAL_TOPIC,
)
from mimamba.drivers.simulator.scenario import NOTICE
from mimamba.service.recordings.sidecar import Sidecar, load_sidecar
from mimamba.service.recordings.stream_headers import REASON_CODES, STATUS

POINTS = 1500
"""Points of a line, about as many as a screen can show."""
COLUMNS = 800
"""Columns of a spectrogram."""
SPECTRUM_SECONDS = 2.0
SPECTRUM_HZ = 45.0
"""Window and highest frequency of the spectrogram."""
RATING = re.compile(r"rating valence ([\d.]+) arousal ([\d.]+)")
GOOD = 0.7
"""Score from which an electrode is good."""


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """Values over time.

    Parameters
    ----------
    seconds
        (n_times,) from the recording's first sample.
    values
        (n_times,), or (n_times, n_rows); NaN where there is none.
    """

    seconds: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutputReport:
    """One output over the recording.

    Parameters
    ----------
    name
        The output's.
    labels
        Probability of each label.
    abstained
        Share of hops without a prediction, 0 to 1; None if there was no hop.
    why
        Share of hops by the reason for that.
    """

    name: str
    labels: Mapping[str, TimeSeries]
    abstained: float | None
    why: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ElectrodeReport:
    """Signal quality of one electrode: score over time, share of good time, and what was wrong."""

    name: str
    score: TimeSeries
    good: float | None
    reasons: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ReportData:
    """All that a report shows.

    Parameters
    ----------
    title
        Title of the recording, or its name.
    about
        What the service noted about it.
    recording
        The signal, with its markers.
    model
        Name of the recorded model; None without predictions.
    seconds
        Length, lost samples counted.
    lost
        Seconds that were lost.
    """

    title: str
    about: Sidecar
    recording: Recording
    model: str | None
    seconds: float
    lost: float
    spectrogram: TimeSeries
    frequencies: NDArray[np.float64]
    outputs: Sequence[OutputReport] = ()
    bands: Mapping[str, TimeSeries] = field(default_factory=dict)
    electrodes: Sequence[ElectrodeReport] = ()
    markers: Sequence[tuple[float, Marker]] = ()
    ratings: Sequence[tuple[float, float, float]] = ()
    """Seconds, valence and arousal, 0 to 100."""
    edits: Sequence[EditedMarker] = ()
    """Markers that were edited after the recording."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences to show with the signal; the first says that it is simulated, if it is."""
        info = self.recording.info
        return tuple(dict.fromkeys([*([NOTICE] if info.simulated else []), *info.notices]))


def read_report_data(path: Path) -> ReportData:
    """Read a recording for its report; any format that a replay can read.

    Raises
    ------
    BadRecording
        If it cannot be read.
    """
    recorded, streams = _read(path)
    edited, _ = edited_markers(recorded, read_edits(path)[0])
    recording = apply_marker_edits(recorded, path)
    rate, first = recording.info.sfreq, 0
    if SIGNAL_TOPIC in streams:
        first = streams[SIGNAL_TOPIC][0].first_index
    spectrogram, frequencies = _spectrogram(recording)
    placed = [(marker.index / rate, marker) for marker in recording.markers]
    found = [(at, RATING.fullmatch(marker.label)) for at, marker in placed]
    predictions = next(iter(streams.get(PREDICTIONS_TOPIC, [])), None)
    outputs = [] if predictions is None else _outputs(predictions, first, rate)
    for stream in streams.get(PERSONAL_TOPIC, []):
        outputs.append(_personal(stream, first, rate))
    about = load_sidecar(path)
    return ReportData(
        about.shown,
        about,
        recording,
        predictions.text("desc/mimamba/model/name") if predictions else None,
        recording.end / rate,
        (recording.end - recording.n_times) / rate,
        spectrogram,
        frequencies,
        outputs,
        _bands(streams[BANDS_TOPIC][0], first, rate) if BANDS_TOPIC in streams else {},
        _electrodes(streams[QUALITY_TOPIC][0], first, rate) if QUALITY_TOPIC in streams else [],
        placed,
        [(at, float(each[1]), float(each[2])) for at, each in found if each],
        [each for each in edited if each.date is not None],
    )


def _read(path: Path) -> tuple[Recording, dict[str, list[XDFStream]]]:
    """Read a file once: the signal with its markers as they were recorded, and by topic the
    streams that mimamba has written.
    """
    by_topic: dict[str, list[XDFStream]] = {}
    recording, streams = read_with_streams(path, edited=False)
    for stream in streams:
        if stream.topic and stream.is_numeric and len(stream.stamps):
            by_topic.setdefault(stream.topic, []).append(stream)
    return recording, by_topic


def _times(columns: dict[str, NDArray[np.float64]], first: int, rate: float) -> NDArray[np.float64]:
    return (columns["index"] - first) / rate


def _thin(seconds: NDArray[np.float64], values: NDArray[np.float64]) -> TimeSeries:
    """Reduce values to means of equally many; NaN only where there is no value at all."""
    together = -(-len(seconds) // POINTS)
    if together <= 1:
        return TimeSeries(seconds, values)
    starts = np.arange(0, len(seconds), together)
    known = np.isfinite(values)
    counts = np.add.reduceat(known, starts, dtype=np.float64)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    return TimeSeries(np.add.reduceat(seconds, starts) / np.diff([*starts, len(seconds)]), means)


def _shares(codes: NDArray[np.float64], names: Mapping[Any, float]) -> dict[str, float]:
    """Return the share of each named code that occurs."""
    counts = Counter(codes.tolist())
    return {
        name.replace("_", " "): counts[code] / len(codes)
        for name, code in names.items()
        if counts[code]
    }


def _outputs(stream: XDFStream, first: int, rate: float) -> list[OutputReport]:
    columns = stream.columns
    seconds, status = _times(columns, first, rate), columns["status"]
    why = _shares(status, {name: code for name, code in STATUS.items() if name != "ok"})
    made: dict[str, dict[str, NDArray[np.float64]]] = {}
    for label, values in columns.items():
        output, slash, name = label.partition("/")
        if slash:
            made.setdefault(output, {})[name] = values
    return [
        OutputReport(
            output,
            {name: _thin(seconds, values) for name, values in labels.items()},
            float(np.isnan(next(iter(labels.values()))).mean()),
            why,
        )
        for output, labels in made.items()
    ]


def _personal(stream: XDFStream, first: int, rate: float) -> OutputReport:
    """Return the person's own output."""
    columns = stream.columns
    seconds, status = _times(columns, first, rate), columns["status"]
    kinds = {
        name: values for name, values in columns.items() if name not in ("state", "index", "status")
    }
    why = _shares(status, {name: code for name, code in STATUS.items() if name != "ok"})
    missing = float(np.isnan(next(iter(kinds.values()))).mean())
    contrast = stream.text("desc/mimamba/head/contrast")
    return OutputReport(
        f"personal: {contrast}",
        {name: _thin(seconds, values) for name, values in kinds.items()},
        missing,
        why,
    )


def _bands(stream: XDFStream, first: int, rate: float) -> dict[str, TimeSeries]:
    """Return the median power of the electrodes in each band, µV²."""
    columns = stream.columns
    seconds = _times(columns, first, rate)
    bands: dict[str, list[NDArray[np.float64]]] = {}
    for label, values in columns.items():
        _, slash, band = label.rpartition("/")
        if slash:
            bands.setdefault(band, []).append(values)
    found = {}
    for band, rows in bands.items():
        several = np.array(rows)
        median = np.full(several.shape[1], np.nan)
        known = np.isfinite(several).any(axis=0)
        median[known] = np.nanmedian(several[:, known], axis=0)
        found[band] = _thin(seconds, median)
    return found


def _electrodes(stream: XDFStream, first: int, rate: float) -> list[ElectrodeReport]:
    columns = stream.columns
    seconds = _times(columns, first, rate)
    found = []
    for label, score in columns.items():
        name, slash, kind = label.rpartition("/")
        if slash and kind == "score":
            reasons = _shares(columns[f"{name}/reason"], REASON_CODES)
            good = float((score >= GOOD).mean())
            found.append(ElectrodeReport(name, _thin(seconds, score), good, reasons))
    return found


def _spectrogram(recording: Recording) -> tuple[TimeSeries, NDArray[np.float64]]:
    """Return the electrodes' median power density (dB re 1 µV²/Hz) over time, and its frequencies.

    A column whose 2 s have a lost sample is NaN.
    """
    rate = recording.info.sfreq
    length = max(2, round(SPECTRUM_SECONDS * rate))
    index = recording.index
    starts = np.linspace(0, max(0, recording.end - length), COLUMNS).astype(np.int64)
    starts = np.unique(starts)
    rows = np.searchsorted(index, starts)
    f = np.fft.rfftfreq(length, 1 / rate)
    shown = (f >= 1) & (f <= SPECTRUM_HZ)
    hann = np.sin(np.pi * np.arange(length) / length) ** 2
    scale = 2 / (rate * np.sum(hann**2))  # 2: the negative frequencies have the other half
    power = np.full((len(starts), int(shown.sum())), np.nan)
    for column, (start, row) in enumerate(zip(starts, rows, strict=True)):
        stop = row + length
        if stop > len(index) or index[row] != start or index[stop - 1] != start + length - 1:
            continue
        window = recording.data[row:stop].astype(np.float64)
        window -= window.mean(axis=0)
        spectrum = np.fft.rfft(window * hann[:, np.newaxis], axis=0)[shown]
        density = scale * (spectrum.real**2 + spectrum.imag**2)
        power[column] = 10 * np.log10(np.median(density, axis=1) + 1e-3)
    seconds = np.asarray((starts + length / 2) / rate, np.float64)
    return TimeSeries(seconds, power), np.asarray(f[shown], np.float64)
