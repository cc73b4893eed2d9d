"""Placement of shards: each belongs to the live worker with the highest hash for it.

When a worker comes or goes, only the shards move that it gets or had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from hashlib import blake2b

from mimamba.service.cluster.subjects import WorkerStatus

LEASE_SECONDS = 2.0
"""Seconds without a sign of life after which a worker's shards are taken over."""
BEAT_SECONDS = 0.5
"""Seconds between two signs of life."""


def place(shard: int, workers: Iterable[str]) -> str | None:
    """Return the worker of a shard by rendezvous hashing; None where there is none."""
    return max(workers, key=lambda worker: (_weight(shard, worker), worker), default=None)


def _weight(shard: int, worker: str) -> bytes:
    return blake2b(f"{shard}/{worker}".encode(), digest_size=8).digest()


class LiveWorkers:
    """The workers that are alive, by their signs of life on our own clock.

    Parameters
    ----------
    now
        The clock, s.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: dict[str, tuple[WorkerStatus, float]] = {}

    def note(self, status: WorkerStatus) -> None:
        """Note a sign of life."""
        self._seen[status.worker] = status, self._now()

    def forget(self, worker: str) -> None:
        """Remove a worker whose connection is gone; a later sign of life brings it back."""
        self._seen.pop(worker, None)

    def all(self) -> dict[str, WorkerStatus]:
        """The live workers by name."""
        since = self._now() - LEASE_SECONDS
        return {name: status for name, (status, seen) in self._seen.items() if seen >= since}
