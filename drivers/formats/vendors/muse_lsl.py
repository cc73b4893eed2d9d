"""Reader of muse-lsl's CSV: ``timestamps,TP9,AF7,AF8,TP10,Right AUX[,Marker0]``.

Seconds (UNIX or since boot), µV, 256 Hz, one row per sample. Stamps may repeat or step back; the
rows are in order nevertheless. A marker column has 0, or the number of an event. Its name may be
missing: programs that set a first marker late write the header before it. A spreadsheet may have
saved the file again, with semicolons and decimal commas.

muse-lsl writes zeros for a packet of 12 samples that one channel lost. These rows are kept, because
the other channels have samples; a notice gives their share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import HEADSET_CHANNELS, ChannelChoice
from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.text_rows import find_delimiter, with_commas
from mimamba.drivers.timing.file_timeline import timeline_from_stamps
from mimamba.drivers.timing.stamp_check import check_stamps

SFREQ = 256.0
UV_PER_BIT = 0.48828
RANGE_UV = 1000.0
PACKET = 12
"""Samples per channel in one Bluetooth notification."""
MAX_MALFORMED = 0.03
"""Largest share of malformed rows; a file with more is damaged, or has another format."""
ZEROS_NOTICE_SHARE = 0.01
"""Share of zero-filled samples from which there is a notice."""

Table = NDArray[np.float64]


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith((b"timestamps,", b"timestamps;"))


def read(
    path: Path, choice: ChannelChoice, stream: str | None, sfreq: float | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "CSV")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    header, _, body = text.partition("\n")
    lines, notices = _lines(body, path)
    if find_delimiter(header) == ";":
        header, *lines = with_commas([header, *lines])
    columns = [name.strip() for name in header.split(",")]
    lines = _name_markers(lines, columns, notices)
    marks = [row for row, name in enumerate(columns) if name.startswith("Marker")]
    channels = [row for row in range(1, len(columns)) if row not in marks]
    rows, picked = _pick([columns[row] for row in channels], choice, path)
    table = _table(lines, len(columns), path, notices)
    table = _without_repeats(table, notices)
    data = table[:, [channels[row] for row in rows]]
    _note_zeros(data, picked, notices)
    checked = check_stamps(table[:, 0], SFREQ, sfreq, what=f"{path}")
    notices.extend(checked.notices)
    timestamps, index = timeline_from_stamps(checked.stamps, checked.sfreq)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=checked.sfreq,
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
    return make_recording(info, data, timestamps, index, markers)


def _lines(body: str, path: Path) -> tuple[list[str], list[str]]:
    """Split into rows; without the last one if it has no line end."""
    lines = body.split("\n")
    cut = lines.pop()
    notices = []
    if cut.strip():
        notices.append("The last row has no line end: it may be incomplete, and is left out.")
    if not any(line.strip() for line in lines):
        raise BadRecording("rows of samples", f"only a header in {path}", "record again")
    return lines, notices


def _name_markers(lines: list[str], columns: list[str], notices: list[str]) -> list[str]:
    """Name a last column that the header lacks, and fill it where the first rows lack it.

    It is the marker's if more rows have it than may be malformed.
    """
    n_commas = [line.count(",") for line in lines]
    longer = n_commas.count(len(columns))
    short = n_commas.count(len(columns) - 1)
    if longer <= MAX_MALFORMED * len(lines) or longer + short < (1 - MAX_MALFORMED) * len(lines):
        return lines
    first = n_commas.index(len(columns)) + 2
    notices.append(
        f"From line {first} on, rows have one cell more than the header names: it is read as the "
        "marker."
    )
    filled = [
        f"{line},0" if n == len(columns) - 1 else line
        for line, n in zip(lines, n_commas, strict=True)
    ]
    columns.append("Marker0")
    return filled


def _pick(
    names: list[str], choice: ChannelChoice, path: Path
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Select the channels asked for, by default the EEG electrodes without Right AUX."""
    eeg = tuple(name for name in names if name in HEADSET_CHANNELS["muse"])
    if not eeg:
        raise BadRecording(
            f"EEG columns ({', '.join(HEADSET_CHANNELS['muse'])})",
            f"{', '.join(names) or 'none'} in {path}",
            "select muse-lsl's EEG file",
        )
    picks = ChannelChoice(choice.channels or eeg, choice.names).select(names)
    return picks.rows, picks.names


def _table(lines: list[str], n_columns: int, path: Path, notices: list[str]) -> Table:
    """Parse all cells as numbers; a malformed row becomes NaN."""
    try:
        table = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape[1] == n_columns:
        return table
    return _parse_rows(lines, n_columns, path, notices)


def _parse_rows(lines: list[str], n_columns: int, path: Path, notices: list[str]) -> Table:
    """Parse row by row, slowly, and note the malformed rows."""
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
    if len(bad) > MAX_MALFORMED * len(numbered):
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

    Some files repeat one row every 5 s. It is not a sample: without these rows each of the 464
    zero-filled packets of such a file starts at a multiple of 12, and its rate is 256.02 Hz
    instead of 256.21. Rows that repeat only the stamp are new samples, and stay.
    """
    repeats = np.flatnonzero((table[1:] == table[:-1]).all(axis=1)) + 1
    if repeats.size:
        notices.append(f"{repeats.size} rows repeat the row before, timestamp included: left out.")
    return np.delete(table, repeats, axis=0)


def _note_zeros(data: Table, names: tuple[str, ...], notices: list[str]) -> None:
    for name, column in zip(names, data.T, strict=True):
        edges = np.flatnonzero(np.diff(column == 0, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        share = lengths[lengths >= PACKET].sum() / len(data)
        if share > ZEROS_NOTICE_SHARE:
            notices.append(
                f"{name}: {share:.0%} of the samples are zeros, in place of lost packets."
            )
