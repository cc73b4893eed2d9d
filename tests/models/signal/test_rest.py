"""Rest in a recording of its own gives the baseline that a session would take from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.rest import NoRest, measure_baseline
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse


@pytest.mark.parametrize("broken", [False, True])
def test_it_is_the_baseline_of_a_session(tmp_path: Path, broken: bool) -> None:
    checkpoint = random_checkpoint(tmp_path, baseline=10.0)
    recording = read_recording(write_muse(tmp_path / "rest.csv", 20, broken=broken))
    decoder = StreamingDecoder(checkpoint, recording.info)
    decoder.start_baseline(10.0)
    for chunk in recording.chunks(37):
        decoder.feed(chunk)
    wanted = decoder.baseline
    assert wanted is not None
    found = measure_baseline(recording, checkpoint.montage, checkpoint.signal, 10.0)
    assert found.seconds == wanted.seconds
    np.testing.assert_allclose(found.log_power, wanted.log_power, rtol=1e-9)


def test_too_little_rest_is_said_with_its_length(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path, baseline=10.0)
    path = write_muse(tmp_path / "rest.csv", 6)
    with pytest.raises(NoRest, match=r"^Expected 10 s of good signal in .*rest\.csv, but found 5"):
        measure_baseline(read_recording(path), checkpoint.montage, checkpoint.signal, 10.0)


def test_other_electrodes_are_refused(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path, baseline=10.0)
    recording = read_recording(write_muse(tmp_path / "rest.csv", 20))
    with pytest.raises(MontageError):
        measure_baseline(recording, ("Cz", "Oz", "Fz", "Pz"), checkpoint.signal, 10.0)
