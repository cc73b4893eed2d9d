"""Events become markers, however the stream is cut, and none twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Marker, StreamInfo
from mimamba.models.detection.event_detector import EventDetector, find_forehead, find_temples
from tests.benchmarks import events

SFREQ = 256.0
MUSE = StreamInfo("Made", "made", SFREQ, ("TP9", "AF7", "AF8", "TP10"))
BLINKS, CLENCHES = [5.0, 5.6, 9.0, 14.0], [7.0, 16.0]


def made(seconds: float = 20.0) -> NDArray[np.float32]:
    """Noise with blinks at the forehead and muscle at the temples."""
    rng = np.random.default_rng(5)
    t = np.arange(round(seconds * SFREQ)) / SFREQ
    x = rng.normal(0, 4, (len(t), 4)) + np.array([900, -30, 0, 50])
    for at in BLINKS:
        x[:, 1:3] += 150 * np.exp(-0.5 * ((t - at) / 0.06) ** 2)[:, None]
    for at in CLENCHES:
        on = (t >= at) & (t < at + 0.8)
        x[on, 0] += rng.normal(0, 60, on.sum())
        x[on, 3] += rng.normal(0, 60, on.sum())
    data: NDArray[np.float32] = x.astype(np.float32)
    return data


def chunks(data: NDArray[np.float32], cuts: list[int], first: int = 0) -> list[Chunk]:
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    stamps = 100 + (first + np.arange(len(data))) / SFREQ
    return [Chunk(data[a:b], stamps[a:b], first + a) for a, b in pairwise(edges)]


def found(parts: list[Chunk], info: StreamInfo = MUSE) -> list[Marker]:
    detector = EventDetector(info, ["blink", "jaw"])
    markers = [marker for part in parts for marker in detector.push(part)]
    return sorted(markers, key=lambda each: (each.index, each.label))


WHOLE = found(chunks(made(), []))


def test_blinks_and_clenches_are_found_where_they_are() -> None:
    assert {each.source for each in WHOLE} == {"detector"}
    blinks = [each.index / SFREQ for each in WHOLE if each.label == "blink"]
    clenches = [each.index / SFREQ for each in WHOLE if each.label == "jaw clench"]
    np.testing.assert_allclose(blinks, BLINKS, atol=0.1)
    np.testing.assert_allclose(clenches, CLENCHES, atol=0.1)
    for each in WHOLE:
        assert each.timestamp == pytest.approx(100 + each.index / SFREQ)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(1, 5119), max_size=40), st.booleans())
def test_the_cuts_change_nothing(cuts: list[int], missing: bool) -> None:
    data, expected = made(), WHOLE
    if missing:
        data[1500:1600, 1] = np.nan
        data[:20] = np.nan
        expected = found(chunks(data, []))
    assert found(chunks(data, cuts)) == expected


def test_a_gap_begins_anew_and_is_no_event() -> None:
    data = made()
    lost = [*chunks(data[:2000], [700]), *chunks(data[2500:] + 300, [900], first=2500)]
    indices = [each.index for each in found(lost)]
    assert indices == sorted(set(indices))
    assert not [index for index in indices if 2000 <= index < 2500 + 2 * SFREQ]
    assert any(index > 3000 for index in indices)


def test_a_recordings_own_events_are_not_found_again() -> None:
    parts = chunks(made(), list(range(0, 5120, 12)))
    marked = [
        replace(
            part,
            markers=tuple(each for each in WHOLE if part.first <= each.index < part.end),
        )
        for part in parts
    ]
    assert found(marked) == []
    other = tuple(replace(each, source="keyboard") for each in WHOLE)
    assert len(found([replace(parts[0], markers=other), *parts[1:]])) == len(WHOLE)


def test_what_cannot_be_found_is_a_notice() -> None:
    unnamed = replace(MUSE, ch_names=("1", "2", "3", "4"))
    (notice,) = EventDetector(unnamed, ["blink", "jaw"]).notices
    assert "forehead" in notice
    slow = EventDetector(replace(MUSE, sfreq=64.0), ["blink", "jaw"])
    assert [("too slow" in each) for each in slow.notices] == [True]
    assert EventDetector(MUSE, ["blink"]).notices == ()


def test_channels_are_chosen_by_their_places() -> None:
    assert find_forehead(["Cz", "Fp2", "fp1"]) == [2, 1]
    assert find_forehead(["AF8", "Cz"]) == [0]
    assert find_forehead(["Cz"]) == []
    assert find_temples(["TP9", "AF7", "AF8", "TP10"]) == [0, 3]
    assert find_temples(["Fp1", "Cz", "Oz"]) == [1, 2]


def test_the_recordings_figures_are_as_documented(shared_data: object) -> None:
    del shared_data
    figures = {each.what: each.value for each in events.measure(1)}
    assert figures["blink: precision"] > 75
    assert figures["blink: recall"] > 80
    assert figures["jaw: precision"] == 100
    assert figures["blink, eyes closed: found"] == 0
