"""All scales in a few products are as the readable block has them, whatever the batch before."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mimamba.models.inference.cpu.short_rows import CPUShortRowBlock, banded, has_short_rows
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import fold
from tests.models.inference.cpu.test_mstb import block
from tests.models.network.test_msimamba import SMALL, close, eeg

TWO = replace(SMALL, n_scales=2, frequencies=(11, 22))
"""Patches of 6 and 3 of 64 samples, 12 and 6 of 125 to 129: some maps end in part of a row."""


@pytest.mark.parametrize("kernels", [(1,), (3, 1), (1, 3, 5), (7,)])
@pytest.mark.parametrize("n_times", [64, 125, 128, 129])
def test_it_equals_the_reference(kernels: tuple[int, ...], n_times: int) -> None:
    readable = block(replace(TWO, n_times=n_times, kernels=kernels))
    maps = CPUShortRowBlock(readable)
    for seed, batch in enumerate((1, 5, 2, 9, 9, 1)):  # in memory that larger batches left
        x = 10 * eeg(batch, 4, n_times, seed=seed)
        close(maps.apply(x, 10.0), readable(x / 10))


def test_nan_is_one_windows_own() -> None:
    readable = block(replace(TWO, n_times=128), torch.float32)
    maps, x = CPUShortRowBlock(readable), eeg(4, 4, 128, dtype=torch.float32)
    expected = readable(x)
    broken = x.clone()
    broken[1, 0, 0] = math.nan
    mixed = maps.apply(broken).clone()
    assert mixed[1].isnan().all()
    close(mixed[[0, 2, 3]], expected[[0, 2, 3]])
    close(maps.apply(x), expected)  # nothing of it is left


def test_the_matrices_are_the_convolution() -> None:
    """A block of two rows of four samples, between two blocks of others."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 24, generator=generator, dtype=torch.float64)
    kernel = torch.randn(2, 3, 3, 3, generator=generator, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(fold(x, 4), kernel, padding=1)[:, :, 2:4]
    blocks = x[0].T.reshape(3, -1)
    found = sum(b @ m for b, m in zip(blocks, banded(kernel, 4, 8), strict=True))
    close(found, expected[0].flatten(1).T.flatten())


@pytest.mark.parametrize(
    ("config", "short"),
    [
        (TWO, True),
        (replace(TWO, n_scales=1), False),  # it picks
        (replace(TWO, frequencies=(11, 16)), False),  # 6 and 4
        (replace(TWO, frequencies=(1, 2)), False),  # 64 and 32
        (SMALL, False),
    ],
)
def test_which_networks_have_short_rows(config: MSiMambaConfig, short: bool) -> None:
    assert has_short_rows(config) == short
