"""CSV as muse-lsl records it: ``timestamps,TP9,AF7,AF8,TP10,Right AUX[,Marker0]``.

Seconds (UNIX or since boot), µV, 256 Hz, a row per sample. Stamps may repeat or step back; the
rows are in order nevertheless. A marker column holds 0, or the number of what happened.

muse-lsl puts zeros in place of a packet of 12 samples that a channel lost. These rows are kept,
since the other channels have them; a notice tells their share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import LAYOUTS, ChannelChoice
from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, complete
from mimamba.drivers.timing.file_timeline import timeline

SFREQ = 256.0
UV_PER_BIT = 0.48828
RANGE_UV = 1000.0
PACKET = 12
"""Samples per channel in one Bluetooth notification."""
REFUSED_SHARE = 0.03
"""A file with a greater share of malformed rows is damaged, or of another format."""
ZEROS_TOLD = 0.01
"""A share of zero-filled samples from which a person is told."""

Table = NDArray[np.float64]


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's header."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"timestamps,")


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    if stream is not None:
        raise BadRecording("one signal, as CSV holds", f"stream={stream}", "take stream out")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    header, _, body = text.partition("\n")
    columns = [name.strip() for name in header.split(",")]
    lines, notices = _lines(body, path)
    marks = [row for row, name in enumerate(columns) if name.startswith("Marker")]
    channels = [row for row in range(1, len(columns)) if row not in marks]
    rows, picked = _pick([columns[row] for row in channels], choice, path)
    table = _table(lines, len(columns), path, notices)
    table = _without_repeats(table, notices)
    data = table[:, [channels[row] for row in rows]]
    _tell_zeros(data, picked, notices)
    timestamps, index = timeline(table[:, 0], SFREQ)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=SFREQ,
        ch_names=picked,
        uv_per_bit=UV_PER_BIT,
        range_uv=RANGE_UV,
        live=False,
        notices=tuple(notices),
    )
    markers = [
        Marker(float(timestamps[row]), int(index[row]), f"{table[row, column]:g}", columns[column])
        for column in marks
        for row in np.flatnonzero(np.nan_to_num(table[:, column]))
    ]
    return complete(info, data, timestamps, index, markers)


def _lines(body: str, path: Path) -> tuple[list[str], list[str]]:
    """The rows; the last one only if its line end says that it was written whole."""
    lines = body.split("\n")
    cut = lines.pop()
    notices = []
    if cut.strip():
        notices.append("The last row has no line end: it may be cut, and is left out.")
    if not any(line.strip() for line in lines):
        raise BadRecording("rows of samples", f"only a header in {path}", "record again")
    return lines, notices


def _pick(
    names: list[str], choice: ChannelChoice, path: Path
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The channels asked for; the EEG electrodes unless Right AUX is asked for too."""
    eeg = tuple(name for name in names if name in LAYOUTS["muse"])
    if not eeg:
        raise BadRecording(
            f"EEG columns ({', '.join(LAYOUTS['muse'])})",
            f"{', '.join(names) or 'none'} in {path}",
            "choose muse-lsl's EEG file",
        )
    picks = ChannelChoice(choice.channels or eeg, choice.names).pick(names)
    return picks.rows, picks.names


def _table(lines: list[str], n_columns: int, path: Path, notices: list[str]) -> Table:
    """All cells as numbers. A malformed row keeps its place with NaN."""
    try:
        table = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape[1] == n_columns:
        return table
    return _mend(lines, n_columns, path, notices)


def _mend(lines: list[str], n_columns: int, path: Path, notices: list[str]) -> Table:
    """Row by row, slower: tells which rows are malformed."""
    numbered = [(number, line) for number, line in enumerate(lines, start=2) if line.strip()]
    table = np.full((len(numbered), n_columns), np.nan)
    bad = []
    for row, (number, line) in enumerate(numbered):
        cells = [cell.strip() or "nan" for cell in line.split(",")]
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        if len(numbers) == n_columns:
            table[row] = numbers
        else:
            bad.append(number)
    if len(bad) > REFUSED_SHARE * len(numbered):
        raise BadRecording(
            f"rows of {n_columns} numbers in {path}",
            f"{len(bad)} of {len(numbered)} malformed, line {bad[0]} first",
            "repair the file",
        )
    if bad:
        notices.append(f"{len(bad)} rows are malformed, line {bad[0]} first.")
    return table


def _without_repeats(table: Table, notices: list[str]) -> Table:
    """Leave out rows that equal the row before in every cell, stamp and all.

    Some files repeat one row at each seam of 5 s. It is no sample: without these rows each of the
    464 zero-filled packets of such a file starts at a multiple of 12, and its rate is 256.02 Hz
    rather than 256.21. Rows that repeat only the stamp hold new samples, and stay.
    """
    repeats = np.flatnonzero((table[1:] == table[:-1]).all(axis=1)) + 1
    if repeats.size:
        notices.append(f"{repeats.size} rows repeat the row before, stamp and all: left out.")
    return np.delete(table, repeats, axis=0)


def _tell_zeros(data: Table, names: tuple[str, ...], notices: list[str]) -> None:
    for name, column in zip(names, data.T, strict=True):
        edges = np.flatnonzero(np.diff(column == 0, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        share = lengths[lengths >= PACKET].sum() / len(data)
        if share > ZEROS_TOLD:
            notices.append(f"{name}: {share:.0%} of the samples are zeros, put for lost packets.")
