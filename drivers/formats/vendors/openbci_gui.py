"""Text as the OpenBCI GUI records it, in its three layouts.

Lines that begin with ``%`` tell the number of channels, the rate and, from version 5 on, the
board; then rows of cells in µV. The packet number comes first, then the EEG. What follows them
depends on the version:

before 5    accelerometer, time of day, UNIX time
5           accelerometer, other, UNIX time, time of day; the first row may be all zeros
6           the same with a row of names, and a marker

UNIX time is in milliseconds or seconds. Electrodes are not named, so channels are numbered. DC
offsets of tens of mV are kept: they are within the converter's range, and the filter takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from mimamba.drivers.brainflow.boards import FACTS, BoardFacts
from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, complete, refuse_stream
from mimamba.drivers.formats.vendors.text_rows import read_table, whole_lines
from mimamba.drivers.timing.file_timeline import counted, timeline

MAGIC = b"%OpenBCI Raw E"
MILLISECONDS = 1e11
"""UNIX times beyond it are in ms."""
SLOWEST, FASTEST = 50.0, 20_000.0
"""Rates of these boards, Hz; with an SD card or WiFi up to 16 kHz."""
MOST_CHANNELS = 64
LOOK = 5
"""Rows by which the layout is found: the first may be zeros."""
CYTON, GANGLION, DAISY = 0, 1, 2


@dataclass(frozen=True)
class _Layout:
    """Where things are in a row."""

    n_columns: int
    eeg: range
    stamp: int
    marker: int | None


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's header."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    refuse_stream(stream, "OpenBCI's text")
    notices: list[str] = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = whole_lines(file, notices)
        facts, names, lines = _header(lines)
        sfreq, n_channels = _rate(facts, path), _n_channels(facts, path)
        first = list(islice(lines, LOOK))
        layout = _layout(names, first, n_channels, path)
        picks = choice.pick([str(n) for n in range(1, n_channels + 1)])
        eeg = [layout.eeg[row] for row in picks.rows]
        columns = [0, layout.stamp, *eeg, *([layout.marker] if layout.marker else [])]
        table = read_table(chain(first, lines), columns, layout.n_columns, ",", path, notices)
    table = _without_placeholder(table, notices)
    stamps, data = table[:, 1], table[:, 2 : 2 + len(eeg)]
    stamps = np.where(stamps > MILLISECONDS, stamps / 1e3, stamps)
    board = _board(facts.get("board", ""), n_channels)
    found = counted(table[:, 0], stamps, sfreq, board.numbering) if board.numbering else None
    if found is None:
        timestamps, index = timeline(stamps, sfreq)
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
    return complete(info, data, timestamps, index, markers)


def _header(lines: Iterator[str]) -> tuple[dict[str, str], list[str], Iterator[str]]:
    """What the ``%`` lines say, the columns' names where there are any, and the rows."""
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
    """``250 Hz`` or ``250.0 Hz``."""
    found = re.match(r"\d{1,5}(\.\d+)?", facts.get("sample rate", ""))
    rate = float(found[0]) if found else 0.0
    if not SLOWEST <= rate <= FASTEST:
        raise BadRecording(
            f"a sample rate in the header of {path}", facts.get("sample rate", "none"), "add it"
        )
    return rate


def _n_channels(facts: dict[str, str], path: Path) -> int:
    text = facts.get("number of channels", "")
    if not re.fullmatch(r"\d{1,3}", text) or not 1 <= int(text) <= MOST_CHANNELS:
        raise BadRecording(
            f"the number of channels in the header of {path}", text or "none", "add it"
        )
    return int(text)


def _layout(names: list[str], first: list[str], n_channels: int, path: Path) -> _Layout:
    """By the columns' names, else by the place of the time of day, which has colons."""
    eeg = range(1, 1 + n_channels)
    if "Timestamp" in names:
        exg = [column for column, name in enumerate(names) if name.startswith("EXG")]
        if exg != list(eeg):
            raise BadRecording(f"{n_channels} EXG columns", f"{len(exg)} in {path}", "repair it")
        marker = names.index("Marker Channel") if "Marker Channel" in names else None
        return _Layout(len(names), eeg, names.index("Timestamp"), marker)
    rows = [line.split(",") for line in first]
    timed = [row for row in rows if len(row) > n_channels + 2 and ":" in row[-1] + row[-2]]
    if not timed:
        raise BadRecording(
            f"rows of a packet number, {n_channels} channels and times",
            f"none in the first {len(rows)} of {path}",
            "record again",
        )
    row = timed[-1]
    return _Layout(len(row), eeg, len(row) - (2 if ":" in row[-1] else 1), None)


def _without_placeholder(table: np.ndarray, notices: list[str]) -> np.ndarray:
    """Version 5 may write a row of zeros before the first sample."""
    if len(table) > 1 and not table[0].any():
        notices.append("The first row is all zeros, its time too: left out.")
        return table[1:]
    return table


def _board(name: str, n_channels: int) -> BoardFacts:
    """What is known of the board; older files do not name it."""
    if "Ganglion" in name or (not name and n_channels == 4):
        return FACTS[GANGLION]
    if n_channels == 16:
        return FACTS[DAISY]
    if "Cyton" in name or (not name and n_channels == 8):
        return FACTS[CYTON]
    return BoardFacts()
