"""Stream of a recording with the prediction sets: their labels, and how often they were right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.xdf.sample_index import SETS_TOPIC
from mimamba.drivers.formats.xdf.writer import StreamHeader
from mimamba.models.prediction import Prediction
from mimamba.service.recordings.stream_headers import device_name, device_source_id
from mimamba.service.sessions.session import Session


def sets_header(session: Session, outputs: Mapping[str, Sequence[str]]) -> StreamHeader:
    """Return the header: per label whether it is in the set, the coverage, the labelled hops."""
    channels = []
    for output, labels in outputs.items():
        channels += [
            *({"label": f"{output}/{each}", "unit": "bool", "type": "Set"} for each in labels),
            {"label": f"{output}/coverage", "unit": "share", "type": "Coverage"},
            {"label": f"{output}/labelled", "unit": "hops", "type": "Count"},
        ]
    return StreamHeader(
        name=f"{device_name(session)} sets",
        kind="Sets",
        channel_format="double64",
        sfreq=0.0,
        source_id=device_source_id(session),
        channels=[*channels, {"label": "index", "unit": "sample", "type": "Index"}],
        desc={"mimamba": {"topic": SETS_TOPIC}},
    )


def set_rows(
    predictions: Sequence[Prediction], outputs: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """Return (n_hops, n_labels + 2 n_outputs + 1): NaN for an output without a set; index last.

    Each of the predictions has a set of some output.
    """
    return np.array([_row(each, outputs) for each in predictions])


def _row(prediction: Prediction, outputs: Mapping[str, Sequence[str]]) -> list[float]:
    row: list[float] = []
    for output, labels in outputs.items():
        found = (prediction.set or {}).get(output)
        if found is None:
            row += [np.nan] * (len(labels) + 2)
        else:
            coverage = np.nan if found.coverage is None else found.coverage
            row += [float(each in found.labels) for each in labels]
            row += [coverage, float(found.labelled)]
    return [*row, float(prediction.index)]
