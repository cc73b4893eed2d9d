"""The network: streaming equals offline, batch mates never matter, odd windows are defined."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import softmax

from mimamba.models.network.config import REFERENCE, MSiMambaConfig
from mimamba.models.network.evidence_memory import EvidenceMemory
from mimamba.models.network.msimamba import (
    FLAT_UV,
    InceptionConv2d,
    MSiMamba,
    MultiScaleTemporalBlock,
    dominant_periods,
    fold,
    zscore,
)
from mimamba.models.network.ssm import SelectiveSSM, States

SMALL = MSiMambaConfig(n_times=64, d_model=16, d_ff=24, hidden=5, d_state=4, n_outputs=5)


def make(config: MSiMambaConfig = SMALL, dtype: torch.dtype = torch.float64) -> MSiMamba:
    torch.manual_seed(2)
    network = MSiMamba(config).eval().requires_grad_(False).to(dtype)
    for module in network.modules():
        if isinstance(module, SelectiveSSM):
            module.dt_proj.bias.add_(2.0)  # faster: a carried state matters within a few hops
        if isinstance(module, EvidenceMemory):
            module.x_proj.weight.normal_(std=0.3)  # selective, as after training
    return network


def eeg(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 3) -> Tensor:
    """Random walks: as EEG, strongest at low frequencies; about 10 µV."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(*shape, dtype=torch.float64, generator=generator)
    return (2.0 * white.cumsum(-1)).to(dtype)


