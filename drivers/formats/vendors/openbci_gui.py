"""Reader of the OpenBCI GUI's text files, in all their layouts.

Lines that begin with ``%`` give the rate, from version 4.1 on the number of channels, and from
version 5 on the board. The rows that follow have the packet number first, then the EEG in µV. The
other columns depend on the version:

1           accelerometer
2 to 4.0.1  accelerometer, time of day
4.1, 4.2    accelerometer, time of day, UNIX time
5           accelerometer, other, UNIX time, time of day; the first row may be all zeros
6           the same with a row of names, and a marker

UNIX time is in milliseconds or seconds. A computer may have written decimal commas: cells are then
separated by a comma and a space. Electrodes have no names, so channels are numbered. DC offsets of
tens of mV are kept: they are within the converter's range, and a filter removes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.brainflow.boards import BOARD_FACTS, BoardFacts
from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.row_times import numbered_timeline
from mimamba.drivers.formats.vendors.text_rows import (
    DECIMAL_COMMA,
    MAX_MALFORMED,
    read_table,
    whole_lines,
    with_commas,
)

MAGIC = b"%OpenBCI Raw E"
MILLISECONDS = 1e11
"""Times beyond it are in ms, others in s."""
MIN_SFREQ, MAX_SFREQ = 50.0, 20_000.0
"""Range of these boards' rates, Hz; with an SD card or WiFi up to 16 kHz."""
MAX_CHANNELS = 64
BOARD_CHANNELS = (4, 8, 16)
"""Channels of a Ganglion, a Cyton, and a Cyton with Daisy."""
ACCELEROMETER = 3
"""Cells of the accelerometer, or of the board's other inputs."""
MAX_AUX, OLD_MAX_AUX = 16, 8
"""Most cells between the channels and the times, from version 5 on and before."""
FIRST_UNIX, LAST_UNIX = 1e9, 4.1e9
"""UNIX times from 2001 to 2099, s."""
DAY = 86_400.0
TIME_OF_DAY = re.compile(r"(?:\d{4}-\d\d-\d\d[ T])?(\d{1,2}):(\d\d):(\d\d)(?:[.:,](\d{1,6}))?")
DECIMAL_NUMBER = re.compile(r"-?\d+,\d+")
LAYOUT_ROWS = 5
"""Rows from which the layout is found: the first may be zeros."""
CYTON, GANGLION, DAISY = 0, 1, 2


@dataclass(frozen=True)
class _RowLayout:
    """The columns of a row; ``stamp`` is None without a time, and ``is_unix`` tells its kind."""

    n_columns: int
    eeg: range
    stamp: int | None
    is_unix: bool
    marker: int | None


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(MAGIC)


def read(
    path: Path, choice: ChannelChoice, stream: str | None, sfreq: float | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "OpenBCI's text")
    notices: list[str] = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = whole_lines(file, notices)
        facts, names, lines = _header(lines)
        declared = sfreq or _rate(facts, path)
        first = list(islice(lines, LAYOUT_ROWS))
        lines = _with_decimal_points(chain(first, lines), first, notices)
        first = list(islice(lines, LAYOUT_ROWS))
        most_aux = MAX_AUX if "board" in facts else OLD_MAX_AUX
        layout = _layout(names, first, _n_channels(facts, path), most_aux, path)
        n_channels = len(layout.eeg)
        picks = choice.select([str(n) for n in range(1, n_channels + 1)])
        eeg = [layout.eeg[row] for row in picks.rows]
        columns = [0, layout.stamp or 0, *eeg, *([layout.marker] if layout.marker else [])]
        lines = chain(first, lines)
        if layout.stamp is not None and not layout.is_unix:
            lines = _with_seconds(lines, layout)
        table = read_table(lines, columns, layout.n_columns, ",", path, notices)
    table = _without_placeholder(table, notices)
    _check_numbers(table[:, 0], path)
    board = _board(facts.get("board", ""), n_channels)
    stamps = None if layout.stamp is None else _seconds(table[:, 1], layout)
    timeline = numbered_timeline(
        table[:, 0], stamps, declared, sfreq, board.numbering, f"{path}", notices
    )
    timestamps, index = timeline.timestamps, timeline.index
    table = table[timeline.samples]
    data = table[:, 2 : 2 + len(eeg)]
    marks = table[:, -1] if layout.marker else np.zeros(len(table))
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=timeline.sfreq,
        ch_names=picks.names,
        uv_per_bit=board.uv_per_bit,
        range_uv=board.range_uv,
        live=False,
        notices=tuple(notices),
    )
    markers = [
        Marker(float(timestamps[row]), int(index[row]), f"{marks[row]:g}", "Marker Channel")
        for row in np.flatnonzero(np.nan_to_num(marks))
    ]
    return make_recording(info, data, timestamps, index, markers)


