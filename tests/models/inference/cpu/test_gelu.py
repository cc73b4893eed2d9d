"""GELU by way of erf."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import gelu

from mimamba.models.inference.cpu.gelu import double_gelu
from tests.models.network.test_msimamba import close


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_gelus_double(dtype: torch.dtype) -> None:
    """Beside, and into what is spare."""
    x = torch.linspace(-9, 9, 200, dtype=dtype).view(20, 10)
    spare, beside = torch.empty_like(x), torch.zeros(4, 5, 12, dtype=dtype)
    double_gelu(x, spare, beside.numpy()[:, :, 1:11])
    close(beside[:, :, 1:11].flatten(0, 1), 2 * gelu(x))
    assert (beside[:, :, ::11] == 0).all()
    double_gelu(x, spare, spare.numpy())
    close(spare, 2 * gelu(x))
