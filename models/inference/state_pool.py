"""Where the states of many streams are kept: a row each, opened and closed without touching others.

A pool is for one thread at a time; whoever has several sees to it. Letters as in ``ssm.py``.
"""

from __future__ import annotations

import torch

from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.ssm import States

EMPTY = 0
"""A row that is no stream's, and always zero."""
FIRST_ROWS = 16
"""Rows at the start; the number doubles when they are used up."""


class Pool:
    """The states of a network's streams.

    In memory d_inner runs fastest, as whoever steps wants it: ``h`` is (n_layers, rows, n, E) and
    ``history`` (n_layers, rows, K - 1, E). ``states`` are the same numbers in the network's order.
    """

    def __init__(self, network: MSiMamba, rows: int = FIRST_ROWS) -> None:
        fresh = network.initial_states(rows)
        self.h, self.history = (t.transpose(-1, -2).contiguous() for t in fresh)
        self._free = list(range(rows - 1, EMPTY, -1))

    @property
    def states(self) -> States:
        """All rows, as views."""
        return States(self.h.transpose(-1, -2), self.history.transpose(-1, -2))

    @property
    def full(self) -> bool:
        """Whether the next ``open`` makes the pool grow, so that its tensors are others then."""
        return not self._free

    def open(self) -> int:
        """A row, its state zero."""
        if self.full:
            self._grow()
        row = self._free.pop()
        self.reset(row)
        return row

    def close(self, row: int) -> None:
        """Give a row back."""
        self._free.append(row)

    def reset(self, row: int) -> None:
        """Forget everything."""
        self.h[:, row] = 0.0
        self.history[:, row] = 0.0

    def row(self, row: int) -> States:
        """A copy of one row: (n_layers, 1, E, n) and (n_layers, 1, E, K - 1), on the processor."""
        h, conv = (t[:, row : row + 1].cpu().contiguous() for t in self.states)
        return States(h.clone(), conv.clone())

    def _grow(self) -> None:
        """Have twice as many rows."""
        rows = self.h.shape[1]
        self.h, self.history = (
            torch.cat([t, torch.zeros_like(t)], dim=1) for t in (self.h, self.history)
        )
        self._free += range(2 * rows - 1, rows - 1, -1)
