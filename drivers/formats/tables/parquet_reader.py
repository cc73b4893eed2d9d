"""Reader of mimamba's Parquet; see ``drivers.formats.tables.parquet_writer`` for the columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording, LibraryMissing
from mimamba.drivers.formats.recording import Recording, reject_stream
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, damaged_file, from_json
from mimamba.drivers.formats.tables.rows_to_recording import table_to_recording

MAGIC = b"PAR1"
MAX_VALUES = 2**27
"""Largest number of values: 24 hours of four channels at 256 Hz."""


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "Parquet")
    facts, markers, table = _load(path)
    if table.num_rows == 0:
        raise BadRecording("rows of samples", f"none in {path}", "convert the recording again")
    columns = [_numbers(table.column(at), path) for at in range(2 + len(facts.ch_names))]
    return table_to_recording(
        path, facts, choice, columns[0], columns[1], np.column_stack(columns[2:]), markers
    )


def _load(path: Path) -> tuple[RecordingMetadata, tuple[Marker, ...], Any]:
    """Load the metadata, the markers and the table."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise LibraryMissing(
            "pyarrow, to read Parquet",
            "it is not installed",
            "install it: pip install pyarrow",
        ) from error
    from mimamba.drivers.formats.tables.parquet_writer import MARKERS_KEY, METADATA_KEY

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            stored = file.schema_arrow.metadata or {}
            if METADATA_KEY not in stored or MARKERS_KEY not in stored:
                raise BadRecording(
                    "a Parquet file that mimamba wrote",
                    f"another one at {path}",
                    "convert the file",
                )
            facts = from_json(stored[METADATA_KEY], RecordingMetadata, path)
            markers = from_json(stored[MARKERS_KEY], tuple[Marker, ...], path)
            _check_size(file.metadata, len(facts.ch_names), path)
            return facts, markers, file.read(use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # names can be damaged, too
        raise damaged_file(path, f"{error}".splitlines()[0][:200]) from error


def _check_size(metadata: Any, n_channels: int, path: Path) -> None:
    """Raise BadRecording for a size that a file cannot have: few bytes can encode very many values.

    A flat signal needs 2.4 bytes per row, for its index and timestamps.
    """
    n_rows, n_columns = metadata.num_rows, metadata.num_columns
    most = min(path.stat().st_size, MAX_VALUES // n_columns)
    if n_columns != n_channels + 3 or n_rows > most:
        raise damaged_file(path, f"{n_columns} columns of {n_rows} rows, {n_channels} channels")


def _numbers(column: Any, path: Path) -> NDArray[Any]:
    """Convert a column to (n_times,) numbers, null to NaN."""
    values: NDArray[Any] = column.to_numpy()
    if values.dtype.kind not in "if":
        raise damaged_file(path, f"a column of {column.type}")
    return values
