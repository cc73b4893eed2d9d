"""The CPU form equals the readable network for any window, independently of the rest of a batch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mimamba.models.inference.cpu.layer import TOKENWISE_FROM
from mimamba.models.inference.cpu.network import CPUNetwork, zscore
from mimamba.models.inference.state_pool import StatePool
from mimamba.models.network.config import REFERENCE, Mixer, MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.msimamba import zscore as readable_zscore
from mimamba.models.network.ssm import States, apply_gate
from tests.models.network.test_evidence_memory import WHOLE
from tests.models.network.test_msimamba import SMALL, close, eeg, make, sinusoids

MIXERS: tuple[Mixer, ...] = ("mamba", "memory", "evidence", "none")


def stepped(form: CPUNetwork, x: Tensor, r: Tensor, states: States) -> tuple[Tensor, States]:
    """One step from states as the network has them; they stay as they are."""
    gated = [apply_gate(t, r[:, None, None]).transpose(-1, -2).contiguous() for t in states]
    logits = form.step(x, *gated)
    h, conv = (t.transpose(-1, -2) for t in gated)
    return logits, States(h, conv)


@st.composite
def networks(draw: st.DrawFn) -> MSiMamba:
    mixer = draw(st.sampled_from(MIXERS))
    n_channels, evidence = draw(st.sampled_from([1, 4])), mixer == "evidence"
    frequencies = draw(st.sampled_from([(), (), (16, 32), (11, 22), (7,)]))
    config = MSiMambaConfig(
        n_channels=n_channels,
        n_times=draw(st.sampled_from([64, 125, 128])),
        n_outputs=3,
        n_scales=draw(st.integers(1, len(frequencies) or 4)),
        frequencies=frequencies,
        kernels=draw(st.sampled_from([(1,), (3,), (1, 3, 5), (7, 1)])),
        hidden=draw(st.integers(1, 4)),
        d_model=8,
        d_ff=8,
        n_layers=draw(st.integers(1, 2)),
        d_state=2 * n_channels if evidence else 3,
        d_conv=1 if evidence else draw(st.integers(1, 6)),
        expand=1 if evidence else draw(st.integers(1, 2)),
        normalisation=draw(st.sampled_from(["zscore", "none", "scaled"])),
        ranking=draw(st.sampled_from(["amplitude", "whitened"])),
        mstb=draw(st.booleans()),
        embedding=draw(st.sampled_from(["linear", "spectral"])),
        bins=(1, 29),
        bands=14,
        mixer=mixer,
        time_constants=(2.0, 5.0),
    )
    return make(config, draw(st.sampled_from([torch.float64, torch.float32])))


@given(network=networks(), batch=st.integers(1, 5), seed=st.integers(0, 999), white=st.booleans())
@settings(max_examples=30)
def test_it_equals_the_reference(network: MSiMamba, batch: int, seed: int, white: bool) -> None:
    c, dtype = network.config, network.head.weight.dtype
    form = CPUNetwork(network)
    x = eeg(3, batch, c.n_channels, c.n_times, dtype=dtype, seed=seed)
    if white:  # then the periods are of all lengths
        x = x.diff(dim=-1, prepend=x[..., -1:])
    generator = torch.Generator().manual_seed(seed)
    expected = found = network.initial_states(batch)
    for hop in x:
        r = torch.rand(batch, dtype=dtype, generator=generator)
        r = torch.where(r < 0.3, 0.0, r)
        logits, found = stepped(form, hop, r, found)
        wanted, expected = network.step(hop, r, expected)
        close(logits, wanted)
        if c.mixer != "none":
            close(found.h, expected.h)
            close(found.conv, expected.conv)


@pytest.mark.parametrize("batch", [2, TOKENWISE_FROM])
def test_a_memory_whose_steps_depend_on_no_token(batch: int) -> None:
    """As its training leaves it: x_proj is zero, and the rest is not as it began."""
    network = make(WHOLE)
    for name, weights in network.layers.named_parameters():
        weights.add_(0.1 * torch.randn_like(weights)) if "x_proj" not in name else weights.zero_()
    form, x = CPUNetwork(network), eeg(3, batch, 4, 64)
    r = torch.linspace(0, 1, batch, dtype=torch.float64)
    expected = found = network.initial_states(batch)
    for hop in x:
        logits, found = stepped(form, hop, r, found)
        wanted, expected = network.step(hop, r, expected)
        close(logits, wanted)
        close(found.h, expected.h)


@pytest.mark.parametrize("n_times", [64, 125, 128])
def test_each_patch_size_equals_the_reference(n_times: int) -> None:
    """One sinusoid per frequency: the maps from one row to two columns, tails included."""
    network = make(replace(SMALL, n_times=n_times, n_scales=1))
    x = sinusoids(n_times)
    form = CPUNetwork(network)
    close(form.embed(x), network.embed(x))
    close(torch.cat([form.embed(each[None]) for each in x]), network.embed(x))


def odd(n_times: int) -> Tensor:
    """Zeros, a constant, an offset, one flat channel, an impulse, and a flood, float32."""
    walk = eeg(1, 4, n_times, dtype=torch.float32)
    one_flat, impulse = walk.clone(), torch.zeros(1, 4, n_times)
    one_flat[0, 2] = -250.0
    impulse[..., n_times // 3] = 7.3  # all frequencies tie, but for rounding
    constant = torch.full((1, 4, n_times), 7.7)
    return torch.cat([0 * walk, constant, walk + 500.0, one_flat, impulse, 1e6 * walk])


@pytest.mark.parametrize("config", [REFERENCE, replace(REFERENCE, ranking="whitened")])
def test_odd_windows_equal_the_reference(config: MSiMambaConfig) -> None:
    network, x = make(config, torch.float32), odd(config.n_times)
    logits, _ = stepped(CPUNetwork(network), x, torch.ones(6), network.initial_states(6))
    close(logits, network(x))
    assert logits.isfinite().all()


@given(
    order=st.permutations(range(9)),
    cuts=st.lists(st.integers(1, 8), max_size=4, unique=True),
)
@settings(max_examples=25)
def test_batch_mates_never_matter(order: list[int], cuts: list[int]) -> None:
    """Whatever the batches that nine streams are stepped in, one of them being no number."""
    network = make(replace(SMALL, n_times=128), torch.float32)
    form = CPUNetwork(network)
    x = torch.cat(
        [eeg(2, 4, 128, dtype=torch.float32), odd(128), torch.full((1, 4, 128), math.nan)]
    )
    r = torch.linspace(0, 1, 9)
    before = network.step(x.flip(-1), torch.zeros(9), None)[1]
    logits, after = torch.empty(9, 5), States(*(torch.empty_like(t) for t in before))
    edges = [0, *sorted(cuts), 9]
    for first, last in pairwise(edges):
        rows = order[first:last]
        own = States(*(t[:, rows] for t in before))
        logits[rows], states = stepped(form, x[rows], r[rows], own)
        for whole, part in zip(after, states, strict=True):
            whole[:, rows] = part
    expected, end = network.step(x, r, before)
    close(logits[:8], expected[:8])
    assert logits[8].isnan().all()
    close(after.h[:, :8], end.h[:, :8])
    close(after.conv[:, :8], end.conv[:, :8])


@pytest.mark.parametrize("batch", [*range(1, 10), 31, 32, 64])
def test_batches_of_each_size(batch: int) -> None:
    """All kinds of windows and patch sizes; NaN in one window has no effect on others."""
    network = make(replace(SMALL, n_times=128), torch.float32)
    form = CPUNetwork(network)
    sorts = [sinusoids(128).float(), odd(128), eeg(64, 4, 128, dtype=torch.float32)]
    order = torch.randperm(134, generator=torch.Generator().manual_seed(batch))
    x = torch.cat(sorts)[order[: 2 * batch]].view(2, batch, 4, 128)
    expected = found = network.initial_states(batch)
    x[1, -1, 2, 5] = math.nan
    whole = batch - 1
    for hop in x:
        logits, found = stepped(form, hop, torch.full((batch,), 0.8), found)
        wanted, expected = network.step(hop, torch.full((batch,), 0.8), expected)
        close(logits[:whole], wanted[:whole])
        close(found.h[:, :whole], expected.h[:, :whole])
        close(found.conv[:, :whole], expected.conv[:, :whole])
    assert logits[-1].isnan().all()


def test_what_was_stepped_before_leaves_nothing_behind() -> None:
    """Batches of all sizes share memory, whatever it contained before: here NaN."""
    network = make(dtype=torch.float32)
    form, fresh = CPUNetwork(network), network.initial_states(64)
    for batch in (3, 64, 1, 40, 2):
        own = States(*(t[:, :batch] for t in fresh))
        x = eeg(batch, 4, 64, dtype=torch.float32, seed=batch)
        close(stepped(form, x, torch.zeros(batch), own)[0], network(x))
        stepped(form, x * math.nan, torch.zeros(batch), own)


def test_it_is_a_copy() -> None:
    network = make()
    form, pool, x = CPUNetwork(network), StatePool(network, rows=2), eeg(2, 4, 64)
    before = form.step(x, pool.h.clone(), pool.history.clone())
    for weights in network.parameters():
        weights.add_(1.0)
    close(form.step(x, pool.h, pool.history), before)


def test_zscores() -> None:
    """One channel constant, one flat but for noise, one no number."""
    x = eeg(3, 4, 128)
    x[0, 1] = -250.0
    x[1, 2] *= 1e-6
    x[2, 3, 7] = torch.nan
    scored = x.clone()
    zscore(scored.numpy())
    torch.testing.assert_close(scored, readable_zscore(x), equal_nan=True)
    assert (scored[0, 1] == 0).all()
