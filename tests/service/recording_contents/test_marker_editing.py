"""Editing of markers: positions are exact, though few times of a long file are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.xdf.recording_writer import write_xdf
from mimamba.service.recording_contents.marker_editing import MarkerEditor
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.storage.recorded_times import _read_times
from tests.service.scripted import INFO


@pytest.mark.parametrize("jitter", [0.0, 0.3], ids=["even", "uneven"])
def test_a_marker_is_placed_at_its_sample_in_a_long_file(tmp_path: Path, jitter: float) -> None:
    rng = np.random.default_rng(0)
    index = np.flatnonzero(rng.random(40_000) > 0.001)
    index = index[(index < 15_000) | (index > 16_500)]  # a long gap, too
    stamps = 1000 + (index + jitter * rng.random(len(index))) / INFO.sfreq
    data = np.zeros((len(index), len(INFO.ch_names)), np.float32)
    markers = (Marker(float(stamps[700]), int(index[700]), "recorded", "test"),)
    path = tmp_path / "long.xdf"
    write_xdf(Recording(INFO, data, stamps, index, markers), path)
    for sample in rng.integers(0, index[-1], 40).tolist():
        # Each request has an editor of its own, as in the service.
        made = MarkerEditor(path).add(sample / INFO.sfreq, f"at {sample}")
        assert made.position == pytest.approx(sample / INFO.sfreq)
    assert MarkerEditor(path).change("r0", 3.0, None).recorded is not None
    read = read_recording(path)  # completely
    assert all(
        each.label == f"at {each.index}" for each in read.markers if each.label != "recorded"
    )
    assert [each.index for each in read.markers if each.label == "recorded"] == [
        round(3 * INFO.sfreq)
    ]
    assert len(read.markers) == 41

    path.unlink()
    write_xdf(Recording(INFO, data[:512], stamps[:512], index[:512]), path)
    [added, *_] = MarkerEditor(path).all()  # of the new file: the recorded one is gone
    assert added.state == "added"
    assert _read_times.cache_info().currsize == 1
    Recordings(tmp_path).delete("long", "long")
    assert _read_times.cache_info().currsize == 0  # nothing of it stays in memory
