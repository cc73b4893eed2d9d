"""Routes of replays: control playback, and read the recorded predictions."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from mimamba.drivers.driver import Playback, Seekable
from mimamba.drivers.errors import BadPlayback, BadRecording
from mimamba.drivers.replay.driver import MAX_SPEED, MIN_SPEED
from mimamba.drivers.replay.position import find_marker
from mimamba.service.api.dependencies import AllRecordings, OneSession, ReadLock
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.sessions.session import Session

if TYPE_CHECKING:
    from mimamba.service.recordings.verify import RecordedPredictions

MAX_POINTS = 1000
"""Points of a timeline, about as many as a screen can show."""

Speed = Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED)] | Literal["max"]


class NoReplay(RuntimeError):
    """The session plays no recording, or has ended."""


@dataclass(frozen=True)
class MarkerPosition:
    """A marker of a recording, and its position (s)."""

    position: float
    label: str
    source: str


@dataclass(frozen=True)
class Replay:
    """State of a replay: ``drivers.driver.Playback`` in JSON, and the recording's markers."""

    position: float
    length: float
    speed: float | Literal["max"]
    paused: bool
    loop: bool
    markers: list[MarkerPosition]


class ReplayChange(BaseModel):
    """Changes of a replay; absent fields stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    paused: bool | None = None
    position: float | None = Field(
        default=None, ge=0, description="Continue from here (s). This starts a new epoch."
    )
    marker: str | None = Field(
        default=None, max_length=1024, description="Continue from the marker with this label."
    )
    nth: int = Field(default=1, ge=1, description="Number among the markers with this label.")
    speed: Speed | None = Field(
        default=None, description="Multiple of the recorded pace, or 'max'."
    )
    loop: bool | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ReplayChange:
        if self.position is not None and self.marker is not None:
            raise ValueError("Expected position or marker, but found both. Remove one.")
        if self.marker is None and "nth" in self.model_fields_set:
            raise ValueError("Expected a marker with nth, but found none. Name one, or remove nth.")
        return self


def replay(seekable: Seekable) -> Replay:
    """Return the present state of a replay."""
    now: Playback = seekable.playback()
    markers = [
        MarkerPosition(each.timestamp, each.label, each.source) for each in seekable.markers()
    ]
    speed: float | Literal["max"] = "max" if now.speed == math.inf else now.speed
    return Replay(now.position, now.length, speed, now.paused, now.loop, markers)


def change_replay(seekable: Seekable, change: ReplayChange) -> None:
    """Apply all changes, or none if the position does not exist.

    Raises
    ------
    BadPlayback
        If the recording has no such position or marker.
    """
    position = _position(seekable, change)
    if change.paused:
        seekable.pause()
    if position is not None:
        seekable.seek(position)
    if change.speed is not None:
        seekable.set_speed(math.inf if change.speed == "max" else change.speed)
    if change.loop is not None:
        seekable.set_loop(change.loop)
    if change.paused is False:
        seekable.resume()


def _position(seekable: Seekable, change: ReplayChange) -> float | None:
    if change.marker is not None:
        return find_marker(seekable.markers(), change.marker, change.nth)
    length = seekable.playback().length
    if change.position is not None and change.position > length:
        found = f"{change.position:g} s"
        raise BadPlayback(f"a position up to {length:g} s", found, "choose an earlier one")
    return change.position


replay_api = APIRouter(prefix="/v1/sessions", tags=["replay"], responses=PROBLEMS)


def seekable_of(session: Session) -> Seekable:
    """Return the controls of a session's recording; raise NoReplay if it has none."""
    if session.seekable is not None:
        return session.seekable
    if session.state == "open":
        raise NoReplay(
            f"Expected a session that plays a recording, but {session.name} has a live source. "
            "Choose another session."
        )
    raise NoReplay(
        f"Expected an open session, but {session.name} is {session.state}. "
        "Open it again, with hold=1 to keep it at its end."
    )


# These take longer with many markers, so they are not coroutines: FastAPI gives each a thread, in
# which the JSON is encoded, too.


@replay_api.get("/{session}/replay", response_model=Replay)
def read_replay(session: OneSession) -> Response:
    """Return the state of a session's replay."""
    return _answer(seekable_of(session))


@replay_api.post("/{session}/replay", response_model=Replay)
def control_replay(
    session: OneSession,
    change: ReplayChange,
    recordings: AllRecordings,
) -> Response:
    """Pause, resume, seek, change the speed, or loop; returns the new state.

    The pace cannot change while the session is recorded: the recording's timestamps would jump.
    """
    seekable = seekable_of(session)
    if change.paused or change.speed is not None:
        recordings.check_not_recorded(session)
    change_replay(seekable, change)
    return _answer(seekable)


def _answer(seekable: Seekable) -> Response:
    return Response(msgspec.json.encode(replay(seekable)), media_type="application/json")


@dataclass(frozen=True)
class Timeline:
    """Predictions that a recording contains.

    Parameters
    ----------
    model
        Name of the recorded model; None if the file contains no predictions of mimamba.
    position
        Seconds, as in ``Replay``; increasing, at most 1000 points.
    outputs
        By output and label, a probability for each position: the mean where several predictions
        share a point; null where the model abstained.
    """

    model: str | None = None
    position: list[float] = field(default_factory=list)
    outputs: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)


@replay_api.get("/{session}/timeline")
async def read_timeline(session: OneSession, read_lock: ReadLock) -> Timeline:
    """Return the predictions that a session's recording contains. Reads one file at a time."""
    seekable_of(session)
    assert session.info is not None
    async with read_lock:
        return await asyncio.to_thread(timeline, Path(session.info.source_id))


def timeline(path: Path, max_points: int = MAX_POINTS) -> Timeline:
    """Return a file's predictions; an empty timeline if it is not of mimamba or unreadable."""
    from mimamba.service.recordings.verify import load_recorded  # imports pyxdf, an extra

    try:
        return _thinned(load_recorded(path), max_points)
    except BadRecording:
        return Timeline()


def _thinned(recorded: RecordedPredictions, max_points: int) -> Timeline:
    """Reduce predictions to at most so many points, each the mean of equally many."""
    stream = recorded.predictions
    labels = _labels(recorded)
    rows: NDArray[np.float64] = np.asarray(stream.values, np.float64)
    if not (len(rows) and len(recorded.index)) or rows.shape[1] != len(labels) + 2:
        return Timeline()
    together = -(-len(rows) // max_points)
    parts = np.split(rows, range(together, len(rows), together))
    index = np.array([part[:, -2].mean() for part in parts])
    position = (index - recorded.index[0]) / recorded.signal.rate
    outputs: dict[str, dict[str, list[float | None]]] = {}
    for column, (output, label) in enumerate(labels):
        outputs.setdefault(output, {})[label] = [_mean(part[:, column]) for part in parts]
    return Timeline(stream.text("desc/mimamba/model/name"), position.tolist(), outputs)


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def _labels(recorded: RecordedPredictions) -> list[tuple[str, str]]:
    """Return the output and label of each channel that has them, in order."""
    texts = recorded.predictions.labels
    return [(output, label) for output, slash, label in (t.partition("/") for t in texts) if slash]
