"""Values of a quantity in a recording: rules are tried on them, and a sham shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.sample_index import (
    BANDS_TOPIC,
    PERSONAL_TOPIC,
    PREDICTIONS_TOPIC,
    QUALITY_TOPIC,
)
from mimamba.models.signal.measures import BANDS
from mimamba.service.rules.rule_file import Watched
from mimamba.service.rules.watched_values import GOOD_SCORE

if TYPE_CHECKING:
    from mimamba.drivers.formats.xdf.reader import XDFStream

Values: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times on the recording's clock (s), and a value at each: NaN where there is none."""


class NothingToWatch(BadRecording):
    """The recording lacks the quantity."""


def load_topics(path: Path) -> dict[str, list[XDFStream]]:
    """Load the streams that mimamba has written, by topic; those without a sample are left out.

    Raises
    ------
    BadRecording
        If the file cannot be read.
    NothingToWatch
        If it is no XDF file.
    """
    from mimamba.drivers.formats.xdf.reader import load_streams, recognises  # loads pyxdf

    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise BadRecording(
            f"a recording at {path}", error.strerror or str(error), "correct the path"
        ) from None
    if not recognises(head):
        raise NothingToWatch(
            "a recording of mimamba (XDF)", path.name, "choose one that mimamba made"
        )
    found: dict[str, list[XDFStream]] = {}
    for stream in load_streams(path)[0]:
        if stream.topic and len(stream.stamps):
            found.setdefault(stream.topic, []).append(stream)
    return found


def recorded_values(watched: Watched, streams: dict[str, list[XDFStream]]) -> Values | None:
    """Return the values of a prediction or a band; None if the recording has none of it.

    A band without an electrode is the mean of all electrodes of the recording.
    """
    if watched.kind == "band":
        return _band_values(watched, streams)
    topic, label = _place(watched)
    return _column(label, streams.get(topic, []))


def is_recorded(watched: Watched, labels: Mapping[str, Collection[str]]) -> bool:
    """Return whether a recording with these labels, by topic, has values of a quantity.

    ``recorded_values`` finds them, once they are loaded.
    """
    if watched.kind == "band":
        bands = labels.get(BANDS_TOPIC, ())
        every = {label.rpartition("/")[0] for label in bands if "/" in label}
        return QUALITY_TOPIC in labels and (
            watched.label in every if watched.label else bool(every)
        )
    topic, label = _place(watched)
    return label in labels.get(topic, ())


def _place(watched: Watched) -> tuple[str, str]:
    """Return the topic and the label of a prediction."""
    if watched.kind == "personal":
        return PERSONAL_TOPIC, watched.label
    return PREDICTIONS_TOPIC, f"{watched.name}/{watched.label}"


def _column(label: str, streams: Sequence[XDFStream]) -> Values | None:
    """Return the values of all streams with a label: each head, and each model, has its own."""
    found = [
        (np.asarray(each.stamps), values)
        for each in streams
        if (values := each.columns.get(label)) is not None
    ]
    if not found:
        return None
    stamps, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(stamps, kind="stable")
    return stamps[order], values[order]


def _band_values(watched: Watched, streams: dict[str, list[XDFStream]]) -> Values | None:
    """Return the share of a band in the power of 1 to 40 Hz; NaN while an electrode is bad."""
    if BANDS_TOPIC not in streams or QUALITY_TOPIC not in streams:
        return None
    bands, quality = streams[BANDS_TOPIC][0].columns, streams[QUALITY_TOPIC][0].columns
    every = sorted({label.rpartition("/")[0] for label in bands if "/" in label})
    channels = [watched.label] if watched.label else every
    if not set(channels) <= set(every):
        return None
    scores = dict(
        zip(
            quality["index"].tolist(),
            np.array([quality[f"{each}/score"] for each in channels]).T,
            strict=True,
        )
    )
    good = np.array(
        [(scores.get(index, np.zeros(1)) >= GOOD_SCORE).all() for index in bands["index"].tolist()]
    )
    shares = []
    for channel in channels:
        powers = np.array([bands[f"{channel}/{band}"] for band in BANDS])
        with np.errstate(invalid="ignore", divide="ignore"):
            shares.append(bands[f"{channel}/{watched.name}"] / np.nansum(powers, axis=0))
    values = np.where(good, np.mean(shares, axis=0), np.nan)
    return np.asarray(streams[BANDS_TOPIC][0].stamps), values
