"""Parser for rows of numbers in text files; fast for good files, tolerant of bad rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording

BLOCK_ROWS = 20_000
"""Rows parsed at a time: a malformed row makes only its block slow."""
MAX_MALFORMED = 0.03
"""Largest share of malformed rows; a file with more is damaged, or has another format."""

DELIMITERS = ("\t", ";", ",")
"""Cell separators of vendors' files, and of those that a spreadsheet has saved again."""

Table = NDArray[np.float64]

DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
"""A comma without a space between digits."""


def whole_lines(file: TextIO, notices: list[str]) -> Iterator[str]:
    """Yield the lines that are not blank; without the last one if it has no line end."""
    for line in file:
        if not line.endswith("\n"):
            notices.append("The last row has no line end: it may be incomplete, and is left out.")
        elif not line.isspace():
            yield line


def find_delimiter(line: str) -> str:
    """Find the separator of a line: a tab, else a semicolon, else a comma."""
    return next((each for each in DELIMITERS if each in line), ",")


def with_commas(lines: Iterable[str]) -> Iterator[str]:
    """Convert lines that a spreadsheet saved with semicolons and decimal commas.

    The cells are then separated by commas, and numbers have a decimal point.
    """
    for line in lines:
        yield DECIMAL_COMMA.sub(".", line).replace(";", ",")


def read_table(
    lines: Iterable[str],
    columns: Sequence[int],
    n_columns: int,
    delimiter: str,
    path: Path,
    notices: list[str],
    block_rows: int = BLOCK_ROWS,
) -> Table:
    """Parse some columns of rows of numbers, ``block_rows`` at a time.

    A row with another number of cells, or a cell without a number, becomes NaN.

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
    while block := list(islice(rows, block_rows)):
        table = _parse_block(block, columns, n_columns, delimiter)
        if table is None:
            table, bad = _parse_rows(block, columns, n_columns, delimiter)
            malformed.extend(n_rows + row for row in bad)
        tables.append(table)
        n_rows += len(block)
    if not tables:
        raise BadRecording("rows of samples", f"none in {path}", "record again")
    if len(malformed) > MAX_MALFORMED * n_rows:
        raise BadRecording(
            f"rows of {n_columns} cells in {path}",
            f"{len(malformed)} of {n_rows} malformed, row {malformed[0] + 1} first",
            "repair the file",
        )
    if malformed:
        notices.append(f"{len(malformed)} rows are malformed, row {malformed[0] + 1} first.")
    return np.concatenate(tables)


def _parse_block(
    block: list[str], columns: Sequence[int], n_columns: int, delimiter: str
) -> Table | None:
    """Parse a block quickly; None if a row is malformed."""
    if any(line.count(delimiter) != n_columns - 1 for line in block):
        return None
    try:
        return np.loadtxt(
            block, np.float64, delimiter=delimiter, comments=None, usecols=columns, ndmin=2
        )
    except ValueError:
        return None


def _parse_rows(
    block: list[str], columns: Sequence[int], n_columns: int, delimiter: str
) -> tuple[Table, list[int]]:
    """Parse row by row; return also the rows with another number of cells."""
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
