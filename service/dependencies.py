"""What the API's routes are given of the running service."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from service.people import People
from service.recordings import Recordings
from service.session import Session
from service.sessions import Sessions
from service.tally import Totals


def totals_of(scope: Scope) -> Totals:
    """Where a request's fate is counted."""
    totals: Totals = scope["app"].state.running.hub.totals
    return totals


def _sessions(connection: HTTPConnection) -> Sessions:
    sessions: Sessions = connection.app.state.running.sessions
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


AllSessions = Annotated[Sessions, Depends(_sessions)]
OneSession = Annotated[Session, Depends(_session)]
"""The one that the path names; NoSession where there is none."""
AllRecordings = Annotated[Recordings, Depends(_recordings)]
AllPeople = Annotated[People, Depends(_people)]
WholeRecording = Annotated[asyncio.Lock, Depends(_reading)]
"""To be held by whoever has a whole recording in memory: one at a time."""
