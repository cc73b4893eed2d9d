"""Training: it learns, chooses by validation, carries the state, and repeats itself exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.loss import PADDING, cross_entropy, label_weights
from mimamba.models.training.scoring import (
    balanced_accuracy,
    fit_temperatures,
    score_network,
    sequence_logits,
)
from mimamba.models.training.trainer import TrainingConfig, TrainingProgress, train
from mimamba.models.training.windowing import HopSequence

TINY = MSiMambaConfig(
    n_times=32, n_scales=1, kernels=(1,), hidden=2, d_model=16, d_ff=16, n_layers=1, d_state=4
)
OUTPUTS = {"pitch": ("low", "high"), "side": ("left", "right")}
SIZES = [2, 2]
CONFIG = TrainingConfig(epochs=12, batch=8, sequence=(16, 20), learning_rate=1e-2)


def sequence(seed: int, n_hops: int = 100) -> HopSequence:
    """A slow or a fast wave, louder noise on the left or on the right, 20 hops each."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 2, (n_hops // 20 + 1, 2)), 20, axis=0)[:n_hops]
    times = np.arange(32) / 32
    f = np.where(labels[:, 0], 8, 3)[:, None, None]
    waves = 10 * np.sin(2 * np.pi * (f * times + rng.random((n_hops, 1, 1))))
    quiet = np.where(labels[:, 1, None] == 1, [1, 1, 0, 0], [0, 0, 1, 1])[:, :, None]
    windows = waves + (6 - 5 * quiet) * rng.standard_normal((n_hops, 4, 32))
    restart = np.zeros(n_hops, np.bool_)
    restart[0] = True
    return HopSequence(windows.astype(np.float32), restart, labels.astype(np.int64))


def network(seed: int = 0) -> MSiMamba:
    torch.manual_seed(seed)
    return MSiMamba(TINY)


def shuffled(sequences: Sequence[HopSequence]) -> list[HopSequence]:
    rng = np.random.default_rng(9)
    return [HopSequence(s.windows, s.restart, rng.permutation(s.labels)) for s in sequences]


@pytest.fixture(scope="module")
def trained() -> tuple[MSiMamba, dict[str, float], list[TrainingProgress]]:
    told: list[TrainingProgress] = []
    net = network()
    temperatures = train(
        net, OUTPUTS, [sequence(i) for i in range(12)], [sequence(100)], 0.9, CONFIG, told.append
    )
    return net, temperatures, told


Trained = tuple[MSiMamba, dict[str, float], list[TrainingProgress]]


@pytest.mark.parametrize("r", [0.0, 0.9])
def test_both_modes_learn(trained: Trained, r: float) -> None:
    assert min(score_network(trained[0], [sequence(200), sequence(201)], SIZES, r).accuracies) > 0.8


def test_the_best_epoch_is_kept(trained: Trained) -> None:
    net, _, told = trained
    assert [p.epoch for p in told] == list(range(1, len(told) + 1))
    losses = [p.validation.loss for p in told]
    assert [p.best for p in told] == [loss == min(losses[: i + 1]) for i, loss in enumerate(losses)]
    assert score_network(net, [sequence(100)], SIZES, 0.9).loss == pytest.approx(
        min(losses), abs=1e-6
    )
    assert not net.training


def test_the_same_seed_gives_the_same_weights() -> None:
    config = TrainingConfig(epochs=2, batch=4, sequence=(16, 20))
    sequences, validation = [sequence(1), sequence(2)], [sequence(3)]
    nets = [network(), network(), network()]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        torch.manual_seed(seed + 77)  # what went before does not matter
        train(
            net,
            OUTPUTS,
            sequences,
            validation,
            1.0,
            TrainingConfig(**vars(config) | {"seed": seed}),
        )
    first, second, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert first.equal(second)
    assert not first.equal(other)


def test_a_share_of_the_sequences_is_carried() -> None:
    sequences, validation = [sequence(1), sequence(2)], [sequence(3)]
    nets = [network() for _ in range(3)]
    for net, carried, r in zip(nets, (0.0, 0.5, 1.0), (0.9, 0.0, 0.9), strict=True):
        config = TrainingConfig(epochs=1, batch=4, sequence=(16, 20), carried=carried)
        train(net, OUTPUTS, sequences, validation, r, config)
    none, zero, whole = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert none.equal(zero)
    assert not none.equal(whole)