def sinusoids(n_times: int) -> Tensor:
    """One of each frequency that a window can have, (f, 4, L) float64; channels differ in phase."""
    times = torch.arange(n_times, dtype=torch.float64) / n_times
    f = torch.arange(1, n_times // 2 + 1, dtype=torch.float64)
    return torch.sin(2 * math.pi * f[:, None, None] * times + torch.arange(4.0)[:, None])


def steps(
    network: MSiMamba, x: Tensor, r: Tensor, states: States | None
) -> tuple[Tensor, States | None]:
    outs = []
    for hop in range(x.shape[1]):
        logits, states = network.step(x[:, hop], r[:, hop], states)
        outs.append(logits)
    return torch.stack(outs, dim=1), states


def close(found: Tensor, expected: Tensor) -> None:
    bound = 1e-12 if expected.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_steps_equal_the_scan(dtype: torch.dtype) -> None:
    network, x = make(dtype=dtype), eeg(3, 9, 4, 64, dtype=dtype)
    r = torch.rand(3, 9, dtype=dtype)
    r[0, 4] = r[2, 7] = 0.0
    stepped, after = steps(network, x, r, None)
    scanned, expected = network.scan(x, r, None)
    close(stepped, scanned)
    assert after is not None
    for found, wanted in zip(after, expected, strict=True):
        close(found, wanted)


def test_a_carried_state_matters() -> None:
    network, x = make(), eeg(1, 6, 4, 64)
    carried, alone = (network.scan(x, torch.full((1, 6), r), None)[0] for r in (1.0, 0.0))
    close(carried[:, 0], alone[:, 0])
    assert (carried[:, 1:] - alone[:, 1:]).abs().amax() > 1e-3


def test_r_0_equals_independent_windows() -> None:
    network, x = make(), eeg(2, 7, 4, 64)
    logits, _ = network.scan(x, torch.zeros(2, 7), None)
    close(logits.flatten(0, 1), network(x.flatten(0, 1)))


@given(starts=st.sets(st.integers(1, 9)), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_random_resets_equal_independent_segments(starts: set[int], seed: int) -> None:
    network, x = make(), eeg(1, 10, 4, 64, seed=seed)
    r = torch.ones(1, 10)
    r[0, list(starts)] = 0.0
    whole, _ = network.scan(x, r, None)
    borders = [0, *sorted(starts), 10]
    parts = [network.scan(x[:, a:b], torch.ones(1, b - a), None)[0] for a, b in pairwise(borders)]
    close(whole, torch.cat(parts, dim=1))


@given(cut=st.integers(0, 8), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_snapshot_and_restore_equal_no_interruption(cut: int, seed: int) -> None:
    network, x = make(), eeg(2, 8, 4, 64, seed=seed)
    r = torch.rand(2, 8, generator=torch.Generator().manual_seed(seed))
    whole, end = network.scan(x, r, None)
    states = network.initial_states(2)
    if cut:
        states = network.scan(x[:, :cut], r[:, :cut], None)[1]
    snapshot = States(*(t.clone() for t in states))
    network.scan(x.flip(1), r, states)  # another use of the states writes nothing into them
    rest, after = steps(network, x[:, cut:], r[:, cut:], snapshot) if cut < 8 else (None, states)
    if rest is not None:
        close(rest, whole[:, cut:])
    assert after is not None
    close(after.h, end.h)
    close(after.conv, end.conv)


def test_batch_mates_never_matter() -> None:
    network = make(REFERENCE, torch.float32)
    x = torch.cat([eeg(5, 4, 128), 300 * eeg(1, 4, 128).sin(), torch.zeros(2, 4, 128)])
    r = torch.linspace(0, 1, 8)
    states = network.step(x.flip(0), r, None)[1]
    together, after = network.step(x, r, states)
    for row in range(8):
        one = slice(row, row + 1)
        alone, own = network.step(x[one], r[one], States(*(t[:, one] for t in states)))
        torch.testing.assert_close(alone, together[one], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(own.h, after.h[:, one], rtol=1e-5, atol=1e-5)


def test_a_pool_of_slots_steps_the_chosen_ones_only() -> None:
    network, x = make(), eeg(2, 4, 64)
    pool = network.step(eeg(5, 4, 64, seed=8), torch.ones(5), None)[1]
    before = States(*(t.clone() for t in pool))
    slots = torch.tensor([3, 1])
    chosen = States(*(t.index_select(1, slots) for t in pool))
    after = network.step(x, torch.ones(2), chosen)[1]
    for whole, part in zip(pool, after, strict=True):
        whole.index_copy_(1, slots, part)
    for slot, row in ((3, 0), (1, 1)):
        own = States(*(t[:, slot : slot + 1] for t in before))
        expected = network.step(x[row : row + 1], torch.ones(1), own)[1]
        close(pool.h[:, slot : slot + 1], expected.h)
    for slot in (0, 2, 4):
        assert pool.h[:, slot].equal(before.h[:, slot])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_harms_one_stream_until_its_restart(bad: float) -> None:
    network, x = make(), eeg(2, 5, 4, 64)
    clean, _ = network.scan(x, torch.ones(2, 5), None)
    x[0, 1, 2, 30] = bad
    r = torch.ones(2, 5)
    r[0, 3] = 0.0
    logits, states = network.scan(x, r, None)
    assert logits[0, 0].isfinite().all()
    assert logits[0, 1:3].isnan().all()
    close(logits[0, 3:], network.scan(x[:1, 3:], torch.ones(1, 2), None)[0][0])
    close(logits[1], clean[1])
    assert all(t.isfinite().all() for t in states)


def test_states_are_what_they_say() -> None:
    states = make(SMALL, torch.float32).initial_states(3)
    assert states.h.shape == (2, 3, 16, 4)
    assert states.conv.shape == (2, 3, 16, 3)
    assert states.h.dtype == states.conv.dtype == torch.float32


def test_the_state_stays_in_single_precision() -> None:
    network = make(SMALL, torch.float32)
    _, states = steps(network, eeg(2, 3, 4, 64), torch.ones(2, 3, dtype=torch.float64), None)
    assert states is not None
    assert states.h.dtype == states.conv.dtype == torch.float32


@pytest.mark.parametrize("level", [0.0, 0.1, -250.0, 1e6])
def test_flat_windows_are_zeros(level: float) -> None:
    network = make()
    flat = torch.full((1, 4, 64), level, dtype=torch.float64)
    assert zscore(flat).eq(0).all()
    close(network(flat), network(torch.zeros(1, 4, 64)))
    assert network(flat).isfinite().all()


def test_an_offset_changes_nothing_and_one_flat_channel_is_zeros() -> None:
    network, x = make(), eeg(1, 4, 64)
    torch.testing.assert_close(network(x + 500.0), network(x), rtol=1e-9, atol=1e-9)
    x[0, 2] = FLAT_UV / 2 * torch.linspace(-1, 1, 64)
    assert zscore(x)[0, 2].eq(0).all()
    assert network(x).isfinite().all()


def test_zscore_is_per_window_and_channel() -> None:
    z = zscore(eeg(3, 4, 64))
    close(z.mean(-1), torch.zeros(3, 4, dtype=torch.float64))
    close(z.square().mean(-1), torch.ones(3, 4, dtype=torch.float64))


def all_of(n_times: int) -> Tensor:
    """All frequencies of a window."""
    return torch.arange(1, n_times // 2 + 1)


def test_periods_are_the_strongest_frequencies() -> None:
    times = torch.arange(128, dtype=torch.float64) / 128
    x = sum(a * torch.sin(2 * math.pi * f * times) for f, a in ((5, 3.0), (11, 2.0), (40, 1.0)))
    assert isinstance(x, Tensor)
    windows = x.expand(2, 4, 128)
    periods, weights = dominant_periods(windows, all_of(128), 3, "amplitude")
    assert periods.tolist() == [[26, 12, 4]] * 2  # ceil(128 / 5), ceil(128 / 11), ceil(128 / 40)
    amplitudes = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64) * 64
    close(weights[0], softmax(amplitudes, dim=-1))
    assert dominant_periods(windows, all_of(128), 3, "whitened")[0].tolist() == [[4, 12, 26]] * 2
    few = dominant_periods(windows, torch.tensor([4, 11, 40]), 2, "amplitude")
    assert few[0].tolist() == [[12, 4]] * 2
    close(few[1][0], softmax(amplitudes[1:], dim=-1))


def test_a_constant_has_no_part_in_the_periods() -> None:
    x = eeg(4, 4, 64)
    assert dominant_periods(x + 1e4, all_of(64), 3, "amplitude")[0].equal(
        dominant_periods(x, all_of(64), 3, "amplitude")[0]
    )


def test_ties_go_to_the_lower_frequency() -> None:
    impulse = torch.zeros(1, 4, 128, dtype=torch.float64)  # equal at all frequencies, but rounding
    for place in range(0, 128, 5):
        shifted = impulse.clone()
        shifted[..., place] = 7.3
        assert dominant_periods(shifted, all_of(128), 3, "amplitude")[0].tolist() == [[128, 64, 43]]
    assert dominant_periods(impulse, all_of(128), 3, "amplitude")[0].tolist() == [[128, 64, 43]]
    assert dominant_periods(impulse, all_of(128), 3, "amplitude")[1].tolist() == [[1 / 3] * 3]


@given(period=st.integers(1, 70), n_times=st.integers(1, 70))
@settings(deadline=None)
def test_the_fold_is_rows_of_one_period(period: int, n_times: int) -> None:
    x = torch.arange(1.0, 2 * n_times + 1).reshape(1, 2, n_times)
    folded = fold(x, period)
    assert folded.shape == (1, 2, math.ceil(n_times / period), period)
    for t in range(n_times):
        assert folded[0, 1, t // period, t % period] == x[0, 1, t]
    assert folded.flatten(-2)[..., n_times:].eq(0).all()


@pytest.mark.parametrize("kernels", [(1,), (1, 3, 5), (7, 3)])
def test_the_merged_kernel_equals_the_mean_of_the_convolutions(kernels: tuple[int, ...]) -> None:
    torch.manual_seed(4)
    inception = InceptionConv2d(4, 6, kernels).double()
    x = torch.randn(2, 4, 9, 5, dtype=torch.float64)
    plain = torch.stack([branch(x) for branch in inception.branches]).mean(0)
    weight, bias = inception.merged()
    close(nn.functional.conv2d(x, weight, bias, padding=max(kernels) // 2), plain)


@pytest.mark.parametrize("n_times", [64, 63])
@torch.no_grad()
def test_the_mstb_equals_its_plain_form(n_times: int) -> None:
    """Sample by sample, scale by scale, branch by branch, as the paper tells it."""
    torch.manual_seed(5)
    block = MultiScaleTemporalBlock(replace(SMALL, n_times=n_times)).double()
    x = zscore(eeg(6, 4, n_times))

    def inception(part: InceptionConv2d, image: Tensor) -> Tensor:
        return torch.stack([branch(image) for branch in part.branches]).mean(0)

    expected = x.clone()
    for row, window in enumerate(x):
        spectrum = np.abs(np.fft.rfft(window.numpy())).mean(0)
        picks = 1 + np.argsort(-spectrum[1:], kind="stable")[:3]
        weights = softmax(torch.from_numpy(spectrum[picks]), dim=-1)
        for f, weight in zip(picks, weights, strict=True):
            period = math.ceil(n_times / f)
            rows = math.ceil(n_times / period)
            padded = torch.zeros(4, rows * period, dtype=torch.float64)
            padded[:, :n_times] = window
            image = padded.reshape(1, 4, rows, period)
            image = inception(block.narrow, nn.functional.gelu(inception(block.widen, image)))
            expected[row] += weight * image.reshape(4, -1)[:, :n_times]
    close(block(x), expected)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_scales": 0}, "n_scales"),
        ({"n_scales": 65}, "n_scales"),
        ({"n_scales": 2, "frequencies": (4, 3)}, "frequencies"),
        ({"n_scales": 2, "frequencies": (4, 65)}, "frequencies"),
        ({"n_scales": 2, "frequencies": (4,)}, "frequencies"),
        ({"kernels": (1, 4)}, "kernels"),
        ({"kernels": ()}, "kernels"),
    ],
)
def test_impossible_configurations_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MSiMambaConfig(**change)  # type: ignore[arg-type]


def test_all_weights_learn() -> None:
    """No weight is unused: each gets a gradient from the loss."""
    network = MSiMamba(replace(SMALL, dropout=0.0))
    logits, _ = network.scan(eeg(4, 5, 4, 64), torch.ones(4, 5), None)
    torch.autograd.backward(logits.square().sum())
    for name, weights in network.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.abs().max() > 0, name


def test_it_is_a_module_for_skorch() -> None:
    """As braindecode's models are: windows in, logits out, cloned and fitted by scikit-learn."""
    skorch = pytest.importorskip("skorch", reason="skorch is not installed")
    base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    config = replace(SMALL, n_outputs=2)
    classifier = skorch.NeuralNetClassifier(
        MSiMamba,
        module__config=config,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        max_epochs=1,
        batch_size=8,
        train_split=None,
        verbose=0,
    )
    x, y = eeg(20, 4, 64, dtype=torch.float32).numpy(), np.arange(20) % 2
    classifier = base.clone(classifier).fit(x, y)
    found = classifier.predict_proba(x)
    assert math.isfinite(classifier.history[0, "train_loss"])
    assert found.shape == (20, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert classifier.predict(x).tolist() == found.argmax(axis=1).tolist()
    with torch.no_grad():
        expected = classifier.module_.eval()(torch.from_numpy(x)).softmax(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
