"""The API's replay: how a session's recording is played, and how to change that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from mimamba.drivers.driver import Playback, Seekable
from mimamba.drivers.errors import BadPlayback
from mimamba.drivers.replay.driver import MAX_SPEED, MIN_SPEED
from mimamba.drivers.replay.position import find_marker
from mimamba.service.api.dependencies import AllRecordings, OneSession
from mimamba.service.sessions.session import Session

Speed = Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED)] | Literal["max"]


class NoReplay(RuntimeError):
    """A session is no recording, or none that can be played any more."""


@dataclass(frozen=True)
class MarkerPosition:
    """A marker of a recording, and its position in s."""

    position: float
    label: str
    source: str


@dataclass(frozen=True)
class Replay:
    """How a recording is played: ``drivers.driver.Playback`` in JSON, and its markers."""

    position: float
    length: float
    speed: float | Literal["max"]
    paused: bool
    loop: bool
    markers: list[MarkerPosition]


class ReplayChange(BaseModel):
    """What shall be otherwise; all else stays."""

    model_config = ConfigDict(extra="forbid")

    paused: bool | None = None
    position: float | None = Field(
        default=None, ge=0, description="Go on from here, s. This starts a new epoch."
    )
    marker: str | None = Field(
        default=None, max_length=1024, description="Go on from the marker with this label."
    )
    nth: int = Field(default=1, ge=1, description="Which one of the markers with this label.")
    speed: Speed | None = Field(default=None, description="Times the recorded pace, or 'max'.")
    loop: bool | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ReplayChange:
        if self.position is not None and self.marker is not None:
            raise ValueError("Expected position or marker, but found both. Take one out.")
        if self.marker is None and "nth" in self.model_fields_set:
            raise ValueError(
                "Expected a marker with nth, but found none. Name one, or take nth out."
            )
        return self


def replay(seekable: Seekable) -> Replay:
    """How it is played now."""
    now: Playback = seekable.playback()
    markers = [
        MarkerPosition(each.timestamp, each.label, each.source) for each in seekable.markers()
    ]
    speed: float | Literal["max"] = "max" if now.speed == math.inf else now.speed
    return Replay(now.position, now.length, speed, now.paused, now.loop, markers)


def change_replay(seekable: Seekable, change: ReplayChange) -> None:
    """Change it, or nothing where the place is not there.

    Raises
    ------
    BadPlayback
        If the recording has no such position or marker.
    """
    place = _place(seekable, change)
    if change.paused:
        seekable.pause()
    if place is not None:
        seekable.seek(place)
    if change.speed is not None:
        seekable.set_speed(math.inf if change.speed == "max" else change.speed)
    if change.loop is not None:
        seekable.set_loop(change.loop)
    if change.paused is False:
        seekable.resume()


def _place(seekable: Seekable, change: ReplayChange) -> float | None:
    if change.marker is not None:
        return find_marker(seekable.markers(), change.marker, change.nth)
    length = seekable.playback().length
    if change.position is not None and change.position > length:
        found = f"{change.position:g} s"
        raise BadPlayback(f"a position up to {length:g} s", found, "choose an earlier one")
    return change.position


replay_api = APIRouter(prefix="/v1/sessions", tags=["replay"])


def seekable_of(session: Session) -> Seekable:
    """What can be done with a session's recording; raises NoReplay."""
    if session.seekable is not None:
        return session.seekable
    what = "a live source"
    if session.state != "open":
        what = f"{session.state}; open it again, with hold=1 to keep it at its end"
    raise NoReplay(
        f"Expected an open session of a recording, but found that {session.name} is {what}."
    )


# These take the longer, the more markers there are, so they are not coroutines: FastAPI gives each
# a thread, in which the JSON is made, too.


@replay_api.get("/{session}/replay", response_model=Replay)
def read_replay(session: OneSession) -> Response:
    """How a session's recording is played."""
    return _answer(seekable_of(session))


@replay_api.post("/{session}/replay", response_model=Replay)
def control_replay(
    session: OneSession,
    change: ReplayChange,
    recordings: AllRecordings,
) -> Response:
    """Pause it, play on, seek, change its speed, or let it loop; answers how it is played then.

    While the session is recorded its pace stays, or the recording's timestamps would jump.
    """
    seekable = seekable_of(session)
    if change.paused or change.speed is not None:
        recordings.check_free(session)
    change_replay(seekable, change)
    return _answer(seekable)


def _answer(seekable: Seekable) -> Response:
    return Response(msgspec.json.encode(replay(seekable)), media_type="application/json")
