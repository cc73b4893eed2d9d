"""GELU of few numbers: by way of erf it costs a third of PyTorch's, which takes 11 µs at least."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FEW = 8192
"""Numbers from which PyTorch's costs less."""


def twice_gelu(x: Tensor, spare: Tensor, out: NDArray[np.floating]) -> None:
    """2 GELU(x) to ``out``, which may be ``spare``'s; the half is for a product to take."""
    array, room = x.numpy(), spare.numpy()
    np.multiply(array, math.sqrt(0.5), out=room)
    torch.erf(spare, out=spare)
    np.add(room, 1.0, out=room)
    np.multiply(room.reshape(out.shape), array.reshape(out.shape), out=out)
