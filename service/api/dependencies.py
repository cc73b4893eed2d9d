"""Parts of the running service that the routes depend on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from mimamba.service.api.shutdown import Shutdown
from mimamba.service.calibration.calibrations import Calibrations
from mimamba.service.calibration.heads import Heads
from mimamba.service.feedback.feedback_runs import FeedbackRuns
from mimamba.service.people.people import People
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.remote_sources import RemoteSources
from mimamba.service.sessions.session import Session
from mimamba.service.settings.settings import Settings
from mimamba.service.stream.hub import Hub
from mimamba.service.studies.studies import Studies


@dataclass
class ServiceState:
    """Parts of a running service."""

    settings: Settings
    hub: Hub
    sessions: SessionRegistry
    recordings: Recordings
    people: People
    calibrations: Calibrations
    heads: Heads
    studies: Studies
    feedback: FeedbackRuns
    remote_sources: RemoteSources
    shutdown: Shutdown


def _running(connection: HTTPConnection) -> ServiceState:
    service: ServiceState = connection.app.state.running
    return service


# Coroutines, since a plain function would be called in a thread of its own, for each request.


async def _service(connection: HTTPConnection) -> ServiceState:
    return _running(connection)


async def _sessions(connection: HTTPConnection) -> SessionRegistry:
    return _running(connection).sessions


async def _session(connection: HTTPConnection, session: str) -> Session:
    return _running(connection).sessions.get(session)


async def _followed_session(connection: HTTPConnection, session: str) -> Session:
    sessions = _running(connection).sessions
    await sessions.ready(session)
    return sessions.get(session)


async def _recordings(connection: HTTPConnection) -> Recordings:
    return _running(connection).recordings


async def _people(connection: HTTPConnection) -> People:
    return _running(connection).people


async def _calibrations(connection: HTTPConnection) -> Calibrations:
    return _running(connection).calibrations


async def _heads(connection: HTTPConnection) -> Heads:
    return _running(connection).heads


async def _studies(connection: HTTPConnection) -> Studies:
    return _running(connection).studies


async def _feedback(connection: HTTPConnection) -> FeedbackRuns:
    return _running(connection).feedback


async def _read_lock(connection: HTTPConnection) -> asyncio.Lock:
    lock: asyncio.Lock = connection.app.state.read_lock
    return lock


async def _archive_lock(connection: HTTPConnection) -> asyncio.Lock:
    lock: asyncio.Lock = connection.app.state.archive_lock
    return lock


Service = Annotated[ServiceState, Depends(_service)]
AllSessions = Annotated[SessionRegistry, Depends(_sessions)]
OneSession = Annotated[Session, Depends(_session)]
"""The session that the path names; raises NoSession."""
FollowedSession = Annotated[Session, Depends(_followed_session)]
"""The same, with logs that hold what a bus has of it; also raises NotStored."""
AllRecordings = Annotated[Recordings, Depends(_recordings)]
AllPeople = Annotated[People, Depends(_people)]
AllCalibrations = Annotated[Calibrations, Depends(_calibrations)]
AllHeads = Annotated[Heads, Depends(_heads)]
AllStudies = Annotated[Studies, Depends(_studies)]
AllFeedback = Annotated[FeedbackRuns, Depends(_feedback)]
ReadLock = Annotated[asyncio.Lock, Depends(_read_lock)]
"""Held by a route that has a whole recording in memory: one at a time."""
ArchiveLock = Annotated[asyncio.Lock, Depends(_archive_lock)]
"""Held by a route that writes an archive, which may take minutes: one at a time."""
