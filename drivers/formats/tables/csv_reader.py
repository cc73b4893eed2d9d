"""CSV as ``drivers.formats.tables.csv_writer`` writes it, which describes the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.csv_writer import FACTS, MAGIC, MARKER
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, damaged, from_json
from mimamba.drivers.formats.tables.numbered_samples import recording_of

TITLE = "# mimamba CSV"


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(TITLE.encode())


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    if stream is not None:
        raise BadRecording("one signal, as CSV holds", f"stream={stream}", "take stream out")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    cut = lines.pop()
    head = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    facts, markers = _facts(lines[:head], path)
    rows = lines[head + 1 :]
    if not rows:
        raise BadRecording("rows of samples", f"only a header in {path}", "convert it again")
    table = _table(rows, 2 + len(facts.ch_names), path)
    notices = ("The last row has no line end: it may be cut, and is left out.",) if cut else ()
    return recording_of(
        path, facts, choice, table[:, 0], table[:, 1], table[:, 2:], markers, notices
    )


def _facts(lines: list[str], path: Path) -> tuple[RecordingMetadata, tuple[Marker, ...]]:
    """What the comments say."""
    if not lines or lines[0].rstrip() != MAGIC:
        found = lines[0][:40].strip() if lines else "nothing"
        raise BadRecording(f"{MAGIC[2:]} in {path}", found, "read it with a newer mimamba")
    told = [line.removeprefix(FACTS) for line in lines if line.startswith(FACTS)]
    if len(told) != 1:
        raise damaged(path, f"{len(told)} lines of facts")
    facts = from_json(told[0], RecordingMetadata, path)
    markers = (line.removeprefix(MARKER) for line in lines if line.startswith(MARKER))
    return facts, tuple(from_json(line, Marker, path) for line in markers)


def _table(rows: list[str], n_columns: int, path: Path) -> NDArray[np.float64]:
    """All cells but the labels as numbers."""
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
        raise damaged(path, f"{error}".splitlines()[0]) from error
