"""Filter for rows with a corrupt packet number."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Seconds

NumberedRows: TypeAlias = tuple[NDArray[np.float64], Seconds, NDArray[np.float64]]
"""Packet numbers (n_times,), stamps (n_times,), s, and data (n_times, n_channels), µV."""
CYCLE = 256


class PacketFilter:
    """Filter that drops rows whose number does not fit between its neighbours.

    A Cyton's packets have no checksum. One wrong number would count as a loss of up to 255 samples,
    and the next right one as another loss that completes the cycle. A row whose number does not
    follow the last one is held until the next row shows if it is in order: it is after a loss or a
    restart, it is not if it is a single wrong one. Two wrong rows in succession can pass. Of rows
    with the same number only the first passes.

    The filter is for boards with one sample per packet, numbered from 0 to 255.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        self._held: NumberedRows | None = None

    def feed(self, rows: NumberedRows) -> NumberedRows:
        """Process the next rows; return those that are in order."""
        if self._held is not None:
            rows = _join_rows(self._held, rows)
        numbers = rows[0].astype(int).tolist()
        kept = [at for at in range(len(numbers)) if self._in_order(numbers[at : at + 2])]
        doubtful = bool(numbers) and numbers[-1] != self._before
        self._held = _select_rows(rows, [len(numbers) - 1]) if doubtful else None
        return _select_rows(rows, kept)

    def flush(self) -> NumberedRows | None:
        """Return the row that is still held, if there is one."""
        held, self._held = self._held, None
        return held

    def _in_order(self, numbers: list[int]) -> bool:
        """Return True if the first number is in order.

        A number without a successor is in order only if it follows the last one.
        """
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


def _join_rows(first: NumberedRows, second: NumberedRows) -> NumberedRows:
    numbers, stamps, data = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    return numbers, stamps, data


def _select_rows(rows: NumberedRows, kept: list[int]) -> NumberedRows:
    numbers, stamps, data = (each[kept] for each in rows)
    return numbers, stamps, data