def test_it_stops_early_when_there_is_nothing_to_learn() -> None:
    told: list[TrainingProgress] = []
    config = TrainingConfig(epochs=40, patience=2, batch=4, sequence=(16, 20), learning_rate=1e-2)
    sequences, validation = (
        shuffled([sequence(1), sequence(2)]),
        shuffled([sequence(3), sequence(4)]),
    )
    net = network()
    train(net, OUTPUTS, sequences, validation, 1.0, config, told.append)
    assert len(told) < 40
    assert max(p.epoch for p in told if p.best) == len(told) - 2
    assert (
        score_network(net, shuffled([sequence(5), sequence(6)]), SIZES, 1.0).balanced_accuracy
        < 0.65
    )


def test_streams_side_by_side_equal_each_alone() -> None:
    net = network().eval()
    sequences = [sequence(1, 90), sequence(2, 64), sequence(3, 130)]
    sequences[0].restart[[30, 70]] = True
    together = sequence_logits(net, sequences, 0.9)
    for one, logits in zip(sequences, together, strict=True):
        gates = torch.from_numpy(np.where(one.restart, 0.0, 0.9).astype(np.float32))[None]
        with torch.no_grad():
            expected = net.scan(torch.from_numpy(one.windows)[None], gates, None)[0][0]
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_padding_is_not_learnt_from() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0, 1.0], [9.0, -9.0, 5.0, -5.0]])
    labels = torch.tensor([[0, 1], [PADDING, PADDING]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert float(cross_entropy(logits, labels, SIZES)) == pytest.approx(expected, abs=1e-6)


def test_balanced_accuracy_weighs_labels_alike() -> None:
    def score(labels: list[int], predicted: list[int]) -> float:
        arrays: list[NDArray[np.int64]] = [np.array(labels), np.array(predicted)]
        return balanced_accuracy(*arrays)

    assert score([0, 0, 0, 1], [0, 0, 0, 0]) == 0.5
    assert score([0, 0, 0, 1], [0, 0, 1, 1]) == pytest.approx((2 / 3 + 1) / 2)
    assert score([1, 1], [1, 0]) == 0.5


def test_temperatures_undo_a_known_overconfidence() -> None:
    net = network().eval()
    with torch.no_grad():
        net.head.weight *= 4
    sequences = [sequence(i, 400) for i in range(3)]
    logits = torch.cat(sequence_logits(net, sequences, 1.0)).double()
    rng = np.random.default_rng(4)
    chosen = []
    for head, t in zip(torch.split(logits, SIZES, dim=-1), (3.0, 0.5), strict=True):
        high = (head / t).softmax(-1)[:, 1].numpy()
        chosen.append((rng.random(len(high)) < high).astype(np.int64))
    labels = np.split(np.stack(chosen, axis=1), 3)
    drawn = [HopSequence(s.windows, s.restart, k) for s, k in zip(sequences, labels, strict=True)]
    found = fit_temperatures(net, OUTPUTS, drawn, 1.0)
    assert found["pitch"] == pytest.approx(3.0, rel=0.5)
    assert found["side"] == pytest.approx(0.5, rel=0.5)


def test_balanced_weights_make_a_rare_label_count_as_much() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    labels = torch.tensor([[0], [0], [0], [1]])
    rare = HopSequence(np.zeros((4, 1, 1), np.float32), np.zeros(4, np.bool_), labels.numpy())
    weights = label_weights([rare], [2])
    common, seldom = np.log(2), np.log(1 + np.exp(-3))
    balanced = cross_entropy(logits, labels, [2], weights)
    assert float(balanced) == pytest.approx((common + seldom) / 2, rel=1e-6)
    assert float(cross_entropy(logits, labels, [2])) == pytest.approx((3 * common + seldom) / 4)


def test_balanced_training_differs_where_labels_are_not_even() -> None:
    sequences = [sequence(1, 60), sequence(2, 60)]
    for s in sequences:
        s.labels[:50] = 0
    nets = [network() for _ in range(2)]
    for net, balanced in zip(nets, (False, True), strict=True):
        config = TrainingConfig(epochs=1, batch=4, sequence=(16, 20), balanced=balanced)
        train(net, OUTPUTS, sequences, [sequence(3)], 0.9, config)
    plain, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert not plain.equal(other)
