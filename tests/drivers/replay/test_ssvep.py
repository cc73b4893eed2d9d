"""A known response of the brain, through replay: time and markers line up.

In four recordings of one person, a picture flickered at 30 or at 20 Hz for about 3 s after each
marker. The visual cortex follows (steady-state visual evoked potential), so near the ears the power
at these frequencies tells which it was, if the epochs are cut where the markers are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.open import open_driver

CHANNELS = ("TP9", "TP10")
AFTER, LENGTH = 0.5, 2.0
"""An epoch begins so long after its marker, and lasts so long, s."""
RUNS = [f"sub-01_ses-01_task-ssvep_run-{run}_eeg.edf" for run in range(1, 5)]


def epochs(path: Path, shift: float) -> tuple[NDArray[np.float64], list[str]]:
    """(n_epochs, n_times, n_channels) µV and their markers' labels, by the chunks alone."""
    rows: dict[int, NDArray[np.float32]] = {}
    marks: list[tuple[int, str]] = []
    with open_driver(f"replay://{path}?speed=max&channels={','.join(CHANNELS)}") as driver:
        sfreq = driver.info.sfreq
        for chunk in driver:
            rows.update(enumerate(chunk.data, start=chunk.first))
            marks.extend((marker.index, marker.label) for marker in chunk.markers)
            for marker in chunk.markers:
                at = chunk.timestamps[0] + (marker.index - chunk.first) / sfreq
                assert marker.timestamp == pytest.approx(at, abs=0.5 / sfreq)
    offset, n_times = round((shift + AFTER) * sfreq), round(LENGTH * sfreq)
    cut, labels = [], []
    for index, label in marks:
        wanted = range(index + offset, index + offset + n_times)
        if all(at in rows for at in wanted):
            cut.append([rows[at] for at in wanted])
            labels.append(label)
    return np.array(cut, dtype=np.float64), labels


def more_at_30_hz(cut: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_epochs,): by how much the power at 30 Hz exceeds that at 20 Hz, in log."""
    tapered = (cut - cut.mean(axis=1, keepdims=True)) * np.hanning(cut.shape[1])[:, np.newaxis]
    power = np.abs(np.fft.rfft(tapered, axis=1)) ** 2
    at = [round(frequency * LENGTH) for frequency in (30, 20)]
    high, low = (power[:, n - 1 : n + 2].sum(axis=1) for n in at)
    scores: NDArray[np.float64] = np.log(high / low).mean(axis=1)
    return scores


def accuracy(folder: Path, shift: float) -> float:
    """Of telling the two kinds apart, the threshold taken from the other recordings."""
    scores, kinds = [], []
    for run in RUNS:
        cut, labels = epochs(folder / run, shift)
        scores.append(more_at_30_hz(cut))
        kinds.append(np.array(labels) == "30Hz")
    right = []
    for held_out in range(len(RUNS)):
        other = [number for number in range(len(RUNS)) if number != held_out]
        means = [
            np.concatenate([scores[n][kinds[n] == kind] for n in other]).mean()
            for kind in (True, False)
        ]
        right.extend((scores[held_out] > np.mean(means)) == kinds[held_out])
    return float(np.mean(right))


def test_the_flicker_shows_where_the_markers_are(shared_data: Path) -> None:
    folder = shared_data / "bids" / "visual" / "sub-01" / "ses-01" / "eeg"
    assert accuracy(folder, 0.0) > 0.75  # 0.86 of 128


@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_it_does_not_2_s_away(shared_data: Path, shift: float) -> None:
    folder = shared_data / "bids" / "visual" / "sub-01" / "ses-01" / "eeg"
    assert accuracy(folder, shift) < 0.65  # 0.57 and 0.55: chance is 0.5 +- 0.09
