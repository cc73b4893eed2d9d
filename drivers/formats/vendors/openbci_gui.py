"""Reader of the OpenBCI GUI's text files, in their three layouts.

Lines that begin with ``%`` give the number of channels, the rate and, from version 5 on, the board.
The rows that follow have the packet number first, then the EEG in µV. The other columns depend on
the version:

before 5    accelerometer, time of day, UNIX time
5           accelerometer, other, UNIX time, time of day; the first row may be all zeros
6           the same with a row of names, and a marker

UNIX time is in milliseconds or seconds. Electrodes have no names, so channels are numbered. DC
offsets of tens of mV are kept: they are within the converter's range, and a filter removes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from mimamba.drivers.brainflow.boards import BOARD_FACTS, BoardFacts
from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.text_rows import read_table, whole_lines
from mimamba.drivers.timing.file_timeline import timeline_from_counter, timeline_from_stamps

MAGIC = b"%OpenBCI Raw E"
MILLISECONDS = 1e11
"""Times beyond it are in ms, others in s."""
MIN_SFREQ, MAX_SFREQ = 50.0, 20_000.0
"""Range of these boards' rates, Hz; with an SD card or WiFi up to 16 kHz."""
MAX_CHANNELS = 64
LAYOUT_ROWS = 5
"""Rows from which the layout is found: the first may be zeros."""
CYTON, GANGLION, DAISY = 0, 1, 2


@dataclass(frozen=True)
class _RowLayout:
    """The columns of a row."""

    n_columns: int
    eeg: range
    stamp: int
    marker: int | None


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "OpenBCI's text")
    notices: list[str] = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = whole_lines(file, notices)
        facts, names, lines = _header(lines)
        sfreq, n_channels = _rate(facts, path), _n_channels(facts, path)
        first = list(islice(lines, LAYOUT_ROWS))
        layout = _layout(names, first, n_channels, path)
        picks = choice.select([str(n) for n in range(1, n_channels + 1)])
        eeg = [layout.eeg[row] for row in picks.rows]
        columns = [0, layout.stamp, *eeg, *([layout.marker] if layout.marker else [])]
        table = read_table(chain(first, lines), columns, layout.n_columns, ",", path, notices)
    table = _without_placeholder(table, notices)
    stamps, data = table[:, 1], table[:, 2 : 2 + len(eeg)]
    stamps = np.where(stamps > MILLISECONDS, stamps / 1e3, stamps)
    board = _board(facts.get("board", ""), n_channels)
    found = (
        timeline_from_counter(table[:, 0], stamps, sfreq, board.numbering)
        if board.numbering
        else None
    )
    if found is None:
        timestamps, index = timeline_from_stamps(stamps, sfreq)
    else:
        timestamps, index, samples = found
        table, data = table[samples], data[samples]
    marks = table[:, -1] if layout.marker else np.zeros(len(table))
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
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
    """Parse the rate, ``250 Hz`` or ``250.0 Hz``."""
    found = re.match(r"\d{1,5}(\.\d+)?", facts.get("sample rate", ""))
    rate = float(found[0]) if found else 0.0
    if not MIN_SFREQ <= rate <= MAX_SFREQ:
        raise BadRecording(
            f"a sample rate in the header of {path}",
            facts.get("sample rate", "none"),
            "add it to the header",
        )
    return rate


def _n_channels(facts: dict[str, str], path: Path) -> int:
    text = facts.get("number of channels", "")
    if not re.fullmatch(r"\d{1,3}", text) or not 1 <= int(text) <= MAX_CHANNELS:
        raise BadRecording(
            f"the number of channels in the header of {path}",
            text or "none",
            "add it to the header",
        )
    return int(text)


def _layout(names: list[str], first: list[str], n_channels: int, path: Path) -> _RowLayout:
    """Find the columns by their names, else by the time of day, which has colons."""
    eeg = range(1, 1 + n_channels)
    if "Timestamp" in names:
        exg = [column for column, name in enumerate(names) if name.startswith("EXG")]
        if exg != list(eeg):
            raise BadRecording(
                f"{n_channels} EXG columns", f"{len(exg)} in {path}", "repair the file"
            )
        marker = names.index("Marker Channel") if "Marker Channel" in names else None
        return _RowLayout(len(names), eeg, names.index("Timestamp"), marker)
    rows = [line.split(",") for line in first]
    timed = [row for row in rows if len(row) > n_channels + 2 and ":" in row[-1] + row[-2]]
    if not timed:
        raise BadRecording(
            f"rows of a packet number, {n_channels} channels and times",
            f"none in the first {len(rows)} of {path}",
            "record again",
        )
    row = timed[-1]
    return _RowLayout(len(row), eeg, len(row) - (2 if ":" in row[-1] else 1), None)


def _without_placeholder(table: np.ndarray, notices: list[str]) -> np.ndarray:
    """Remove the row of zeros that version 5 may write before the first sample."""
    if len(table) > 1 and not table[0].any():
        notices.append("The first row is all zeros, even its time: left out.")
        return table[1:]
    return table


def _board(name: str, n_channels: int) -> BoardFacts:
    """Return the facts about the board; older files do not name it."""
    if "Ganglion" in name or (not name and n_channels == 4):
        return BOARD_FACTS[GANGLION]
    if n_channels == 16:
        return BOARD_FACTS[DAISY]
    if "Cyton" in name or (not name and n_channels == 8):
        return BOARD_FACTS[CYTON]
    return BoardFacts()
