"""Writer of a recording as XDF, in the layout of mimamba's recorder."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.formats.gap_filling import find_gaps
from mimamba.drivers.formats.recording import Recording, WriteResult
from mimamba.drivers.formats.xdf.chunk_writer import StreamHeader, XDFWriter
from mimamba.drivers.formats.xdf.sample_index import LINK_TOPIC, SIGNAL_TOPIC

SECONDS = 10.0
"""Signal per chunk, s; a boundary follows each, as in LabRecorder's files."""


def write_xdf(recording: Recording, path: Path) -> WriteResult:
    """Write XDF: the signal, its gaps as link events, and a stream of markers per source.

    Stamps stay on the recording's own clock. XDF can store any recording; raises OSError.
    """
    made = datetime.now(UTC).astimezone().isoformat()
    writer = XDFWriter(path, {"datetime": made, "software": f"mimamba {version('mimamba')}"})
    try:
        _write_streams(recording, writer)
        writer.finish()
    finally:
        writer.close()
    return WriteResult()


def _write_streams(recording: Recording, writer: XDFWriter) -> None:
    start = float(recording.timestamps[0])
    signal = writer.declare(_signal_header(recording.info), start)
    link = writer.declare(_text_header("link", "Link", {"mimamba": {"topic": LINK_TOPIC}}), start)
    entries = _marker_entries(recording)
    sources = {name: writer.declare(_text_header(name, "Markers", {}), start) for name in entries}
    writer.clock_offsets(start)
    writer.texts(link, _loss_entries(recording))
    for name, stream in sources.items():
        writer.texts(stream, entries[name])
    for chunk in recording.chunks(max(1, round(SECONDS * recording.info.sfreq))):
        writer.numbers(signal, chunk.timestamps, chunk.data)
        writer.boundary()
        writer.flush()


def _signal_header(info: StreamInfo) -> StreamHeader:
    known = {"uv_per_bit": info.uv_per_bit, "range_uv": info.range_uv}
    facts = {name: repr(value) for name, value in known.items() if value is not None}
    return StreamHeader(
        name=info.name,
        kind="EEG",
        channel_format="float32",
        sfreq=info.sfreq,
        source_id=Path(info.source_id).name,  # a folder's name may contain a person's
        channels=[{"label": n, "unit": "microvolts", "type": "EEG"} for n in info.ch_names],
        desc={
            "acquisition": {**facts, "simulated": str(int(info.simulated))},
            "mimamba": {"topic": SIGNAL_TOPIC, "first": "0", "notice": info.notices},
        },
    )


def _text_header(name: str, kind: str, desc: dict[str, dict[str, str]]) -> StreamHeader:
    return StreamHeader(name, kind, "string", 0.0, "", [{"label": kind}], desc)


def _loss_entries(recording: Recording) -> list[tuple[float, str]]:
    """Make an event for each gap, at the time of the sample after it."""
    gaps = find_gaps(recording.index)
    after = np.searchsorted(recording.index, [gap.first for gap in gaps])
    return [
        (float(recording.timestamps[at]), _loss(gap.first, gap.count))
        for at, gap in zip(after.tolist(), gaps, strict=True)
    ]


def _loss(first: int, lost: int) -> str:
    detail = f"{lost} samples were lost"
    event = {"event": "gap", "detail": detail, "first": first, "lost": lost}
    return msgspec.json.encode(event).decode()


def _marker_entries(recording: Recording) -> dict[str, list[tuple[float, str]]]:
    """Collect each source's markers; a stamp that does not match its index is replaced."""
    index = np.array([marker.index for marker in recording.markers], np.float64)
    stamps = np.array([marker.timestamp for marker in recording.markers])
    found = np.rint(np.interp(stamps, recording.timestamps, recording.index))
    exact = np.interp(index, recording.index, recording.timestamps)
    times = np.where(found == index, stamps, exact).tolist()
    rows = [(m.source, time, m.label) for m, time in zip(recording.markers, times, strict=True)]
    rows.sort(key=lambda row: row[:2])
    return {
        source: [(time, label) for _, time, label in group]
        for source, group in groupby(rows, key=lambda row: row[0])
    }
