"""Reader of BrainFlow's CSV (``DataFilter.write_file``, ``file://`` streamers).

One row per sample, cells separated by tabs (by commas in old versions), no header. Programs that
write the same columns may add a header, or use semicolons. The columns depend on the board, which
the file does not name. It is found among BrainFlow's descriptions: the number of columns must
match, the stamps must be growing UNIX times, and their rate must be the board's. ``board=`` decides
if several boards with different columns match. EEG is in µV, stamps are in seconds, a marker is any
number except 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from mimamba.drivers.brainflow.boards import (
    BOARD_FACTS,
    SYNTHETIC,
    BoardFacts,
    BrainFlowBoard,
    describe_board,
    find_board,
    known_boards,
)
from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.row_times import numbered_timeline
from mimamba.drivers.formats.vendors.text_rows import (
    Table,
    find_delimiter,
    read_table,
    whole_lines,
    with_commas,
)
from mimamba.drivers.timing.file_timeline import median_rate

MIN_COLUMNS = 5
MAX_LINE = 1000
"""Length, bytes, up to which a row without a line end counts as cut off."""
FIRST_UNIX, LAST_UNIX = 1e9, 4.1e9
"""Stamps from 2001 to 2099, s."""
RATE_TOLERANCE = 0.05
"""Largest relative difference between the rate of the stamps and the board's."""
RATE_SECONDS = 10.0
"""Length over which the rate is measured, s: losses and Bluetooth's jitter of about 50 ms hardly
change it, so that 250 and 256 Hz can be distinguished."""
MIN_ORDERED = 0.95
"""Share of stamps that must not step back."""


@dataclass(frozen=True)
class _BoardColumns:
    """The columns of a board's file, and its rate, Hz."""

    eeg: tuple[int, ...]
    names: tuple[str, ...]
    sfreq: float
    stamp: int
    marker: int | None
    packet: int | None


@dataclass(frozen=True)
class _BoardMatch:
    """A board that matches a file."""

    board: BrainFlowBoard
    columns: _BoardColumns

    @property
    def facts(self) -> BoardFacts:
        return BOARD_FACTS.get(self.board.number, BoardFacts())


def recognises(head: bytes) -> bool:
    """Return True if a file starts with a line of numbers, or with such a header and one."""
    text = head.decode("latin-1").removeprefix("\xef\xbb\xbf")
    *lines, rest = text.split("\n")
    if not lines and len(head) > MAX_LINE:  # a long row: all its cells but the last are whole
        lines = [rest.rpartition(find_delimiter(rest))[0]]
    if lines and _is_header(lines[0]):
        del lines[0]
    return bool(lines) and _is_row(lines[0])


def _is_row(line: str) -> bool:
    """Return True if a line is finite numbers."""
    if find_delimiter(line) == ";":
        (line,) = with_commas([line])
    cells = line.split(find_delimiter(line))
    try:
        return len(cells) >= MIN_COLUMNS and all(map(isfinite, map(float, cells)))
    except ValueError:
        return False


def _is_header(line: str) -> bool:
    """Return True if a line names columns: a stamp among them, or the columns' numbers."""
    cells = [cell.strip(' "\r\n').lower() for cell in line.split(find_delimiter(line))]
    if len(cells) < MIN_COLUMNS or line.startswith(("timestamps", "TimeStamp", "#", "%")):
        return False
    return cells == list(map(str, range(len(cells)))) or any("timestamp" in cell for cell in cells)


def read(
    path: Path,
    choice: ChannelChoice,
    stream: str | None,
    board: str | None = None,
    sfreq: float | None = None,
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "BrainFlow's CSV")
    notices: list[str] = []
    table = _read_file(path, notices)
    found = _match_board(table, board, path)
    columns = found.columns
    picks = _pick(columns, choice, found.board, notices)
    timeline = numbered_timeline(
        table[:, 0 if columns.packet is None else columns.packet],
        table[:, columns.stamp],
        columns.sfreq,
        sfreq,
        None if columns.packet is None else found.facts.numbering,
        f"{path}",
        notices,
    )
    timestamps, index, table = timeline.timestamps, timeline.index, table[timeline.samples]
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=timeline.sfreq,
        ch_names=picks.names,
        uv_per_bit=found.facts.uv_per_bit,
        range_uv=found.facts.range_uv,
        live=False,
        simulated=found.board.number == SYNTHETIC,
        notices=tuple(notices),
    )
    marks = np.zeros(len(table)) if columns.marker is None else table[:, columns.marker]
    markers = [
        Marker(float(timestamps[row]), int(index[row]), f"{marks[row]:g}", "BrainFlow")
        for row in np.flatnonzero(np.nan_to_num(marks))
    ]
    data = table[:, [columns.eeg[row] for row in picks.rows]]
    return make_recording(info, data, timestamps, index, markers)


