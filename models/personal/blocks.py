"""Blocks of a calibration: stretches of a recording in which the person was in one of two states.

They come from markers, from a table such as BIDS's ``events.tsv``, or from the program that ran the
calibration. A rating of each block says whether the person felt what the block was for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.bids_sidecars import MISSING_VALUES, read_tsv
from mimamba.drivers.formats.recording import Recording, one_line

MARGIN = 10.0
"""Points of 100 by which a rating must lie on its kind's side of the middle."""
LEAST_CONTRAST = 2 * MARGIN
"""Points of 100 between the medians of the two kinds below which a person did not feel them."""


class CalibrationError(Mismatch):
    """Raised for blocks that are missing, overlap, or are not of two kinds."""


@dataclass(frozen=True)
class Block:
    """A stretch of a recording in one state.

    Parameters
    ----------
    kind
        Name of the state.
    start, stop
        Positions of its first sample and of the sample after its last one.
    rating
        The person's rating afterwards, 0 to 100; None if there is none.
    """

    kind: str
    start: int
    stop: int
    rating: float | None = None


def blocks_from_markers(
    recording: Recording, kinds: Mapping[str, str], seconds: float | None = None
) -> tuple[Block, ...]:
    """Cut a block at each marker whose label is named.

    Parameters
    ----------
    recording
        Recording with markers.
    kinds
        State by the label of the marker that begins it.
    seconds
        Length of a block; None for up to the next marker of any label, or the recording's end.

    Raises
    ------
    CalibrationError
        If a label has no marker.
    """
    there = sorted({marker.label for marker in recording.markers})
    for label in kinds:
        if label not in there:
            raise CalibrationError(
                f"markers with the label {label}",
                one_line(", ".join(there[:20])) or "no markers",
                "choose from these with --from-markers, or give a table with --from-table",
            )
    borders = [*(marker.index for marker in recording.markers), recording.end]
    made = []
    for n, marker in enumerate(recording.markers):
        if marker.label not in kinds:
            continue
        following = next((at for at in borders[n + 1 :] if at > marker.index), recording.end)
        wanted = marker.index + round((seconds or 0) * recording.info.sfreq)
        stop = min(wanted, recording.end) if seconds else following
        made.append(Block(kinds[marker.label], marker.index, stop))
    return check_blocks(made)


def blocks_from_table(
    path: Path, recording: Recording, rating: str | None = None, kinds: Sequence[str] = ()
) -> tuple[Block, ...]:
    """Read blocks from a table of tab-separated values, as BIDS writes events.

    Parameters
    ----------
    path
        Table with the columns ``onset`` and ``duration``, in seconds from the recording's first
        sample, and ``trial_type``, which is the state.
    recording
        Recording that the table describes.
    rating
        Column with the person's ratings, 0 to 100.
    kinds
        States to use; empty for all.

    Raises
    ------
    CalibrationError
        If a column is missing or a value in it is no number.
    """
    rows = read_tsv(path)
    if rows is None:
        raise CalibrationError(
            f"a table {path}", "no such file, or one that is too large", "correct --from-table"
        )
    needed = ("onset", "duration", "trial_type", *((rating,) if rating else ()))
    there = rows[0].keys() if rows else ()
    for name in needed:
        if name not in there:
            raise CalibrationError(
                f"a column {name} in {path}", one_line(", ".join(there)) or "no rows", "add it"
            )
    made = []
    for number, row in enumerate(rows, 1):
        kind = row.get("trial_type", "")
        if kind in MISSING_VALUES or (kinds and kind not in kinds):
            continue
        onset, duration = (
            _number(row.get(name), name, number, path) for name in ("onset", "duration")
        )
        score = None
        if rating is not None and row.get(rating, "") not in MISSING_VALUES:
            score = _number(row.get(rating), rating, number, path)
        start, stop = (round(at * recording.info.sfreq) for at in (onset, onset + duration))
        made.append(Block(kind, max(start, 0), min(stop, recording.end), score))
    return check_blocks(made)


def _number(text: str | None, column: str, row: int, path: Path) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise CalibrationError(
            f"a number as {column} in row {row} of {path}",
            one_line(text or "nothing"),
            "correct it",
        )
    return number


def check_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Sort blocks by time.

    Raises
    ------
    CalibrationError
        If there are none, if one is empty, or if two overlap.
    """
    ordered = tuple(sorted(blocks, key=lambda block: (block.start, block.stop)))
    if not ordered:
        raise CalibrationError("blocks of two kinds", "no block", "choose other labels")
    for number, block in enumerate(ordered, 1):
        if not 0 <= block.start < block.stop:
            raise CalibrationError(
                "blocks that begin before they end",
                f"block {number} from sample {block.start} to {block.stop}",
                "correct the onsets and durations",
            )
    for number, (one, other) in enumerate(pairwise(ordered), 1):
        if other.start < one.stop:
            raise CalibrationError(
                "blocks that do not overlap",
                f"block {number + 1} ({other.kind}), which begins within block {number}",
                "shorten the blocks with --seconds, or correct the table",
            )
    return ordered


def choose_kinds(blocks: Sequence[Block], kinds: Sequence[str] = ()) -> tuple[str, str]:
    """Return the two kinds of these blocks: as given, or in the order of their names.

    Raises
    ------
    CalibrationError
        If there are not exactly two.
    """
    there = sorted({block.kind for block in blocks})
    chosen = list(dict.fromkeys(kinds)) or there
    if len(chosen) != 2 or not set(chosen) <= set(there):
        raise CalibrationError(
            f"blocks of two kinds{': ' + ', '.join(kinds) if kinds else ''}",
            ", ".join(there) or "none",
            "name two of them",
        )
    return chosen[0], chosen[1]


def find_doubtful(blocks: Sequence[Block], second: str) -> NDArray[np.bool_]:
    """Mark the blocks in which the person did not feel what the block was for.

    The middle lies between the medians of the two kinds' ratings, so that one block that is rated
    the wrong way does not move it. A block is doubtful unless its rating lies at least ``MARGIN``
    on its kind's side. Blocks without a rating are not doubtful.

    Parameters
    ----------
    blocks
        Blocks of two kinds.
    second
        Name of one of the kinds.

    Returns
    -------
    (B,) True for each doubtful block.
    """
    medians = rating_medians(blocks, second)
    if medians is None:
        return np.zeros(len(blocks), np.bool_)
    first_median, second_median = medians
    middle = (first_median + second_median) / 2
    up = 1 if second_median >= first_median else -1
    marks = [
        block.rating is not None
        and up * (block.rating - middle) * (1 if block.kind == second else -1) < MARGIN
        for block in blocks
    ]
    return np.array(marks, np.bool_)


def rating_medians(blocks: Sequence[Block], second: str) -> tuple[float, float] | None:
    """Return the median rating of the first and second kind; None if one kind has no ratings."""
    rated = [block for block in blocks if block.rating is not None]
    first = [block.rating for block in rated if block.kind != second]
    other = [block.rating for block in rated if block.kind == second]
    if not first or not other:
        return None
    return float(np.median(np.array(first, float))), float(np.median(np.array(other, float)))