def _header(lines: Iterator[str]) -> tuple[dict[str, str], list[str], Iterator[str]]:
    """Parse the ``%`` lines; return their facts, the columns' names if any, and the rows."""
    facts: dict[str, str] = {}
    for line in lines:
        if line.startswith("%"):
            name, _, value = line[1:].partition("=")
            facts[name.strip().lower()] = value.strip()
        elif line.lstrip().startswith("Sample Index"):
            return facts, [name.strip() for name in line.split(",")], lines
        else:
            return facts, [], chain([line], lines)
    return facts, [], lines


def _rate(facts: dict[str, str], path: Path) -> float:
    """Parse the rate, ``250 Hz``, ``250.0 Hz`` or ``250,0 Hz``."""
    text = facts.get("sample rate", "").replace(",", ".")
    found = re.match(r"\d{1,5}(\.\d+)?", text)
    rate = float(found[0]) if found else 0.0
    if not MIN_SFREQ <= rate <= MAX_SFREQ:
        raise BadRecording(
            f"a sample rate in the header of {path}", text or "none", "give it with sfreq="
        )
    return rate


def _n_channels(facts: dict[str, str], path: Path) -> int | None:
    """Parse the number of channels; None in a header of a version before 4.1."""
    text = facts.get("number of channels")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,3}", text) or not 1 <= int(text) <= MAX_CHANNELS:
        raise BadRecording(
            f"the number of channels in the header of {path}", text or "none", "correct it there"
        )
    return int(text)


def _with_decimal_points(
    lines: Iterator[str], first: list[str], notices: list[str]
) -> Iterator[str]:
    """Replace decimal commas, if cells are separated by a comma and a space, or by semicolons."""
    if first and all(";" in line for line in first):
        return with_commas(lines)
    if sum(map(_has_decimal_commas, first)) <= len(first) / 2:
        return lines
    notices.append("Numbers have decimal commas; they are read as decimal points.")
    return (DECIMAL_COMMA.sub(".", line) for line in lines)


def _has_decimal_commas(line: str) -> bool:
    """Return True if a third of the cells between a comma and a space are such numbers."""
    cells = line.strip().split(", ")
    return sum(DECIMAL_NUMBER.fullmatch(cell) is not None for cell in cells) >= len(cells) / 3


def _layout(
    names: list[str], first: list[str], n_channels: int | None, most_aux: int, path: Path
) -> _RowLayout:
    """Find the columns by their names, else by the times at the rows' ends.

    Raises
    ------
    BadRecording
        If the header's number of channels, its names and the rows' cells do not agree.
    """
    if "Timestamp" in names:
        exg = [column for column, name in enumerate(names) if name.startswith("EXG")]
        eeg = range(1, 1 + (len(exg) if n_channels is None else n_channels))
        if exg != list(eeg) or not exg:
            raise BadRecording(
                f"{len(eeg)} EXG columns", f"{len(exg)} in {path}", "repair the file"
            )
        marker = names.index("Marker Channel") if "Marker Channel" in names else None
        return _RowLayout(len(names), eeg, names.index("Timestamp"), True, marker)
    rows = [[cell.strip() for cell in line.split(",")] for line in first]
    if not rows:
        raise BadRecording("rows of samples", f"none in {path}", "record again")
    row = rows[-1]  # the first may be zeros
    n_times = sum(_is_time(cell) or _is_unix(cell) for cell in row[-2:])
    n_other = len(row) - 1 - n_times
    fitting = n_other - ACCELEROMETER
    if n_channels is None and fitting not in BOARD_CHANNELS:
        raise BadRecording(
            f"rows of a packet number, 4, 8 or 16 channels, the accelerometer and times in {path}",
            f"{len(row)} cells in row {len(rows)}",
            "add a line %Number of channels = N to its header",
        )
    n_channels = n_channels or fitting
    if fitting != n_channels and (
        fitting in BOARD_CHANNELS or not 0 <= n_other - n_channels <= most_aux
    ):
        raise BadRecording(
            f"rows of {n_channels} channels, as the header of {path} declares",
            f"{len(row)} cells in row {len(rows)}: {max(0, fitting)} channels, the accelerometer "
            f"and {n_times} times",
            "correct the number of channels in its header",
        )
    eeg = range(1, 1 + n_channels)
    unix = next((n for n in (-1, -2) if _is_unix(row[n])), None)
    timed = next((n for n in (-1, -2) if _is_time(row[n])), None)
    stamp = unix if unix is not None else timed
    column = None if stamp is None else len(row) + stamp
    return _RowLayout(len(row), eeg, column, unix is not None, None)


