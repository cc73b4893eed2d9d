"""Reader of the files that an OpenBCI Cyton writes to its SD card (``OBCI_01.TXT``).

Every row has the packet number, 8 channels (16 with Daisy) and now and then the accelerometer, all
in hexadecimal: two digits, six and four (OpenBCI, Cyton SD Card). Channels are two's complement of
24 bits at gain 24. Rows have no time; after ``%STOP AT``, ``%Total time mS`` gives the length.
Lines that begin with ``%`` are comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.brainflow.boards import BOARD_FACTS
from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.row_times import numbered_timeline
from mimamba.drivers.formats.vendors.text_rows import MAX_MALFORMED, whole_lines
from mimamba.drivers.timing.packet_counter import BYTE_NUMBERING
from mimamba.drivers.timing.stamp_check import USUAL_RATES

CYTON = 0
SFREQ = 250.0
ROW = re.compile(
    rb"[0-9A-Fa-f]{2}((?:,[0-9A-Fa-f]{6}){16}|(?:,[0-9A-Fa-f]{6}){8})(?:,[0-9A-Fa-f]*)*"
)
HEAD_ROWS = 2
"""Rows by which the format is recognised."""
LENGTH_TOLERANCE = 0.03
"""Largest relative difference between the length of the rows and the total time, which has pauses
of the card in it."""


def recognises(head: bytes) -> bool:
    """Return True if a file starts with comments and hexadecimal rows."""
    lines = [line.strip() for line in head.split(b"\n")[:-1]]
    rows = [line for line in lines if line and not line.startswith(b"%")]
    return len(rows) >= HEAD_ROWS and all(ROW.fullmatch(row) for row in rows[:HEAD_ROWS])


def read(
    path: Path, choice: ChannelChoice, stream: str | None, sfreq: float | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "Cyton's SD card")
    notices: list[str] = []
    with path.open(encoding="latin-1") as file:
        lines = whole_lines(file, notices)
        numbers, counts = _parse(_rows(lines), path, notices)
        seconds = _total_seconds(lines)
    declared = sfreq or _rate(len(numbers), seconds, notices)
    picks = choice.select([str(n) for n in range(1, counts.shape[1] + 1)])
    timeline = numbered_timeline(numbers, None, declared, sfreq, BYTE_NUMBERING, f"{path}", notices)
    board = BOARD_FACTS[CYTON]
    assert board.uv_per_bit is not None
    notices.append("Values are read at the board's default gain, 24.")
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
    data = counts[:, list(picks.rows)] * board.uv_per_bit
    return make_recording(info, data, timeline.timestamps, timeline.index, exact=True)


def _rows(lines: Iterator[str]) -> Iterator[str]:
    """Yield the rows up to the end of the recording, without comments."""
    for line in lines:
        if line.upper().startswith("%STOP"):
            return
        if not line.startswith("%"):
            yield line.strip()


def _total_seconds(lines: Iterator[str]) -> float | None:
    """Return the length that the end of the file gives, s; None if it is not there."""
    for line in lines:
        if line.lower().startswith("%total time"):
            text = line.partition(":")[2].strip() or next(lines, "").strip()
            try:
                return float(text) / 1e3
            except ValueError:
                return None
    return None


def _rate(n_times: int, seconds: float | None, notices: list[str]) -> float:
    """Return the board's rate, Hz, or the one that the total time gives."""
    if not seconds or abs(n_times / seconds / SFREQ - 1) <= LENGTH_TOLERANCE:
        return SFREQ
    measured = n_times / seconds
    usual = min(USUAL_RATES, key=lambda rate: abs(rate / measured - 1))
    if abs(usual / measured - 1) > LENGTH_TOLERANCE:
        notices.append(
            f"{SFREQ:g} Hz are assumed, but {n_times} rows in the total time of {seconds:g} s are "
            f"{measured:.4g} Hz; sfreq= decides otherwise."
        )
        return SFREQ
    notices.append(
        f"A Cyton has {SFREQ:g} Hz, but the total time gives {usual:g} Hz, which is used; sfreq= "
        "decides otherwise."
    )
    return usual


def _parse(
    rows: Iterator[str], path: Path, notices: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parse rows: packet numbers (n_times,) and counts (n_times, n_channels), NaN where malformed.

    Raises
    ------
    BadRecording
        If too many rows are malformed.
    """
    numbers, values = bytearray(), bytearray()
    n_bytes = 0  # of a row's channels
    bad: list[int] = []
    for row, line in enumerate(rows):
        match = ROW.fullmatch(line.encode("latin-1"))
        content = b"" if match is None else bytes.fromhex(match[1].replace(b",", b"").decode())
        n_bytes = n_bytes or len(content)
        if match is None or len(content) != n_bytes:  # numbered as if it followed the row before
            bad.append(row)
            content = bytes(n_bytes)
            numbers.append((numbers[-1] + 1) % 256 if numbers else 0)
        else:
            numbers.append(int(match[0][:2], 16))
        values += content
    if len(bad) > MAX_MALFORMED * len(numbers) or not n_bytes:
        raise BadRecording(
            f"rows of a packet number and {n_bytes // 3 or 8} channels in hexadecimal in {path}",
            f"{len(bad)} of {len(numbers)} malformed, row {bad[0] + 1 if bad else 1} first",
            "copy the file from the card again",
        )
    if bad:
        notices.append(f"{len(bad)} rows are malformed, row {bad[0] + 1} first.")
    wide = np.zeros((len(values) // 3, 4), np.uint8)
    wide[:, :3] = np.frombuffer(values, np.uint8).reshape(-1, 3)
    counts = (wide.view(">i4") >> 8).reshape(-1, n_bytes // 3).astype(np.float64)
    counts[bad] = np.nan
    return np.frombuffer(numbers, np.uint8).astype(np.float64), counts
