"""A dry run: what rules would have done in a recording. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.reader import XDFStream, load_streams, recognises
from mimamba.drivers.formats.xdf.sample_index import (
    BANDS_TOPIC,
    LINK_TOPIC,
    PERSONAL_TOPIC,
    PREDICTIONS_TOPIC,
    QUALITY_TOPIC,
    SIGNAL_TOPIC,
)
from mimamba.models.signal.measures import BANDS
from mimamba.service.rules.rule_file import Rule, Watched
from mimamba.service.rules.rule_state import RuleState
from mimamba.service.rules.watched_values import GOOD_SCORE

LINK_STEP = 0.1
"""Seconds between two looks at the link, as in a running service."""
LINK_EVENTS = ("connected", "lost", "retrying")


@dataclass(frozen=True)
class DryAct:
    """An act that would have been: seconds from the recording's first sample, rule and value."""

    seconds: float
    rule: Rule
    value: float


class NothingToWatch(BadRecording):
    """The recording lacks what a rule watches."""


def try_rules(rules: Sequence[Rule], path: Path) -> list[DryAct]:
    """Return what rules would have done in a recording of mimamba, by time.

    A band without an electrode is the mean of all electrodes of the recording.

    Raises
    ------
    BadRecording
        If the file cannot be read.
    NothingToWatch
        If it lacks what a rule watches.
    """
    streams = _streams(path)
    signal = next(iter(streams.get(SIGNAL_TOPIC, [])), None)
    if signal is None:
        raise NothingToWatch(
            "a recording of mimamba", path.name, "record a session, or choose another file"
        )
    acts = []
    for rule in rules:
        state = RuleState(rule)
        for at, value in _values(rule, streams, signal, path):
            if state.step(at, value):
                acts.append(DryAct(at - float(signal.stamps[0]), rule, value or 0.0))
    return sorted(acts, key=lambda act: act.seconds)


def _streams(path: Path) -> dict[str, list[XDFStream]]:
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


def _values(
    rule: Rule, streams: dict[str, list[XDFStream]], signal: XDFStream, path: Path
) -> Iterator[tuple[float, float | None]]:
    """Return times on the recording's clock, s, and what the rule watches there."""
    watched = rule.watched
    if watched.kind == "link":
        return _link_values(streams.get(LINK_TOPIC, []), signal)
    if watched.kind == "band":
        found = _band_column(watched, streams)
    else:
        personal = watched.kind == "personal"
        topic = PERSONAL_TOPIC if personal else PREDICTIONS_TOPIC
        label = watched.label if personal else f"{watched.name}/{watched.label}"
        found = _column(label, streams.get(topic, []))
    if found is None:
        raise NothingToWatch(
            f"{rule.when} of {rule.name} in {path.name}",
            "nothing of it",
            "choose another recording",
        )
    stamps, values = found
    return (
        (at, None if np.isnan(value) else value)
        for at, value in zip(stamps.tolist(), values.tolist(), strict=True)
    )


def _column(
    label: str, streams: Sequence[XDFStream]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    for stream in streams:
        if (values := stream.columns.get(label)) is not None:
            return np.asarray(stream.stamps), values
    return None


def _band_column(
    watched: Watched, streams: dict[str, list[XDFStream]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
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


def _link_values(
    links: Sequence[XDFStream], signal: XDFStream
) -> Iterator[tuple[float, float | None]]:
    """Return whether the link was lost, at steps through the recording."""
    changes = []
    for stream in links:
        for stamp, row in zip(stream.stamps.tolist(), stream.values, strict=True):
            event = json.loads(row[0])["event"]
            if event in LINK_EVENTS:
                changes.append((stamp, float(event != "connected")))
    changes.sort()
    stamps = np.array([stamp for stamp, _ in changes])
    start, end = float(signal.stamps[0]), float(signal.stamps[-1])
    for at in np.arange(start, end, LINK_STEP).tolist():
        before = int(np.searchsorted(stamps, at, side="right"))
        yield at, changes[before - 1][1] if before else 0.0