def _is_time(cell: str) -> bool:
    return TIME_OF_DAY.fullmatch(cell) is not None


def _is_unix(cell: str) -> bool:
    """Return True for a UNIX time from 2001 to 2099, in seconds or milliseconds."""
    try:
        time = float(cell)
    except ValueError:
        return False
    return any(FIRST_UNIX <= time / unit <= LAST_UNIX for unit in (1.0, 1e3))


def _with_seconds(lines: Iterable[str], layout: _RowLayout) -> Iterator[str]:
    """Replace times of day by their seconds."""
    for line in lines:
        cells = line.rstrip("\n").split(",")
        found = None
        if len(cells) == layout.n_columns and layout.stamp is not None:
            found = TIME_OF_DAY.fullmatch(cells[layout.stamp].strip())
        if found is None or layout.stamp is None:
            yield line
            continue
        hour, minute, second = int(found[1]), int(found[2]), float(f"{found[3]}.{found[4] or 0}")
        cells[layout.stamp] = f"{3600 * hour + 60 * minute + second:.6f}"
        yield ",".join(cells)


def _seconds(stamps: Seconds, layout: _RowLayout) -> Seconds | None:
    """Convert the column of stamps to seconds; None if it has no plausible times."""
    if layout.is_unix:
        stamps = np.where(stamps > MILLISECONDS, stamps / 1e3, stamps)
    known = stamps[np.isfinite(stamps)]
    if len(known) < 2 or known.min() == known.max():
        return None
    if layout.is_unix:
        return None if np.median(known) < FIRST_UNIX else stamps
    steps = np.diff(np.where(np.isfinite(stamps), stamps, known[0]), prepend=stamps[0])
    return stamps + DAY * np.cumsum(steps < -DAY / 2)  # past midnight


def _without_placeholder(table: np.ndarray, notices: list[str]) -> np.ndarray:
    """Remove the row of zeros that version 5 may write before the first sample."""
    if len(table) > 1 and not table[0].any():
        notices.append("The first row is all zeros, even its time: left out.")
        return table[1:]
    return table


def _check_numbers(numbers: NDArray[np.float64], path: Path) -> None:
    """Raise BadRecording if the first column has no packet numbers."""
    known = np.isfinite(numbers)
    wrong = np.flatnonzero(known & ((numbers < 0) | (np.floor(numbers) != numbers)))
    if len(wrong) > MAX_MALFORMED * len(numbers):
        raise BadRecording(
            f"a packet number at the start of each row in {path}",
            f"{numbers[wrong[0]]:g} in row {wrong[0] + 1}",
            "restore the order of the columns",
        )


def _board(name: str, n_channels: int) -> BoardFacts:
    """Return the facts about the board; older files do not name it."""
    if "Ganglion" in name or (not name and n_channels == 4):
        return BOARD_FACTS[GANGLION]
    if n_channels == 16:
        return BOARD_FACTS[DAISY]
    if "Cyton" in name or (not name and n_channels == 8):
        return BOARD_FACTS[CYTON]
    return BoardFacts()
