"""Features are compared on the blocks of real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.personal.comparison import (
    compare_features,
    read_people,
    track_network,
)
from tests.models.personal.sittings import noise

INSIGHT = ("AF3", "T7", "Pz", "T8", "AF4")
EYES = ("eyesclosed", "eyesopen")


def test_eyes_open_and_closed_on_a_headset(shared_data: Path) -> None:
    people = list(read_people([shared_data / "bids" / "eyes-insight"]))
    (one,) = compare_features(people, INSIGHT, EYES)
    assert one.n_blocks == (5, 5)
    assert one.scores["below-20"].accuracy >= 0.90
    assert one.scores["below-20"].p <= 0.05
    assert list(one.scores) == ["below-20", "above-20", "below-40"]


def test_permuted_kinds_are_at_chance(shared_data: Path) -> None:
    people = list(read_people([shared_data / "bids" / "eyes-insight"]))
    found = [
        compare_features(people, INSIGHT, EYES, permute=True, seed=seed)[0] for seed in range(10)
    ]
    assert 0.3 < np.mean([one.scores["below-20"].accuracy for one in found]) < 0.65


def test_a_network_is_compared_too(shared_data: Path) -> None:
    people = list(read_people([shared_data / "bids" / "arith"], ["rest", "arithmetic"]))[:2]
    muse = ("TP9", "AF7", "AF8", "TP10")
    checkpoint = load_checkpoint("workload")
    (one,) = compare_features(people, muse, ("rest", "arithmetic"), checkpoint, seconds=10.0)
    assert one.n_blocks == (5, 5)
    assert set(one.scores) == {"below-20", "above-20", "below-40", "tokens", "state"}
    assert all(0 <= score.accuracy <= 1 for score in one.scores.values())


def test_states_are_those_of_the_decoder() -> None:
    recording, checkpoint = noise(20, 0), load_checkpoint("workload")
    tracks = track_network(recording, checkpoint)
    decoder = StreamingDecoder(checkpoint, recording.info)
    for chunk in recording.chunks(100):
        decoder.feed(chunk)
    state = decoder.state.states.h.numpy().ravel()
    np.testing.assert_allclose(tracks["state"].values[-1], state, atol=1e-5)
    assert tracks["tokens"].values.shape == (20, 4 * 32)
    assert tracks["tokens"].ok.tolist() == [False] * 3 + [True] * 17


def test_a_task_that_is_not_there(shared_data: Path) -> None:
    with pytest.raises(DatasetError, match="recordings of the tasks sleep"):
        list(read_people([shared_data / "bids" / "eyes-insight"], ["sleep"]))
