"""Parquet as ``drivers.formats.tables.parquet_writer`` writes it, which describes the columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadRecording, LibraryMissing
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, damaged, from_json
from mimamba.drivers.formats.tables.numbered_samples import recording_of

MAGIC = b"PAR1"
LARGEST = 2**27
"""Values that a file may say it has: 24 hours of four channels at 256 Hz."""


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's."""
    return head.startswith(MAGIC)


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    if stream is not None:
        raise BadRecording("one signal, as Parquet holds", f"stream={stream}", "take stream out")
    facts, markers, table = _load(path)
    if table.num_rows == 0:
        raise BadRecording("rows of samples", f"none in {path}", "convert it again")
    columns = [_numbers(table.column(at), path) for at in range(2 + len(facts.ch_names))]
    return recording_of(
        path, facts, choice, columns[0], columns[1], np.column_stack(columns[2:]), markers
    )


def _load(path: Path) -> tuple[RecordingMetadata, tuple[Marker, ...], Any]:
    """What the file says, and its table."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise LibraryMissing(
            "pyarrow, to read Parquet",
            "it is not installed",
            "install it: pip install 'mimamba[files]'",
        ) from error
    from mimamba.drivers.formats.tables.parquet_writer import FACTS, MARKERS

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            told = file.schema_arrow.metadata or {}
            if FACTS not in told or MARKERS not in told:
                raise BadRecording(
                    "a Parquet file that mimamba wrote", f"another one at {path}", "convert it"
                )
            facts = from_json(told[FACTS], RecordingMetadata, path)
            markers = from_json(told[MARKERS], tuple[Marker, ...], path)
            _check_size(file.metadata, len(facts.ch_names), path)
            return facts, markers, file.read(use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # names, too, are damaged
        raise damaged(path, f"{error}".splitlines()[0][:200]) from error


def _check_size(told: Any, n_channels: int, path: Path) -> None:
    """Raises BadRecording for more than a file can hold: some bytes can stand for very many values.

    Flat signal takes 2.4 bytes a row, for its index and timestamps.
    """
    n_rows, n_columns = told.num_rows, told.num_columns
    most = min(path.stat().st_size, LARGEST // n_columns)
    if n_columns != n_channels + 3 or n_rows > most:
        raise damaged(path, f"{n_columns} columns of {n_rows} rows, {n_channels} channels")


def _numbers(column: Any, path: Path) -> NDArray[Any]:
    """A column as (n_times,) numbers, null as NaN."""
    values: NDArray[Any] = column.to_numpy()
    if values.dtype.kind not in "if":
        raise damaged(path, f"a column of {column.type}")
    return values
