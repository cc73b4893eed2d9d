"""Routes of workers: who computes the sessions of a gateway."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from mimamba.service.api.dependencies import AllSessions
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.mirrored_session import MirroredSession
from mimamba.service.http.problem import PROBLEMS

workers_api = APIRouter(prefix="/v1/workers", tags=["workers"], responses=PROBLEMS)


@dataclass(frozen=True)
class WorkerView:
    """A worker that is alive.

    ``cpu`` is the share of one core that it uses. ``taken`` counts shards that it took over from
    workers that were gone, ``given`` those that it gave to others.
    """

    worker: str
    host: str
    sessions: list[str]
    capacity: int
    cpu: float
    shards: int
    taken: int
    given: int


@workers_api.get("")
async def list_workers(sessions: AllSessions) -> list[WorkerView]:
    """List the workers of the bus, with their sessions; none without a bus."""
    if not isinstance(sessions, BusSessions):
        return []
    computed: dict[str, list[str]] = {}
    for name, session in sorted(sessions.all().items()):
        if isinstance(session, MirroredSession):
            computed.setdefault(session.worker, []).append(name)
    return [
        WorkerView(
            each.worker,
            each.host,
            computed.get(each.worker, []),
            each.capacity,
            each.cpu,
            each.shards,
            each.taken,
            each.moved,
        )
        for each in sessions.workers()
    ]
