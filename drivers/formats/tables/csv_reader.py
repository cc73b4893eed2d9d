"""Reader of mimamba's CSV; see ``drivers.formats.tables.csv_writer`` for the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording, reject_stream
from mimamba.drivers.formats.tables.csv_writer import MAGIC, MARKER_PREFIX, METADATA_PREFIX
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, damaged_file, from_json
from mimamba.drivers.formats.tables.rows_to_recording import table_to_recording

TITLE = "# mimamba CSV"


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(TITLE.encode())


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "CSV")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    cut = lines.pop()
    head = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    facts, markers = _read_comments(lines[:head], path)
    rows = lines[head + 1 :]
    if not rows:
        raise BadRecording(
            "rows of samples", f"only a header in {path}", "convert the recording again"
        )
    table = _read_table(rows, 2 + len(facts.ch_names), path)
    notices = (
        ("The last row has no line end: it may be incomplete, and is left out.",) if cut else ()
    )
    return table_to_recording(
        path, facts, choice, table[:, 0], table[:, 1], table[:, 2:], markers, notices
    )


def _read_comments(lines: list[str], path: Path) -> tuple[RecordingMetadata, tuple[Marker, ...]]:
    """Parse the comments: the recording's metadata and markers."""
    if not lines or lines[0].rstrip() != MAGIC:
        found = lines[0][:40].strip() if lines else "nothing"
        raise BadRecording(f"{MAGIC[2:]} in {path}", found, "read the file with a newer mimamba")
    lines_found = [
        line.removeprefix(METADATA_PREFIX) for line in lines if line.startswith(METADATA_PREFIX)
    ]
    if len(lines_found) != 1:
        raise damaged_file(path, f"{len(lines_found)} lines of facts")
    facts = from_json(lines_found[0], RecordingMetadata, path)
    markers = (line.removeprefix(MARKER_PREFIX) for line in lines if line.startswith(MARKER_PREFIX))
    return facts, tuple(from_json(line, Marker, path) for line in markers)


def _read_table(rows: list[str], n_columns: int, path: Path) -> NDArray[np.float64]:
    """Parse all cells except the labels as numbers."""
    try:
        return np.loadtxt(
            rows,
            delimiter=",",
            comments=None,
            quotechar='"',
            usecols=range(n_columns),
            ndmin=2,
            dtype=np.float64,
        )
    except ValueError as error:
        raise damaged_file(path, f"{error}".splitlines()[0]) from error
