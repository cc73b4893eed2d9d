from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.vendors.text_rows import (
    BLOCK_ROWS,
    Table,
    read_table,
    whole_lines,
)

HERE = Path("some.csv")


def table(
    lines: list[str], columns: list[int], notices: list[str], block_rows: int = BLOCK_ROWS
) -> Table:
    return read_table(lines, columns, 3, ",", HERE, notices, block_rows)


def test_the_columns_asked_for_in_their_order() -> None:
    notices: list[str] = []
    found = table([f"{k},{k}.5,x\n" for k in range(50)], [1, 0], notices)
    np.testing.assert_array_equal(found, [[k + 0.5, k] for k in range(50)])
    assert notices == []


@pytest.mark.parametrize("at", [0, 17, 39])
def test_a_malformed_row_keeps_its_place(at: int) -> None:
    lines = [f"{k},{k}.5,x\n" for k in range(40)]
    lines[at] = "1,2\n"
    lines[(at + 5) % 40] = "oops,,x\n"
    notices: list[str] = []
    found = table(lines, [0, 1], notices, block_rows=10)
    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == sorted([at, (at + 5) % 40])
    assert notices == [f"1 rows are malformed, row {at + 1} first."]
    good = ~np.isnan(found).any(axis=1)
    np.testing.assert_array_equal(found[good, 0], np.arange(40)[good])


def test_many_malformed_rows_are_refused() -> None:
    with pytest.raises(BadRecording, match="4 of 40 malformed, row 3 first"):
        table(["1,2,3\n", "1,2,3\n", *["1,2\n"] * 4, *["1,2,3\n"] * 34], [0], [])


def test_no_row() -> None:
    with pytest.raises(BadRecording, match=r"none in some\.csv"):
        table([], [0], [])


def test_lines_that_are_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a\n\n \nb\nc")
    notices: list[str] = []
    with (tmp_path / "x").open() as file:
        assert list(whole_lines(file, notices)) == ["a\n", "b\n"]
    assert len(notices) == 1
