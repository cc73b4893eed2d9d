"""Rows of numbers in text files: fast where all is well, tolerant where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording

BLOCK = 20_000
"""Rows at a time: one malformed row costs the slow way for its block alone."""
REFUSED_SHARE = 0.03
"""A file with a greater share of malformed rows is damaged, or of another format."""

Table = NDArray[np.float64]


def whole_lines(file: TextIO, notices: list[str]) -> Iterator[str]:
    """The lines that are not blank; the last one only if its end says that it is whole."""
    for line in file:
        if not line.endswith("\n"):
            notices.append("The last row has no line end: it may be cut, and is left out.")
        elif not line.isspace():
            yield line


def read_table(
    lines: Iterable[str],
    columns: Sequence[int],
    n_columns: int,
    delimiter: str,
    path: Path,
    notices: list[str],
) -> Table:
    """Some columns of rows of numbers.

    A row with another number of cells keeps its place with NaN, and so does a cell without a
    number.

    Returns
    -------
    (n_rows, len(columns)) float64.

    Raises
    ------
    BadRecording
        If there is no row, or too many are malformed.
    """
    rows = iter(lines)
    tables: list[Table] = []
    malformed: list[int] = []
    n_rows = 0
    while block := list(islice(rows, BLOCK)):
        table = _quick(block, columns, n_columns, delimiter)
        if table is None:
            table, bad = _mended(block, columns, n_columns, delimiter)
            malformed.extend(n_rows + row for row in bad)
        tables.append(table)
        n_rows += len(block)
    if not tables:
        raise BadRecording("rows of samples", f"none in {path}", "record again")
    if len(malformed) > REFUSED_SHARE * n_rows:
        raise BadRecording(
            f"rows of {n_columns} cells in {path}",
            f"{len(malformed)} of {n_rows} malformed, row {malformed[0] + 1} first",
            "repair the file",
        )
    if malformed:
        notices.append(f"{len(malformed)} rows are malformed, row {malformed[0] + 1} first.")
    return np.concatenate(tables)


def _quick(
    block: list[str], columns: Sequence[int], n_columns: int, delimiter: str
) -> Table | None:
    """All at once; None where something is amiss."""
    if any(line.count(delimiter) != n_columns - 1 for line in block):
        return None
    try:
        return np.loadtxt(
            block, np.float64, delimiter=delimiter, comments=None, usecols=columns, ndmin=2
        )
    except ValueError:
        return None


def _mended(
    block: list[str], columns: Sequence[int], n_columns: int, delimiter: str
) -> tuple[Table, list[int]]:
    """Row by row; and which have another number of cells."""
    table = np.full((len(block), len(columns)), np.nan)
    bad = []
    for row, line in enumerate(block):
        cells = line.split(delimiter)
        if len(cells) == n_columns:
            table[row] = [_number(cells[column]) for column in columns]
        else:
            bad.append(row)
    return table, bad


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
