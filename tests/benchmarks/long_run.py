"""Many sessions for a long time: every hop accounted for, the share in time, memory.

A tenth of the headsets loses 0.3 s of samples every 20 s; one in twenty falls silent every 300 s,
and comes back. A hop is due after each 128 samples, counted from the last loss that is too long to
be bridged. Each must have been published with outputs, published without them and with a reason, or
be named by an event that it was skipped. Hops before the first that the reader sees of a session,
and after the last, are not judged.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mimamba.models.signal.hops import max_gap_samples
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, send
from mimamba.service.bench.service_process import STARTING, ServiceProcess, running_service
from mimamba.service.bench.sessions import LIMIT, receive_until
from mimamba.service.protocol.messages import (
    LinkMessage,
    PredictionMessage,
    SessionState,
    Skipped,
    Subscribe,
)

SESSIONS = 200
LOSSY, SILENT = 10, 20
"""One headset in so many loses samples, and one in so many falls silent."""
HOP = 128
"""Samples from hop to hop: 0.5 s of 256 Hz."""
LEAD = 126
"""Samples from the first one of a session, or after a loss, to that of its first hop: the last one
at the model's rate, which is half of 256 Hz."""
BRIDGED = max_gap_samples(256)
"""Lost samples up to which a gap is bridged, so that the hops after it stay where they are."""
PARTS = 30
"""Parts of the run that are compared: minutes, in half an hour."""
WARM = 1 / 3
"""Share of the run after which memory should not grow."""
FLAT = 5.0
"""Largest growth of memory from then on, %."""


@dataclass
class Account:
    """What a reader saw of one session."""

    published: list[PredictionMessage] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)
    """Lost samples by the index of the first of them."""
    skipped: set[int] = field(default_factory=set)
    """Indices of skipped hops."""

    def take(self, message: PredictionMessage | LinkMessage) -> None:
        """Take what counts of a message."""
        if isinstance(message, PredictionMessage):
            self.published.append(message)
        elif message.event == "gap" and message.first is not None:
            self.lost[message.first] = message.lost or 0
        elif message.event == "hops_skipped" and message.first is not None:
            self.skipped.add(message.first)

    def due(self) -> set[int]:
        """Compute the indices of the hops that were due between the first and the last seen."""
        seen = [each.index for each in self.published]
        if not seen:
            return set()
        first, last = seen[0], seen[-1]
        due: set[int] = set()
        at = first
        bridged: list[range] = []
        for start in sorted(each for each in self.lost if each > first):
            after = start + self.lost[start]
            if self.lost[start] <= BRIDGED:
                bridged.append(range(start, after))
                continue
            due.update(range(at, start, HOP))
            at = after + LEAD
        due.update(range(at, last + 1, HOP))
        # A hop that ends in a short gap comes with the first sample after it.
        for gap in bridged:
            due = {gap.stop if each in gap else each for each in due}
        return {each for each in due if each <= last}


@dataclass
class Balance:
    """The hops of all sessions."""

    due: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unaccounted: int = 0
    """Hops that were due, and neither published nor said to be skipped."""
    twice: int = 0
    undue: int = 0
    """Hops that were published or skipped without being due."""
    out_of_order: int = 0
    """Entries whose number does not follow the one before."""
    silent: int = 0
    """Hops without outputs that give no reason."""


def balance(accounts: Sequence[Account]) -> Balance:
    """Account for every hop of these sessions."""
    total = Balance()
    for each in accounts:
        due, seen = each.due(), Counter(one.index for one in each.published)
        skipped = {index for index in each.skipped if index in due}
        total.due += len(due)
        total.outcomes.update(one.status for one in each.published)
        total.outcomes["skipped"] += len(skipped)
        total.unaccounted += len(due - seen.keys() - skipped)
        total.twice += sum(n - 1 for n in seen.values())
        total.undue += len(seen.keys() - due)
        pairs = zip(each.published, each.published[1:], strict=False)
        total.out_of_order += sum(after.seq != before.seq + 1 for before, after in pairs)
        total.silent += sum(one.outputs is None and not one.reason for one in each.published)
    return total


def measure(seconds: float) -> list[Figure]:
    """Measure 200 sessions for this long."""
    return measure_sessions(SESSIONS, seconds)


