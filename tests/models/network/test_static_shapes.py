"""The static form equals the reference, whatever the window, and reads nothing back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba, MultiScaleTemporalBlock
from mimamba.models.network.ssm import States
from mimamba.models.network.static_shapes import StaticTemporalBlock, step_rows, to_static
from tests.models.network.test_msimamba import SMALL, close, eeg, make, sinusoids, steps

LONGER = replace(SMALL, n_times=128)


def impulses(batch: int, n_times: int, dtype: torch.dtype) -> Tensor:
    """All frequencies tie, but for rounding."""
    x = torch.zeros(batch, 4, n_times, dtype=dtype)
    x[..., n_times // 3] = 7.3
    return x


@st.composite
def networks(draw: st.DrawFn) -> MSiMamba:
    frequencies = draw(st.sampled_from([(), (), (16, 32), (7, 11, 22)]))
    config = MSiMambaConfig(
        n_channels=draw(st.sampled_from([1, 4])),
        n_times=draw(st.sampled_from([64, 125, 128, 256])),
        n_outputs=3,
        n_scales=draw(st.integers(1, len(frequencies) or 4)),
        frequencies=frequencies,
        kernels=draw(st.sampled_from([(1,), (3,), (1, 3, 5), (7, 1)])),
        hidden=draw(st.integers(1, 4)),
        d_model=8,
        d_ff=8,
        n_layers=draw(st.integers(1, 2)),
        d_state=3,
        normalisation=draw(st.sampled_from(["zscore", "none"])),
        ranking=draw(st.sampled_from(["amplitude", "whitened"])),
    )
    return make(config, draw(st.sampled_from([torch.float64, torch.float32])))


@given(network=networks(), batch=st.integers(1, 5), seed=st.integers(0, 999), white=st.booleans())
@settings(max_examples=40)
def test_it_equals_the_reference(network: MSiMamba, batch: int, seed: int, white: bool) -> None:
    c, dtype = network.config, network.head.weight.dtype
    form = to_static(network)
    x = eeg(batch, 3, c.n_channels, c.n_times, dtype=dtype, seed=seed)
    if white:  # then the periods are of all lengths
        x = x.diff(dim=-1, prepend=x[..., -1:])
    r = torch.rand(batch, 3, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    r = torch.where(r < 0.3, 0.0, r)
    close(form(x[:, 0]), network(x[:, 0]))
    expected, end = network.scan(x, r, None)
    for logits, after in (form.scan(x, r, None), steps(form, x, r, None)):
        close(logits, expected)
        assert after is not None
        close(after.h, end.h)
        close(after.conv, end.conv)


@pytest.mark.parametrize("n_times", [64, 125, 128])
def test_each_patch_size_equals_the_reference(n_times: int) -> None:
    """One sinusoid per frequency: the maps from two rows to two columns, tails included."""
    network = make(replace(SMALL, n_times=n_times, n_scales=1))
    x = sinusoids(n_times)
    close(to_static(network).mstb(x), network.mstb(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_odd_windows_equal_the_reference(dtype: torch.dtype) -> None:
    network = make(LONGER, dtype)
    walk = eeg(1, 4, 128, dtype=dtype)
    one_flat = walk.clone()
    one_flat[0, 2] = -250.0
    odd = [torch.zeros(1, 4, 128, dtype=dtype), torch.full((1, 4, 128), 7.7, dtype=dtype)]
    x = torch.cat([*odd, walk + 500.0, one_flat, impulses(1, 128, dtype), 1e6 * walk])
    close(to_static(network)(x), network(x))
    assert network(x).isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_harms_no_batch_mate(bad: float) -> None:
    network = make()
    form, x = to_static(network), eeg(3, 5, 4, 64)
    clean, _ = form.scan(x, torch.ones(3, 5), None)
    x[1, 1, 2, 30] = bad
    r = torch.ones(3, 5)
    r[1, 3] = 0.0
    logits, states = form.scan(x, r, None)
    assert logits[1, 1:3].isnan().all()
    close(logits[1, 3:], network.scan(x[1:2, 3:], torch.ones(1, 2), None)[0][0])
    close(logits[[0, 2]], clean[[0, 2]])
    assert all(t.isfinite().all() for t in states)


def test_batch_mates_never_matter() -> None:
    form = to_static(make(LONGER, torch.float32))
    flat = torch.zeros(2, 4, 128)
    x = torch.cat([eeg(4, 4, 128, dtype=torch.float32), flat, impulses(2, 128, torch.float32)])
    r = torch.linspace(0, 1, 8)
    states = form.step(x.flip(0), r, None)[1]
    together, after = form.step(x, r, states)
    for row in range(8):
        one = slice(row, row + 1)
        alone, own = form.step(x[one], r[one], States(*(t[:, one] for t in states)))
        close(alone, together[one])
        close(own.h, after.h[:, one])


@given(
    slots=st.lists(st.integers(0, 5), unique=True, max_size=4),
    padding=st.lists(st.integers(0, 4), max_size=3),
)
@settings(max_examples=20)
def test_padding_touches_no_state(slots: list[int], padding: list[int]) -> None:
    """Rows of NaN, anywhere in the batch, with a negative slot."""
    network = make()
    form = to_static(network)
    pool = network.step(eeg(6, 4, 64, seed=8), torch.ones(6), None)[1]
    before = States(*(t.clone() for t in pool))
    places = list(slots)
    for at in padding:
        places.insert(at, -1)
    index = torch.tensor(places, dtype=torch.int64)
    live = index >= 0
    x = eeg(len(places), 4, 64)
    x[~live] = math.nan
    r = torch.linspace(0.2, 1, len(places), dtype=torch.float64)
    if places:
        logits = step_rows(form, x, r, pool, index)
    idle = [slot for slot in range(6) if slot not in slots]
    assert pool.h[:, idle].equal(before.h[:, idle])
    assert pool.conv[:, idle].equal(before.conv[:, idle])
    if slots:
        states = States(*(t[:, index[live]] for t in before))
        expected, after = network.step(x[live], r[live], states)
        close(logits[live], expected)
        close(pool.h[:, index[live]], after.h)
        close(pool.conv[:, index[live]], after.conv)


def test_no_shape_and_no_choice_waits_for_the_data() -> None:
    """On the device `meta` there are no data: whatever asks for one raises."""
    network = make(LONGER, torch.float32)
    x, r = torch.empty(3, 4, 128, device="meta"), torch.empty(3, device="meta")
    slots = torch.empty(3, dtype=torch.int64, device="meta")
    form = to_static(network).to("meta")
    assert step_rows(form, x, r, form.initial_states(8), slots).shape == (3, 5)
    with pytest.raises((NotImplementedError, RuntimeError)):
        network.to("meta").step(x, r, None)


def test_it_is_a_copy_that_learns_nothing() -> None:
    network = make(replace(SMALL, dropout=0.5)).train().requires_grad_(True)
    x = eeg(2, 4, 64)
    form = to_static(network)
    assert not any(p.requires_grad for p in form.parameters())
    assert network.training
    assert isinstance(network.mstb, MultiScaleTemporalBlock)
    before = form(x)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(1.0)
    close(form(x), before)
    again = to_static(form)
    assert isinstance(again.mstb, StaticTemporalBlock)
    close(again(x), before)
