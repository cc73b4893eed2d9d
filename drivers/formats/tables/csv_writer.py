"""Writer of CSV without loss, for people, spreadsheets, pandas and MATLAB.

::

    # mimamba CSV 1
    # 256.0 Hz; timestamp in s, channels in µV; index counts lost samples
    # facts: {"sfreq":256.0,"ch_names":["TP9","AF7"],"uv_per_bit":0.48828,..}
    # marker: {"timestamp":1000.0078125,"index":2,"label":"start","source":"LSL"}
    index,timestamp,TP9,AF7,marker
    0,1000.0,12.207,-0.48828,
    2,1000.0078125,12.5,-0.9,"start"

UTF-8, one line per sample, values as the shortest text that gives the same float32 or float64.
A lost sample is a jump in ``index``. The column ``marker`` has the markers' labels, for people; the
lines ``# marker:`` have complete markers, also those in a gap. pandas reads the file with
``read_csv(path, comment="#")``, MATLAB with ``readtable(path, CommentStyle="#")``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mimamba.drivers.formats.recording import Recording, WriteResult
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, labels_at, to_json

MAGIC = "# mimamba CSV 1"
METADATA_PREFIX = "# facts: "
MARKER_PREFIX = "# marker: "
COLUMNS = ("index", "timestamp", "marker")
"""Columns that are not channels; ``marker`` is the last."""
BLOCK_ROWS = 16_384
"""Lines that are formatted at a time."""


def write_csv(recording: Recording, path: Path) -> WriteResult:
    """Write CSV, which can store any recording; raises OSError."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in _head(recording))
        for line in _rows(recording):
            file.write(line)
    return WriteResult()


def column_names(ch_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return all columns' names; a channel with the name of another column gets a prefix."""
    named = (f"channel {name}" if name in COLUMNS else name for name in ch_names)
    return ("index", "timestamp", *named, "marker")


def _head(recording: Recording) -> Iterator[str]:
    info = recording.info
    yield MAGIC
    yield f"# {info.sfreq} Hz; timestamp in s, channels in µV; index counts lost samples"
    yield METADATA_PREFIX + to_json(RecordingMetadata.from_info(info))
    for marker in recording.markers:
        yield MARKER_PREFIX + to_json(marker)
    yield ",".join(_quoted(name) for name in column_names(info.ch_names))


def _rows(recording: Recording) -> Iterator[str]:
    """Format the samples' lines, many at a time."""
    labels = labels_at(recording.markers)
    for start in range(0, recording.n_times, BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        index = recording.index[part].tolist()
        # numpy's text for a float32 is the shortest that gives the same number.
        cells = [map(str, column) for column in recording.data[part].T]
        marks = (f'"{_escaped(labels[at])}"' if at in labels else "" for at in index)
        table = zip(
            map(str, index),
            map(repr, recording.timestamps[part].tolist()),
            *cells,
            marks,
            strict=True,
        )
        yield "".join(",".join(row) + "\n" for row in table)


def _quoted(name: str) -> str:
    """Format a cell on one line, in quotes if it needs them."""
    line = " ".join(name.split())
    return line if set(line).isdisjoint(',"#') else f'"{_escaped(line)}"'


def _escaped(text: str) -> str:
    return text.replace('"', '""')
