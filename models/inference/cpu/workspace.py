"""Where the layers of the processor's form compute: memory that is kept, and views of it.

To ask for memory at each operation costs a quarter of a step, and a view as much as a small sum.
Letters as in ``ssm.py``; tokens lie in the order (C, B).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mimamba.models.network.config import MSiMambaConfig

MANY = 32
"""Streams from which the recurrence goes token by token. A step of 64 takes 5 to 8 % less so, of 32
2 %; of one it takes 11 % more.
"""
LINE = 16
"""Numbers of a cache's line, at which each part begins."""


class Workspaces:
    """One per batch size, all in the same memory, which is as large as the largest batch needs."""

    def __init__(self, config: MSiMambaConfig, like: Tensor) -> None:
        self._config, self._memory = config, like.new_empty(0)
        self._rooms: dict[int, Workspace] = {}

    def of(self, batch: int) -> Workspace:
        """What is in it is overwritten by the next one's user."""
        room = self._rooms.get(batch)
        if room is None:
            shapes = _shapes(self._config, batch)
            needed = sum(map(_size, shapes.values()))
            if len(self._memory) < needed:
                self._memory = self._memory.new_empty(needed)
                self._rooms.clear()
            room = self._rooms[batch] = Workspace(self._config, _parts(self._memory, shapes))
        return room


def _size(shape: tuple[int, ...]) -> int:
    return math.ceil(math.prod(shape) / LINE) * LINE


def _shapes(config: MSiMambaConfig, batch: int) -> dict[str, tuple[int, ...]]:
    c, n_tokens = config, config.n_channels * batch
    width, low = c.expand * c.d_model, math.ceil(c.d_model / 16) + 2 * c.d_state
    return {
        "e": (n_tokens, c.d_model),
        "inputs": (c.d_conv - 1 + c.n_channels, batch, width),
        "az": (2, n_tokens, width),
        "low": (n_tokens, low),
        "decay": (1 if batch >= MANY else c.n_channels, batch, c.d_state, width),
        "h": (0 if batch >= MANY else c.n_channels, batch, c.d_state, width),
        "y": (n_tokens, 1, width),
        "wide": (2, n_tokens, c.d_ff),
    }


def _parts(memory: Tensor, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    parts, at = dict[str, Tensor](), 0
    for name, shape in shapes.items():
        parts[name] = memory[at : at + math.prod(shape)].view(shape)
        at += _size(shape)
    return parts


class Workspace:
    """For B streams; T = C B tokens.

    Parameters
    ----------
    e
        (T, d), the tokens between the layers; ``hops`` is the same as (C, B, d).
    inputs, entering, reached
        Of the depthwise convolution: (K - 1 + C, B, E) as an array; its end, this hop's inputs,
        as (T, E); what each tap reaches, K of (C, B, E), the oldest first.
    az, a, z, convolved
        (2, T, E), its halves, and the first of them as (C, B, E).
    low, rank, B, C
        What x_proj gives, (T, R + 2 n), and its parts: (T, R), (T, n, 1), (T, 1, n).
    many
        Whether the recurrence goes token by token.
    decay, h, each
        (T, n, E) both; pairs of h and decay for each token, (B, n, E). Of many streams ``decay`` is
        one token's, and there is no more.
    y, y_rows
        (T, E), and the same as (T, 1, E).
    wide, spare
        (T, d_ff), twice.
    """

    def __init__(self, config: MSiMambaConfig, parts: dict[str, Tensor]) -> None:
        n_channels, n_past = config.n_channels, config.d_conv - 1
        self.e, self.az, self.low = parts["e"], parts["az"], parts["low"]
        self.hops = self.e.view(n_channels, -1, config.d_model)
        self.inputs = parts["inputs"].numpy()
        self.entering = parts["inputs"][n_past:].flatten(0, 1)
        self.reached = [parts["inputs"][at : at + n_channels] for at in range(n_past + 1)]
        self.a, self.z = self.az
        self.convolved = self.a.view(self.reached[0].shape)
        n = config.d_state
        self.rank, B, C = torch.split(self.low, [self.low.shape[1] - 2 * n, n, n], dim=-1)
        self.B, self.C = B[..., None], C[:, None]
        self.decay, self.h = (parts[name].flatten(0, 1) for name in ("decay", "h"))
        self.each = list(zip(parts["h"], parts["decay"], strict=False))
        self.many = not self.each
        self.y_rows, self.y = parts["y"], parts["y"][:, 0]
        self.wide, self.spare = parts["wide"]
