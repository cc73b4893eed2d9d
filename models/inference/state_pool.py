"""A pool of the states of many streams: one row each, opened and closed independently.

A pool is used by one thread at a time; callers lock. Letters as in ``ssm.py``.
"""

from __future__ import annotations

import torch

from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.ssm import States

EMPTY_ROW = 0
"""Row that belongs to no stream and is always zero."""
FIRST_ROWS = 16
"""Rows at the start; the number doubles when all are used."""


class StatePool:
    """States of a network's streams.

    In memory d_inner runs fastest, as steppers need it: ``h`` is (n_layers, rows, n, E) and
    ``history`` (n_layers, rows, K - 1, E). ``states`` are views of them in the network's order.

    Parameters
    ----------
    network
        The network, on the device of the pool.
    rows
        Rows at the start, one of which belongs to no stream.
    """

    def __init__(self, network: MSiMamba, rows: int = FIRST_ROWS) -> None:
        fresh = network.initial_states(rows)
        self.h, self.history = (t.transpose(-1, -2).contiguous() for t in fresh)
        self._free = list(range(rows - 1, EMPTY_ROW, -1))

    @property
    def states(self) -> States:
        """All rows, as views."""
        return States(self.h.transpose(-1, -2), self.history.transpose(-1, -2))

    @property
    def used(self) -> int:
        """Number of rows that belong to streams."""
        return self.h.shape[1] - 1 - len(self._free)

    def open(self) -> int:
        """Return a free row, its state zero."""
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.reset(row)
        return row

    def close(self, row: int) -> None:
        """Give a row back."""
        self._free.append(row)

    def reset(self, row: int) -> None:
        """Set the state of a row to zero."""
        self.h[:, row] = 0.0
        self.history[:, row] = 0.0

    def read(self, row: int) -> States:
        """Copy one row to the CPU: (n_layers, 1, E, n) and (n_layers, 1, E, K - 1)."""
        h, conv = (t[:, row : row + 1].cpu().contiguous() for t in self.states)
        return States(h.clone(), conv.clone())

    def write(self, row: int, states: States) -> None:
        """Set one row to states of the shapes that ``read`` returns."""
        for whole, new in zip(self.states, states, strict=True):
            whole[:, row : row + 1] = new.to(whole.device)

    def _grow(self) -> None:
        """Double the number of rows."""
        rows = self.h.shape[1]
        self.h, self.history = (
            torch.cat([t, torch.zeros_like(t)], dim=1) for t in (self.h, self.history)
        )
        self._free += range(2 * rows - 1, rows - 1, -1)
