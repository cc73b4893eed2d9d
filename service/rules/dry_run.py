"""A dry run: what rules would have done in a recording. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mimamba.drivers.formats.xdf.reader import XDFStream
from mimamba.drivers.formats.xdf.sample_index import LINK_TOPIC, SIGNAL_TOPIC
from mimamba.service.rules.recorded_values import NothingToWatch, load_topics, recorded_values
from mimamba.service.rules.rule_file import Rule
from mimamba.service.rules.rule_state import RuleState

LINK_STEP = 0.1
"""Seconds between two looks at the link, as in a running service."""
LINK_EVENTS = ("connected", "lost", "retrying")


@dataclass(frozen=True)
class DryAct:
    """An act that would have been: seconds from the recording's first sample, rule and value."""

    seconds: float
    rule: Rule
    value: float


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
    streams = load_topics(path)
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


def _values(
    rule: Rule, streams: dict[str, list[XDFStream]], signal: XDFStream, path: Path
) -> Iterator[tuple[float, float | None]]:
    """Return times on the recording's clock, s, and what the rule watches there."""
    watched = rule.watched
    if watched.kind == "link":
        return _link_values(streams.get(LINK_TOPIC, []), signal)
    found = recorded_values(watched, streams)
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
