"""Live is offline: outputs are a function of the samples, however these are chunked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.features import track_features
from mimamba.models.personal.fit_personal import fit_personal
from mimamba.models.personal.head import PersonalHead
from mimamba.models.personal.personal_stream import PersonalPrediction, PersonalStream
from tests.models.personal.sittings import ALPHA, MUSE, SFREQ, noise, sitting

FIT = fit_personal(*sitting(ALPHA))


def gapped(seed: int) -> Recording:
    """A recording with a short gap, a long one, and a stretch that is flat."""
    whole = noise(30, seed)
    kept = np.ones(whole.n_times, np.bool_)
    kept[700:705] = kept[1500:1800] = False
    data = whole.data.copy()
    data[2600:2800, 2] = 0.0
    return replace(
        whole, data=data[kept], timestamps=whole.timestamps[kept], index=whole.index[kept]
    )


RECORDING = gapped(7)


def outputs(chunks: list[Chunk], baseline: float) -> list[PersonalPrediction]:
    stream = PersonalStream(FIT, RECORDING.info)
    if baseline:
        stream.start_baseline(baseline)
    return [each for chunk in chunks for each in stream.feed(chunk)]


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=40), baseline=st.sampled_from([0, 3])
)
def test_outputs_do_not_depend_on_chunks(sizes: list[int], baseline: int) -> None:
    chunks: list[Chunk] = []
    at = 0
    while (chunk := RECORDING.chunk(at, sizes[len(chunks) % len(sizes)])) is not None:
        chunks.append(chunk)
        at = chunk.end
    found = outputs(chunks, baseline)
    whole = outputs(list(RECORDING.chunks(10**6)), baseline)
    assert [each.output for each in found] == [each.output for each in whole]
    assert [each.hop.index for each in found] == [each.hop.index for each in whole]
    assert any(each.output is not None for each in whole)
    assert any(each.output is None for each in whole[8:])


def test_outputs_are_those_of_the_offline_features() -> None:
    whole = outputs(list(RECORDING.chunks(10**6)), 0)
    track = track_features(RECORDING, MUSE)
    assert FIT.head is not None
    head = PersonalHead(FIT.head, FIT.settings.kinds)
    for each, values, ok in zip(whole, track.values, track.ok, strict=True):
        assert head.step(values if ok else None, each.hop.restart) == each.output


def test_states_are_told_apart_live() -> None:
    recording, blocks = sitting(ALPHA, seed=5)
    stream = PersonalStream(FIT, recording.info)
    told = [each for chunk in recording.chunks(13) for each in stream.feed(chunk)]
    right = [
        each.output.state == block.kind
        for block in blocks
        for each in told
        if block.start + 9 * SFREQ <= each.hop.index < block.stop
        and each.output is not None
        and each.output.state is not None
    ]
    assert len(right) > 15
    assert np.mean(right) > 0.8


def test_a_calibration_without_head_has_no_stream() -> None:
    with pytest.raises(ValueError, match="Expected a head"):
        PersonalStream(replace(FIT, head=None), RECORDING.info)
