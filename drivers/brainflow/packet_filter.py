"""Rows whose packet number is garbage: bytes between a board and us that look like a packet."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds

Rows: TypeAlias = tuple[NDArray[np.float64], Seconds, NDArray[np.float64]]
"""Packet numbers (n_times,), stamps (n_times,) and data (n_times, n_channels)."""
CYCLE = 256


class PacketFilter:
    """Leaves out rows whose number does not lie between those before and after it.

    A Cyton's packets carry no checksum. Taken as it is, one wrong number would count as a loss of
    up to 255 samples, and the right one after it as another that fills the cycle. A row whose
    number does not follow the last one is held until the next row tells whether it stands in
    order: after a loss or a restart it does, one alone that is wrong does not. Two wrong ones in a
    row can pass. A number that comes twice is taken once.

    For boards with one sample per packet, numbered from 0 to 255.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        self._held: Rows | None = None

    def feed(self, rows: Rows) -> Rows:
        """Take the next rows; give those that are in order."""
        if self._held is not None:
            rows = _joined(self._held, rows)
        numbers = rows[0].astype(int).tolist()
        kept = [at for at in range(len(numbers)) if self._in_order(numbers[at : at + 2])]
        doubtful = bool(numbers) and numbers[-1] != self._before
        self._held = _taken(rows, [len(numbers) - 1]) if doubtful else None
        return _taken(rows, kept)

    def flush(self) -> Rows | None:
        """The row that is held, if there is one: nothing speaks against it."""
        held, self._held = self._held, None
        return held

    def _in_order(self, numbers: list[int]) -> bool:
        """Whether the first of two numbers is; one alone only if it follows the last one."""
        number, before = numbers[0], self._before
        if number == before:
            return False
        follows = before is None or (number - before) % CYCLE == 1
        if not follows and before is not None and len(numbers) == 2:
            after = numbers[1]
            there = (number - before) % CYCLE + (after - number) % CYCLE
            follows = there == (after - before - 1) % CYCLE + 1
        if follows:
            self._before = number
        return follows


def _joined(first: Rows, second: Rows) -> Rows:
    numbers, stamps, data = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    return numbers, stamps, data


def _taken(rows: Rows, kept: list[int]) -> Rows:
    numbers, stamps, data = (each[kept] for each in rows)
    return numbers, stamps, data
