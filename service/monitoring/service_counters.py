"""What is counted while it happens; all else that /metrics tells is read off what is there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from prometheus_client import Histogram

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.sessions.epoch_logs import Event, PublishedPrediction

AGES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of a prediction's age, s: 5 ms is usual, and after 2 s a page calls it old."""

RefusalReason: TypeAlias = Literal["host", "origin", "no_token", "wrong_token", "too_many", "scope"]
"""Why somebody is not let in, or may not do what is asked."""


def _none_refused() -> Counter[RefusalReason]:
    return Counter(dict.fromkeys(get_args(RefusalReason), 0))


@dataclass
class ServiceCounters:
    """What one service has sent, and what went wrong in it. All is counted on its event loop."""

    messages: int = 0
    message_bytes: int = 0
    skipped: int = 0
    """Entries of logs that were gone before a slow reader came to them."""
    errors: Counter[str] = field(default_factory=Counter)
    """By kind: an error's class, or the code of the wire protocol."""
    refused: Counter[RefusalReason] = field(default_factory=_none_refused)
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
        if isinstance(newest, PublishedPrediction):
            self.ages.observe(max(0.0, local_clock() - newest.timing.received))
