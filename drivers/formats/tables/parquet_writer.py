"""Writer of Parquet, through pyarrow: columns index, timestamp, one per channel, marker.

index is int64 and counts lost samples; timestamp is float64, s; channels are float32, µV; marker
has the labels of the markers at that sample, or null. The schema's metadata has ``mimamba.facts``
and ``mimamba.markers`` as JSON: the source's facts, and all markers, also those in a gap.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from mimamba.drivers.formats.recording import Recording, WriteResult
from mimamba.drivers.formats.tables.csv_writer import column_names
from mimamba.drivers.formats.tables.metadata import RecordingMetadata, labels_at, to_json

METADATA_KEY: Final = b"mimamba.facts"
MARKERS_KEY: Final = b"mimamba.markers"


def write_parquet(recording: Recording, path: Path) -> WriteResult:
    """Write Parquet, which can store any recording; raises OSError."""
    info = recording.info
    labels = labels_at(recording.markers)
    arrays = [
        pa.array(recording.index),
        pa.array(recording.timestamps),
        *(pa.array(np.ascontiguousarray(column)) for column in recording.data.T),
        pa.array([labels.get(at) for at in recording.index.tolist()], pa.string()),
    ]
    names = column_names(info.ch_names)
    metadata = {
        METADATA_KEY: to_json(RecordingMetadata.from_info(info)).encode(),
        MARKERS_KEY: to_json(recording.markers).encode(),
    }
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))
    parquet.write_table(table, path, compression="zstd", write_page_checksum=True)
    return WriteResult()
