"""What is counted while it happens; all else that /metrics tells is read off what is there."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from prometheus_client import Histogram

from drivers.clock import local_clock
from service.history import Event, LinkEntry, Told

AGES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of a prediction's age, s: 5 ms is usual, and after 2 s a page calls it old."""
STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bounds of a step's time, s: the shipped model's takes some milliseconds."""

Reason: TypeAlias = Literal["host", "origin", "no_token", "wrong_token", "too_many", "scope"]
"""Why somebody is not let in, or may not do what is asked."""


def _none_refused() -> Counter[Reason]:
    return Counter(dict.fromkeys(get_args(Reason), 0))


@dataclass
class Counts:
    """What one session has met so far, over all of its epochs. Each field has one writer.

    Parameters
    ----------
    samples
        Received.
    lost
        Known to have been lost, by the jumps of ``first``.
    links_lost
        How often the link to the device was.
    stepped
        Hops whose prediction has outputs.
    abstained
        Hops whose prediction has none: too early, poor signal, or an answer that was no number.
    skipped
        Hops of a live source that a busy engine did not take.
    late
        Predictions of a live source that came when the next hop was due already.
    period
        Seconds from one hop to the next.
    """

    samples: int = 0
    lost: int = 0
    links_lost: int = 0
    stepped: int = 0
    abstained: int = 0
    skipped: int = 0
    late: int = 0
    period: float = math.inf

    def befell(self, entry: LinkEntry) -> None:
        """Something befell the stream; whoever tells the rest writes nothing here."""
        if entry.event == "gap":
            self.lost += entry.lost or 0
        elif entry.event == "lost":
            self.links_lost += 1
        elif entry.event == "hops_skipped":
            self.skipped += 1

    def predicted(self, abstained: bool, seconds: float) -> None:
        """A prediction was published, so long after its samples came."""
        self.stepped += not abstained
        self.abstained += abstained
        self.late += seconds > self.period


def step_times() -> Histogram:
    """An empty histogram of an engine's steps; it is registered nowhere."""
    return Histogram("step_seconds", "Steps.", registry=None, buckets=STEPS)


@dataclass
class Totals:
    """What one service has sent, and what went wrong in it. All is counted on its event loop."""

    messages: int = 0
    message_bytes: int = 0
    skipped: int = 0
    """Entries of logs that were gone before a slow reader came to them."""
    errors: Counter[str] = field(default_factory=Counter)
    """By kind: an error's class, or the code of the wire protocol."""
    refused: Counter[Reason] = field(default_factory=_none_refused)
    """Requests and WebSockets, by why."""
    ages: Histogram = field(
        default_factory=lambda: Histogram("age_seconds", "Ages.", registry=None, buckets=AGES)
    )

    def sent(self, frame: bytes) -> None:
        """A frame went to a subscriber's socket."""
        self.messages += 1
        self.message_bytes += len(frame)

    def told(self, newest: Event) -> None:
        """A prediction is about to go to a subscriber."""
        if isinstance(newest, Told):
            self.ages.observe(max(0.0, local_clock() - newest.timing.received))
