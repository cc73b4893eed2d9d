"""Where the states of many streams are kept: a row each, opened and closed without touching others.

A pool is for one thread at a time; whoever has several sees to it. Letters as in ``ssm.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.network import MSiMamba
from models.ssm import States

EMPTY = 0
"""A row that is no stream's, and always zero."""
FIRST_ROWS = 16
"""Rows at the start; the number doubles when they are used up."""


class StateError(ValueError):
    """Bytes are damaged, or states of another network; one clear line."""


class Rows(Protocol):
    """Who has which row, wherever the states lie."""

    @property
    def full(self) -> bool:
        """Whether the next ``open`` must not fall into a step."""
        ...

    def open(self) -> int:
        """A row, its state zero."""
        ...

    def close(self, row: int) -> None:
        """Give a row back."""
        ...

    def row(self, row: int) -> States:
        """A copy of one row: (n_layers, 1, E, n) and (n_layers, 1, E, K - 1), on the processor."""
        ...


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
            self.reserve(2 * self.h.shape[1])
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

    def taken(self) -> list[int]:
        """The rows that are streams', in order."""
        return sorted(set(range(EMPTY + 1, self.h.shape[1])) - set(self._free))

    def snapshot(self, rows: Sequence[int]) -> bytes:
        """Rows as safetensors; any process with the same network can go on from there."""
        return safetensors.torch.save({name: t.cpu() for name, t in self._some(rows).items()})

    def restore(self, rows: Sequence[int], content: bytes) -> None:
        """Set rows to a snapshot.

        Raises
        ------
        StateError
            If it is damaged, of another network, or of more or fewer rows.
        """
        try:
            found = safetensors.torch.load(content)
        except (SafetensorError, ValueError, KeyError) as error:
            raise StateError(f"wanted streams' states; found damage: {error}") from None
        mine = self._some(rows)
        if _kinds(found) != _kinds(mine):
            raise StateError(
                f"wanted states of {_kinds(mine)}; found {_kinds(found)}; "
                "they are damaged, of another model, or of other rows"
            )
        for name, t in self.states._asdict().items():
            t[:, rows] = found[name].to(t.device)

    def reserve(self, rows: int) -> None:
        """Have so many rows, or more: the number doubles until there are."""
        while (before := self.h.shape[1]) < rows:
            self.h, self.history = (
                torch.cat([t, torch.zeros_like(t)], dim=1) for t in (self.h, self.history)
            )
            self._free += range(2 * before - 1, before - 1, -1)

    def _some(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Copies of some rows, by the names of ``States``."""
        return {name: t[:, list(rows)].contiguous() for name, t in self.states._asdict().items()}


def _kinds(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(t.shape)} {t.dtype}" for name, t in sorted(tensors.items())}
