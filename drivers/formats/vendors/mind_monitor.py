"""Reader of Mind Monitor's CSV: ``TimeStamp,Delta_TP9,..,RAW_TP9,..,Battery,Elements``.

One row per sample with the EEG in ``RAW_*``; band powers and other sensors are not read. Stamps are
the phone's local time; whole seconds have no ``.000``, and the samples of one Bluetooth packet may
share a stamp. A row with only a stamp and a text in ``Elements`` (a blink, a marker, a lost
connection) is an event: a marker at the next sample. A spreadsheet may have saved the file again,
with semicolons and decimal commas.

Raw values are from 0 to 1682.815 µV (the app's manual: 0 to about 1682); half of that is
subtracted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import Marker, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, make_recording, reject_stream
from mimamba.drivers.formats.vendors.text_rows import (
    find_delimiter,
    read_table,
    whole_lines,
    with_commas,
)
from mimamba.drivers.timing.file_timeline import median_rate, timeline_from_stamps
from mimamba.drivers.timing.stamp_check import check_stamps

RATES = (256.0, 220.0)
"""Sampling frequencies, Hz: Muse of 2016 and later, Muse of 2014 (MU-01)."""
RATE_TOLERANCE = 0.1
"""Largest relative difference between the file's rate and these, e.g. by losses."""
FULL_SCALE_UV = 1682.815
RAW_PREFIX = "RAW_"
STAMP_WIDTH = 23
"""Characters of ``2017-09-14 21:20:11.783``."""
STAMP_PATTERN = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,3})?", re.ASCII)


@dataclass
class _SampleLines:
    """The samples' lines, with the stamps and events found on the way."""

    n_columns: int
    stamps: list[str] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)  # next row, text

    def samples(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines that are samples, and collect stamps and events."""
        for line in lines:
            text = line.rpartition(",")[2].strip()
            if text and line.count(",") == self.n_columns - 1:
                self.events.append((len(self.stamps), text))
                if not line.partition(",")[2].replace(text, "").strip(", \r\n"):
                    continue  # only the event
            self.stamps.append(line[:STAMP_WIDTH].partition(",")[0])
            yield line


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    line = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    return line.startswith((b"TimeStamp,", b"TimeStamp;")) and b"RAW_" in line


def read(
    path: Path, choice: ChannelChoice, stream: str | None, sfreq: float | None = None
) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "CSV")
    notices: list[str] = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = whole_lines(file, notices)
        header = next(lines, "")
        if find_delimiter(header) == ";":
            lines = with_commas(lines)
        columns = [name.strip() for name in header.replace(";", ",").split(",")]
        picks, wanted = _pick(columns, choice)
        rows = _SampleLines(len(columns) if columns[-1] == "Elements" else 0)
        table = read_table(rows.samples(lines), wanted, len(columns), ",", path, notices)
    stamps = _seconds(rows.stamps)
    checked = check_stamps(stamps, sfreq or _rate(stamps, path), sfreq, what=f"{path}")
    timestamps, index = timeline_from_stamps(checked.stamps, checked.sfreq)
    notices.extend(checked.notices)
    notices.append(f"Raw values: the offset of {FULL_SCALE_UV / 2:.1f} µV is subtracted.")
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=checked.sfreq,
        ch_names=picks.names,
        range_uv=FULL_SCALE_UV / 2,
        live=False,
        notices=tuple(notices),
    )
    markers = [
        Marker(float(timestamps[at]), int(index[at]), text, "Mind Monitor")
        for at, text in ((min(row, len(index) - 1), text) for row, text in rows.events)
    ]
    return make_recording(info, table - FULL_SCALE_UV / 2, timestamps, index, markers)


def _pick(columns: list[str], choice: ChannelChoice) -> tuple[ChannelSelection, list[int]]:
    """Select raw channels, and auxiliary ones if asked for; return their columns, too."""
    raw = [name for name in columns if name.startswith(RAW_PREFIX)]
    aux = [name for name in columns if name.startswith("AUX")]
    names = [name.removeprefix(RAW_PREFIX) for name in (*raw, *aux)]
    asked = choice.channels or tuple(names[: len(raw)])
    picks = ChannelChoice(asked, choice.names).select(names)
    return picks, [columns.index((*raw, *aux)[row]) for row in picks.rows]


def _seconds(stamps: list[str]) -> Seconds:
    """Convert stamps to UNIX time as if they were UTC; NaN for what is not a time."""
    known = [stamp if STAMP_PATTERN.fullmatch(stamp) else "NaT" for stamp in stamps]
    try:
        times = np.array(known, "datetime64[ms]")
    except ValueError:  # a month 13
        times = np.array([_time(stamp) for stamp in known])
    seconds = times.astype(np.int64) / 1e3
    return np.where(np.isnat(times), np.nan, seconds)


def _time(stamp: str) -> np.datetime64:
    try:
        return np.datetime64(stamp, "ms")
    except ValueError:
        return np.datetime64("NaT", "ms")


def _rate(stamps: Seconds, path: Path) -> float:
    """Return the device's rate that is nearest to the file's, Hz.

    Raises
    ------
    BadRecording
        If the app wrote fewer rows than samples.
    """
    rate = median_rate(stamps, round(RATES[0]))
    if rate is None or len(stamps) < RATES[0]:  # too short to measure
        return RATES[0]
    nearest = min(RATES, key=lambda known: abs(known - rate))
    if abs(rate / nearest - 1) > RATE_TOLERANCE:
        raise BadRecording(
            f"{' or '.join(f'{known:g}' for known in RATES)} rows per second in {path}",
            f"{rate:.3g}",
            "record again with every sample written (recording interval: constant)",
        )
    return nearest
