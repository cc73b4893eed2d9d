"""service/sessions/session_counters.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mimamba.service.sessions.epoch_logs import LinkEntry


@dataclass
class SessionCounters:
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

    def on_link_event(self, entry: LinkEntry) -> None:
        """Something befell the stream; whoever tells the rest writes nothing here."""
        if entry.event == "gap":
            self.lost += entry.lost or 0
        elif entry.event == "lost":
            self.links_lost += 1
        elif entry.event == "hops_skipped":
            self.skipped += 1

    def on_prediction(self, abstained: bool, seconds: float) -> None:
        """A prediction was published, so long after its samples came."""
        self.stepped += not abstained
        self.abstained += abstained
        self.late += seconds > self.period
