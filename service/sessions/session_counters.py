"""Counters of one session, as the metrics show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mimamba.service.logs.epoch_logs import LinkEntry


@dataclass
class SessionCounters:
    """Counts of one session over all of its epochs. Each field has one writer.

    Parameters
    ----------
    samples
        Samples received.
    lost
        Samples lost, by the gaps in their numbering.
    links_lost
        Losses of the link to the device.
    stepped
        Hops with a prediction that has outputs.
    abstained
        Hops with a prediction that has none: too early, poor signal, or an answer of the model that
        was not finite.
    skipped
        Hops of a live source that were dropped because the engine was busy.
    late
        Predictions of a live source that came after the next hop was due.
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
        """Count a link event. Those that any thread may report change nothing here."""
        if entry.event == "gap":
            self.lost += entry.lost or 0
        elif entry.event == "lost":
            self.links_lost += 1
        elif entry.event == "hops_skipped":
            self.skipped += 1

    def on_prediction(self, abstained: bool, seconds: float) -> None:
        """Count a prediction that was published this long after its samples came."""
        self.stepped += not abstained
        self.abstained += abstained
        self.late += seconds > self.period
