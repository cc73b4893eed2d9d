"""CSV as BrainFlow writes it (``DataFilter.write_file``, ``file://`` streamers).

A row per sample, cells parted by tabs, no header: what a column is, only the board tells, and the
file does not tell the board. It is found among BrainFlow's descriptions: the number of columns must
fit, the stamps must be UNIX times that grow, and the rate must be theirs. ``board=`` decides where
several boards remain that would be read differently. EEG is in µV, stamps in seconds, a marker is
any number but 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mimamba.drivers.brainflow.boards import (
    FACTS,
    SYNTHETIC,
    Board,
    BoardFacts,
    describe_board,
    find_board,
    known_boards,
)
from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.formats.recording import Recording, complete, refuse_stream
from mimamba.drivers.formats.vendors.text_rows import Table, read_table, whole_lines
from mimamba.drivers.timing.file_timeline import counted, rate_of, timeline

FEWEST_COLUMNS = 5
FIRST_UNIX, LAST_UNIX = 1e9, 4.1e9
"""Stamps from 2001 to 2099, s."""
RATE_OFF = 0.05
"""Stamps may give another rate than the board's by this share."""
RATE_SECONDS = 10.0
"""The rate is the median over stretches of this length, which losses and Bluetooth's jitter of some
50 ms hardly move: 250 and 256 Hz are told apart."""
ORDERED = 0.95
"""Share of stamps that do not step back."""


@dataclass(frozen=True)
class _Layout:
    """What matters of a board's description for reading a file of it."""

    eeg: tuple[int, ...]
    names: tuple[str, ...]
    sfreq: float
    stamp: int
    marker: int | None
    packet: int | None


@dataclass(frozen=True)
class _Candidate:
    board: Board
    layout: _Layout

    @property
    def facts(self) -> BoardFacts:
        return FACTS.get(self.board.number, BoardFacts())


def recognises(head: bytes) -> bool:
    """Whether a file's first line is numbers parted by tabs."""
    line, end, _ = head.partition(b"\n")
    cells = line.split(b"\t")
    if len(cells) < FEWEST_COLUMNS or not (end or len(head) > 1000):
        return False
    try:
        numbers = [float(cell) for cell in cells[: None if end else -1]]
    except ValueError:
        return False
    return all(map(np.isfinite, numbers))


def read(
    path: Path, choice: ChannelChoice, stream: str | None, board: str | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    refuse_stream(stream, "BrainFlow's CSV")
    notices: list[str] = []
    table = _table(path, notices)
    found = _candidate(table, board, path)
    layout = found.layout
    picks = _pick(layout, choice, found.board, notices)
    stamps = table[:, layout.stamp]
    numbering = found.facts.numbering
    placed = None
    if numbering is not None and layout.packet is not None:
        placed = counted(table[:, layout.packet], stamps, layout.sfreq, numbering)
    if placed is None:
        timestamps, index = timeline(stamps, layout.sfreq)
    else:
        timestamps, index, samples = placed
        table = table[samples]
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=layout.sfreq,
        ch_names=picks.names,
        uv_per_bit=found.facts.uv_per_bit,
        range_uv=found.facts.range_uv,
        live=False,
        simulated=found.board.number == SYNTHETIC,
        notices=tuple(notices),
    )
    marks = np.zeros(len(table)) if layout.marker is None else table[:, layout.marker]
    markers = [
        Marker(float(timestamps[row]), int(index[row]), f"{marks[row]:g}", "BrainFlow")
        for row in np.flatnonzero(np.nan_to_num(marks))
    ]
    data = table[:, [layout.eeg[row] for row in picks.rows]]
    return complete(info, data, timestamps, index, markers)


def _table(path: Path, notices: list[str]) -> Table:
    with path.open(encoding="latin-1") as file:
        lines = whole_lines(file, notices)
        first = next(lines, "")
        n_columns = first.count("\t") + 1
        rows = _and(first, lines) if first else lines
        return read_table(rows, range(n_columns), n_columns, "\t", path, notices)


def _and(first: str, lines: Iterable[str]) -> Iterable[str]:
    yield first
    yield from lines


def _candidate(table: Table, board: str | None, path: Path) -> _Candidate:
    """The board; several that are read alike count as one."""
    if board is not None:
        return _named(table, board, path)
    fitting = _fitting(table)
    if not fitting:
        raise BadRecording(
            f"a board of BrainFlow with {table.shape[1]} columns, UNIX times and its rate",
            f"none that fits {path}",
            "name it with board=",
        )
    if any(each.layout != fitting[0].layout for each in fitting):
        names = ", ".join(each.board.name for each in fitting)
        raise BadRecording(
            f"the board that wrote {path}", f"several that fit: {names}", "name it with board="
        )
    return next((each for each in fitting if each.facts.numbering), fitting[0])


def _named(table: Table, board: str, path: Path) -> _Candidate:
    """The board asked for; raises BadRecording if it has other columns."""
    try:
        number = find_board(board).number
    except BadSource as error:
        raise BadRecording(error.expected, error.found, "name it with board=") from error
    for candidate in _candidates(table.shape[1]):
        if candidate.board.number == number:
            return candidate
    raise BadRecording(
        f"the columns of board {board}", f"{table.shape[1]} columns in {path}", "correct board="
    )


def _candidates(n_columns: int) -> list[_Candidate]:
    """The boards whose rows are that many, by number."""
    found = []
    for board in known_boards():
        try:
            described = describe_board(board.number)
        except BadSource:  # no EEG
            continue
        if described["num_rows"] == n_columns:
            found.append(_Candidate(board, _layout(described)))
    return found


def _layout(described: dict[str, Any]) -> _Layout:
    eeg = tuple(described["eeg_channels"])
    names = tuple(filter(None, described.get("eeg_names", "").split(",")))
    if len(names) != len(eeg):
        names = tuple(str(n) for n in range(1, len(eeg) + 1))
    return _Layout(
        eeg,
        names,
        float(described["sampling_rate"]),
        described["timestamp_channel"],
        described.get("marker_channel"),
        described.get("package_num_channel"),
    )


def _fitting(table: Table) -> list[_Candidate]:
    """The boards whose stamps' column holds growing UNIX times, and whose rate is nearest."""
    off = {}
    candidates = _candidates(table.shape[1])
    for number, candidate in enumerate(candidates):
        rate = _rate(table[:, candidate.layout.stamp], candidate.layout.sfreq)
        if rate is not None:
            off[number] = abs(rate / candidate.layout.sfreq - 1)
    nearest = min(off.values(), default=1.0)
    return [candidates[n] for n in off if off[n] <= min(nearest + 1e-3, RATE_OFF)]


def _rate(stamps: Seconds, sfreq: float) -> float | None:
    """The rate of growing UNIX times, Hz; None if they are none."""
    known = stamps[np.isfinite(stamps)]
    unix = (known > FIRST_UNIX) & (known < LAST_UNIX)
    if len(known) < 2 or unix.mean() < ORDERED or (np.diff(known) >= 0).mean() < ORDERED:
        return None
    return rate_of(known, round(RATE_SECONDS * sfreq))


def _pick(
    layout: _Layout, choice: ChannelChoice, board: Board, notices: list[str]
) -> ChannelSelection:
    picks = choice.pick(layout.names)
    notices.append(f"The columns are read as those of BrainFlow's board {board.name}.")
    return picks
