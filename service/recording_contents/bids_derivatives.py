"""Recorded predictions as a BIDS derivative, beside the signal that they were made from.

A derivative is a data set of its own below ``derivatives``
(https://bids-specification.readthedocs.io/en/stable/derivatives/introduction.html). BIDS has no
form for outputs of models: they are events with a column for each probability, which any reader of
tables opens, with ``desc-predictions`` and ``desc-personal`` in their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.bids_writer import MISSING, BIDSEntities
from mimamba.drivers.formats.xdf.reader import XDFStream
from mimamba.drivers.formats.xdf.sample_index import (
    PERSONAL_TOPIC,
    PREDICTIONS_TOPIC,
    SIGNAL_TOPIC,
)
from mimamba.service.recordings.stream_headers import STATUS

FOLDER = Path("derivatives") / "mimamba"
DESCRIPTION = "dataset_description.json"
INDEX, STATUS_COLUMN = "index", "status"
KINDS = {PREDICTIONS_TOPIC: "predictions", PERSONAL_TOPIC: "personal"}


def write_derivatives(streams: Sequence[XDFStream], place: BIDSEntities) -> list[Path]:
    """Write the predictions of a recording into the data set that already has its signal.

    Parameters
    ----------
    streams
        All streams of the recording; without predictions among them it adds nothing.
    place
        Where its signal is.

    Returns
    -------
    The tables, one for each stream of predictions.

    Raises
    ------
    OSError
        If the tables cannot be written.
    """
    root = place.root / FOLDER
    folder = root / place.folder.relative_to(place.root)
    for kind in KINDS.values():  # those of a recording that this one replaces
        for old in folder.glob(f"{place.stem}_desc-{kind}*"):
            old.unlink()
    signal = next((each for each in streams if each.topic == SIGNAL_TOPIC), None)
    made = [each for each in streams if each.topic in KINDS and each.is_numeric]
    if signal is None or not made:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    if not (root / DESCRIPTION).exists():
        _write_json(root / DESCRIPTION, _description(place.root))
    tables: list[Path] = []
    for stream in made:
        kind = KINDS[stream.topic]
        later = sum(each.name.startswith(f"{place.stem}_desc-{kind}") for each in tables)
        name = f"{place.stem}_desc-{kind}{later + 1 if later else ''}_events"
        table = folder / f"{name}.tsv"
        table.write_text(_table(stream, signal.first_index, signal.rate), encoding="utf-8")
        _write_json(table.with_suffix(".json"), _columns(stream, kind))
        tables.append(table)
    return tables


def _description(root: Path) -> dict[str, Any]:
    described = msgspec.json.decode((root / DESCRIPTION).read_bytes(), type=dict[str, Any])
    return {
        "Name": f"Predictions of mimamba: {described['Name']}",
        "BIDSVersion": described["BIDSVersion"],
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "mimamba",
                "Version": version("mimamba"),
                "Description": "Predictions made live, during the recording",
            }
        ],
        "DatasetLinks": {"raw": "../.."},
    }


def _columns(stream: XDFStream, kind: str) -> dict[str, Any]:
    """Describe the columns of a table, and the model or the head behind them."""
    described: dict[str, Any] = {
        "onset": {"Description": "End of the prediction's window, from the first sample"},
        "duration": {"Description": "Not applicable: a prediction belongs to one moment"},
        STATUS_COLUMN: {
            "Description": "ok, or the reason why there is no prediction",
            "Levels": {name: name.replace("_", " ") for name in STATUS},
        },
    }
    for label in stream.labels:
        output, slash, value = label.partition("/")
        if slash:
            described[label] = {"Description": f"Probability that {output} is {value}"}
        elif label not in (INDEX, STATUS_COLUMN):
            described[label] = {"Description": f"{label}, of the person's own output"}
    about = {
        path.partition("/")[2]: text
        for path in ("model/name", "model/sha256", "model/trained_on", "head/contrast")
        if (text := stream.text(f"desc/mimamba/{path}"))
    }
    return described | {"Model" if kind == "predictions" else "Head": about}


def _table(stream: XDFStream, first: int, rate: float) -> str:
    labels = stream.labels
    values: NDArray[np.float64] = np.asarray(stream.values, np.float64)
    shown = [each for each in labels if each not in (INDEX, STATUS_COLUMN)]
    names = {code: name for name, code in STATUS.items()}
    lines = [["onset", "duration", STATUS_COLUMN, *shown]]
    for row in values:
        cells = dict(zip(labels, row.tolist(), strict=True))
        onset = (cells[INDEX] - first) / rate
        lines.append(
            [
                f"{onset:.6f}",
                MISSING,
                names.get(cells[STATUS_COLUMN], MISSING),
                *(MISSING if np.isnan(cells[each]) else f"{cells[each]:.6g}" for each in shown),
            ]
        )
    return "".join("\t".join(line) + "\n" for line in lines)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