def _read_file(path: Path, notices: list[str]) -> Table:
    with path.open(encoding="latin-1") as file:
        lines = whole_lines(file, notices)
        first = next(lines, "").removeprefix("\xef\xbb\xbf")
        if _is_header(first):
            first = next(lines, "")
        rows: Iterator[str] = chain([first], lines) if first else lines
        delimiter = find_delimiter(first)
        if delimiter == ";":
            rows, delimiter = with_commas(rows), ","
        n_columns = first.count(";" if ";" in first else delimiter) + 1
        return read_table(rows, range(n_columns), n_columns, delimiter, path, notices)


def _match_board(table: Table, board: str | None, path: Path) -> _BoardMatch:
    """Find the board; several with the same columns count as one."""
    if board is not None:
        return _board_by_name(table, board, path)
    fitting = _matching_boards(table)
    if not fitting:
        raise BadRecording(
            f"a board of BrainFlow with {table.shape[1]} columns, UNIX times and its rate",
            f"none that matches {path}",
            "name the board with board=",
        )
    if any(each.columns != fitting[0].columns for each in fitting):
        names = ", ".join(each.board.name for each in fitting)
        raise BadRecording(
            f"the board that wrote {path}", f"several that match: {names}", "name it with board="
        )
    return next((each for each in fitting if each.facts.numbering), fitting[0])


def _board_by_name(table: Table, board: str, path: Path) -> _BoardMatch:
    """Find the board asked for; raises BadRecording if it has other columns."""
    try:
        number = find_board(board).number
    except BadSource as error:
        raise BadRecording(error.expected, error.found, "correct board=") from error
    for candidate in _boards_with(table.shape[1]):
        if candidate.board.number == number:
            return candidate
    raise BadRecording(
        f"the columns of board {board}", f"{table.shape[1]} columns in {path}", "correct board="
    )


def _boards_with(n_columns: int) -> list[_BoardMatch]:
    """List the boards with this number of columns, by the board's number."""
    found = []
    for board in known_boards():
        try:
            described = describe_board(board.number)
        except BadSource:  # no EEG
            continue
        if described["num_rows"] == n_columns:
            found.append(_BoardMatch(board, _board_columns(described)))
    return found


def _board_columns(described: dict[str, Any]) -> _BoardColumns:
    eeg = tuple(described["eeg_channels"])
    names = tuple(filter(None, described.get("eeg_names", "").split(",")))
    if len(names) != len(eeg):
        names = tuple(str(n) for n in range(1, len(eeg) + 1))
    return _BoardColumns(
        eeg,
        names,
        float(described["sampling_rate"]),
        described["timestamp_channel"],
        described.get("marker_channel"),
        described.get("package_num_channel"),
    )


def _matching_boards(table: Table) -> list[_BoardMatch]:
    """List the boards whose stamps are growing UNIX times, and whose rate is nearest."""
    off = {}
    candidates = _boards_with(table.shape[1])
    for number, candidate in enumerate(candidates):
        rate = _rate(table[:, candidate.columns.stamp], candidate.columns.sfreq)
        if rate is not None:
            off[number] = abs(rate / candidate.columns.sfreq - 1)
    nearest = min(off.values(), default=1.0)
    return [candidates[n] for n in off if off[n] <= min(nearest + 1e-3, RATE_TOLERANCE)]


def _rate(stamps: Seconds, sfreq: float) -> float | None:
    """Measure the rate of growing UNIX times, Hz; None if they are not such times."""
    known = stamps[np.isfinite(stamps)]
    unix = (known > FIRST_UNIX) & (known < LAST_UNIX)
    if len(known) < 2 or unix.mean() < MIN_ORDERED or (np.diff(known) >= 0).mean() < MIN_ORDERED:
        return None
    return median_rate(known, round(RATE_SECONDS * sfreq))


def _pick(
    columns: _BoardColumns, choice: ChannelChoice, board: BrainFlowBoard, notices: list[str]
) -> ChannelSelection:
    picks = choice.select(columns.names)
    notices.append(f"The columns are read as those of BrainFlow's board {board.name}.")
    return picks
