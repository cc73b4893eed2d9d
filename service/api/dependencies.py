"""What the API's routes are given of the running service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from mimamba.service.api.shutdown import Shutdown
from mimamba.service.people.people import People
from mimamba.service.recordings.library import Recordings
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.remote_sources import RemoteSources
from mimamba.service.sessions.session import Session
from mimamba.service.settings.settings import Settings
from mimamba.service.stream.hub import Hub


def _sessions(connection: HTTPConnection) -> SessionRegistry:
    sessions: SessionRegistry = connection.app.state.running.sessions
    return sessions


def _session(connection: HTTPConnection, session: str) -> Session:
    return _sessions(connection).get(session)


def _recordings(connection: HTTPConnection) -> Recordings:
    recordings: Recordings = connection.app.state.running.recordings
    return recordings


def _people(connection: HTTPConnection) -> People:
    people: People = connection.app.state.running.people
    return people


def _reading(connection: HTTPConnection) -> asyncio.Lock:
    lock: asyncio.Lock = connection.app.state.exporting
    return lock


AllSessions = Annotated[SessionRegistry, Depends(_sessions)]
OneSession = Annotated[Session, Depends(_session)]
"""The one that the path names; NoSession where there is none."""
AllRecordings = Annotated[Recordings, Depends(_recordings)]
AllPeople = Annotated[People, Depends(_people)]
WholeRecording = Annotated[asyncio.Lock, Depends(_reading)]
"""To be held by whoever has a whole recording in memory: one at a time."""


@dataclass
class ServiceState:
    """What a running service consists of."""

    settings: Settings
    hub: Hub
    sessions: SessionRegistry
    recordings: Recordings
    people: People
    pushes: RemoteSources
    end: Shutdown


async def _running(connection: HTTPConnection) -> ServiceState:
    running: ServiceState = connection.app.state.running
    return running


Service = Annotated[ServiceState, Depends(_running)]
