"""Effects are planted as large as they are said to be, where they are said to be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import welch

from mimamba.drivers.errors import Mismatch
from mimamba.models.personal.features import track_features
from mimamba.models.personal.fit_personal import make_attempt
from mimamba.models.personal.pseudo_calibrations import (
    Effect,
    add_effect,
    cut_spans,
    draw_pairs,
    judge_pseudo,
    make_blocks,
    parse_effect,
    serves_random_windows,
)
from tests.models.personal.sittings import ALPHA, MUSE, SFREQ, noise


def test_a_recording_is_divided_evenly() -> None:
    recording = noise(100, 0)
    spans = cut_spans(recording, 12)
    assert len(spans) == 12
    assert spans[0][0] == 2 * SFREQ
    assert {stop - start for start, stop in spans} == {int(98 * SFREQ) // 12}
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert cut_spans(recording, 16) == []
    assert cut_spans(recording, 12, 9.0) == []
    assert max(stop - start for start, stop in cut_spans(recording, 2)) == 30 * SFREQ


def test_pairs_have_one_of_each_kind() -> None:
    kinds = draw_pairs(40, np.random.default_rng(0)).reshape(-1, 2)
    assert (kinds.sum(axis=1) == 1).all()
    assert 0 < kinds[:, 0].sum() < 20


def test_an_effect_has_its_size_in_its_band_and_place() -> None:
    recording, rng = noise(200, 1), np.random.default_rng(1)
    spans, kinds = cut_spans(recording, 12), np.array([0, 1] * 6)
    effect = Effect("alpha", (8.0, 13.0), 3.0, ("AF7", "AF8"))
    planted = add_effect(recording, spans, kinds, effect, MUSE, rng)
    gains = []
    for (start, stop), kind in zip(spans, kinds, strict=True):
        before, after = (
            welch(each.data[start:stop].T, SFREQ, nperseg=256)[1] for each in (recording, planted)
        )
        f = welch(recording.data[start:stop, 0], SFREQ, nperseg=256)[0]
        gain = 10 * np.log10(after / before)
        if kind == 0:
            assert np.abs(gain).max() < 0.05
            continue
        assert np.abs(gain[[0, 3]]).max() < 0.05
        assert np.abs(gain[1:3][:, (f < 5) | (f > 20)]).max() < 0.5
        gains.append(gain[1:3][:, (f > 9.5) & (f < 11.5)].mean())
    assert np.mean(gains) == pytest.approx(3.0, abs=0.6)
    assert max(gains) <= 4.8
    assert min(gains) >= 1.2


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("8-13:1.5", Effect("8-13:1.5", (8, 13), 1.5)),
        ("20-40:-2@AF7+AF8", Effect("20-40:-2@AF7+AF8", (20, 40), -2, ("AF7", "AF8"))),
    ],
)
def test_effects_as_people_write_them(text: str, effect: Effect) -> None:
    assert parse_effect(text) == effect


@pytest.mark.parametrize("text", ["alpha", "13-8:1", "8-13", "8-13:1@", "0-13:1", ""])
def test_a_wrong_effect_is_one_sentence(text: str) -> None:
    with pytest.raises(Mismatch, match="an effect such as"):
        parse_effect(text)


def test_random_windows_serve_what_blocks_do_not() -> None:
    rng = np.random.default_rng(3)
    ours = usual = 0
    for seed in range(8):
        recording = noise(146, seed)
        # Each block has its own level, as blocks of real recordings do.
        spans = cut_spans(recording, 12)
        for start, stop in spans:
            recording.data[start:stop] *= np.exp(0.4 * rng.standard_normal(4))
        blocks = make_blocks(spans, draw_pairs(12, rng))
        track = track_features(recording, MUSE)
        ours += judge_pseudo(track, recording, blocks, MUSE).served != "no"
        usual += serves_random_windows(track, make_attempt(recording, blocks), MUSE, rng)
    assert ours <= 1
    assert usual >= 7


def test_a_planted_effect_is_judged() -> None:
    recording, rng = noise(146, 0), np.random.default_rng(0)
    spans, kinds = cut_spans(recording, 12), draw_pairs(12, rng)
    planted = add_effect(recording, spans, kinds, ALPHA, MUSE, rng)
    blocks = make_blocks(spans, kinds)
    assert judge_pseudo(track_features(planted, MUSE), planted, blocks, MUSE).name == "reliable"
