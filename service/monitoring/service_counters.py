"""Counters of the service; the other values of /metrics are read when it is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from prometheus_client import Histogram

from mimamba.drivers.timing.clock import local_clock

AGES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of a prediction's age, s: 5 ms is usual, and after 2 s a page calls it old."""

RefusalReason: TypeAlias = Literal["host", "origin", "no_token", "wrong_token", "too_many", "scope"]
"""Reasons for refusing a request or a WebSocket."""


def _none_refused() -> Counter[RefusalReason]:
    return Counter(dict.fromkeys(get_args(RefusalReason), 0))


@dataclass
class ServiceCounters:
    """Counts of messages and errors of one service; used on its event loop."""

    messages: int = 0
    message_bytes: int = 0
    skipped: int = 0
    """Entries that had left their log before a slow reader came to them."""
    errors: Counter[str] = field(default_factory=Counter)
    """By kind: an error's class, or its code in the wire protocol."""
    refused: Counter[RefusalReason] = field(default_factory=_none_refused)
    """Refused requests and WebSockets, by reason."""
    ages: Histogram = field(
        default_factory=lambda: Histogram("age_seconds", "Ages.", registry=None, buckets=AGES)
    )

    def on_sent(self, frame: bytes) -> None:
        """Count a frame that went to a subscriber's socket."""
        self.messages += 1
        self.message_bytes += len(frame)

    def on_prediction(self, received: float) -> None:
        """Count the age of a prediction that is about to go to a subscriber.

        ``received`` is the time at which its newest sample came, s on the LSL clock.
        """
        self.ages.observe(max(0.0, local_clock() - received))