def measure_sessions(sessions: int, seconds: float) -> list[Figure]:
    """Measure this many simulated headsets for this long."""
    with running_service(*map(source, range(sessions)), model="demo") as service:
        return asyncio.run(measure_service(service, sessions, seconds))


def source(nth: int) -> str:
    """Return the URL of a headset."""
    if nth % LOSSY == 1:
        return f"simulate://?seed={nth}&loss=20,0.3"
    return f"simulate://?seed={nth}" + ("&dead=300" if nth % SILENT == 2 else "")


async def measure_service(service: ServiceProcess, sessions: int, seconds: float) -> list[Figure]:
    """Measure a service that watches this many headsets."""
    accounts: dict[str, Account] = {}
    memory: list[float] = []
    left_out, spent = 0, math.nan
    start = end = time.monotonic() + 2 * STARTING
    async with connect_client(service.url) as client:
        while time.monotonic() < end:
            message = await receive_until(client, end)
            if isinstance(message, SessionState) and message.state == "opened":
                accounts[message.session] = Account()
                await send(client, Subscribe(message.session, ["prediction", "link"]))
                if len(accounts) == sessions:
                    start, spent = time.monotonic(), service.cpu()
                    end = start + seconds
            elif isinstance(message, PredictionMessage | LinkMessage):
                accounts[message.session].take(message)
            elif isinstance(message, Skipped):
                left_out += message.last - message.first + 1
            if time.monotonic() >= start + len(memory) * seconds / PARTS:
                memory.append(await asyncio.to_thread(service.rss))
    spent = service.cpu() - spent
    return [
        *balance_figures(balance([*accounts.values()]), len(accounts), left_out),
        *time_figures([*accounts.values()]),
        *memory_figures(memory),
        Figure(
            "CPU time of a session for a second of signal", 1e3 * spent / seconds / sessions, "ms"
        ),
    ]


def balance_figures(total: Balance, sessions: int, left_out: int) -> list[Figure]:
    """Make the figures of what became of each hop."""
    return [
        Figure("sessions", sessions, ""),
        Figure("hops due", total.due, "hops"),
        *(Figure(f"hops: {what}", n, "hops") for what, n in sorted(total.outcomes.items())),
        *(
            Figure(what, n, "", "0", not n)
            for what, n in (
                ("hops neither published nor skipped", total.unaccounted),
                ("hops published twice", total.twice),
                ("hops published that were not due", total.undue),
                ("hops without outputs and without a reason", total.silent),
                ("entries out of order", total.out_of_order),
                ("entries that left the log before they were sent", left_out),
            )
        ),
    ]


def time_figures(accounts: Sequence[Account]) -> list[Figure]:
    """Make the figures of the share in time, by part of the run."""
    timings = [one.timing for each in accounts for one in each.published if one.outputs is not None]
    if not timings:
        return []
    first = min(each.received for each in timings)
    length = (max(each.received for each in timings) - first) / PARTS
    parts: list[list[bool]] = [[] for _ in range(PARTS)]
    for each in timings:
        nth = min(PARTS - 1, int((each.received - first) / length)) if length else 0
        parts[nth].append(each.stepped - each.received <= LIMIT)
    shares = [100 * statistics.fmean(part) for part in parts if part]
    what = f"hops stepped within {1e3 * LIMIT:g} ms, in {PARTS} parts of the run"
    return [
        Figure(f"{what}, least", min(shares), "%", ">= 99 %", min(shares) >= 99),
        Figure(f"{what}, median", statistics.median(shares), "%"),
        Figure(f"{what}, most", max(shares), "%"),
    ]


def memory_figures(memory: Sequence[float]) -> list[Figure]:
    """Make the figures of memory over the run."""
    warm = memory[int(WARM * len(memory)) :]
    if not warm or not all(map(math.isfinite, memory)):
        return []
    return [
        Figure("memory, least", min(memory), "MB"),
        Figure("memory after a third", warm[0], "MB"),
        Figure("memory, most", max(memory), "MB"),
        at_most("growth of memory from then on", 100 * (max(warm) / warm[0] - 1), "%", FLAT),
    ]
