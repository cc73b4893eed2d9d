"""Routes of ratings: how a person feels, at any time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.models.prediction import Outputs
from mimamba.service.api.dependencies import AllCalibrations, AllHeads, FollowedSession
from mimamba.service.bus.bus import NotStored
from mimamba.service.calibration.calibrations import Calibrations, NoCalibration
from mimamba.service.calibration.heads import Heads
from mimamba.service.calibration.ratings import (
    Agreement,
    add_rating,
    agreement_of,
    ratings_of,
)
from mimamba.service.calibration.sittings import CannotCalibrate, NoSitting
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.personal import PersonalReading, RatingEntry
from mimamba.service.sessions.session import Session

ratings_api = APIRouter(prefix="/v1/sessions", tags=["ratings"], responses=PROBLEMS)

Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class NewRating(BaseModel):
    """A rating of how the person feels now."""

    model_config = ConfigDict(extra="forbid")

    valence: Scale = Field(description="Unpleasant (0) to pleasant (100).")
    arousal: Scale = Field(description="Calm (0) to excited (100).")


@dataclass(frozen=True)
class RatingView:
    """A rating, with what was predicted before it was known."""

    session: str
    seq: int
    index: int
    timestamp: float
    valence: float
    arousal: float
    personal: PersonalReading | None
    outputs: Outputs | None


@dataclass(frozen=True)
class RatingsView:
    """The ratings of a session, and their agreement from eight on, by dimension."""

    ratings: list[RatingView]
    agreement: dict[str, Agreement | None]


# These wait for the compute loop or the disk, so they are not coroutines.


@ratings_api.post("/{session}/ratings", status_code=201)
def post_rating(
    session: FollowedSession, calibrations: AllCalibrations, heads: AllHeads, rating: NewRating
) -> RatingView:
    """Rate how the person feels now. A head that is not confirmed today is checked by it."""
    with suppress(NoCalibration):
        if calibrations.of(session).going_on and calibrations.of(session).progress.rating_due:
            raise NotNow(
                "Expected a rating of the block, but found one of the moment. "
                "Send it to calibration/ratings."
            )
    entry = give_rating(session, calibrations, heads, rating.valence, rating.arousal)
    seq = max(seq for seq, each in ratings_of(session) if each == entry)
    return _view(session.name, seq, entry)


def give_rating(
    session: Session,
    calibrations: Calibrations,
    heads: Heads,
    valence: float,
    arousal: float,
) -> RatingEntry:
    """Log a rating, and check and train the session's head by it; raises SessionOver."""
    entry = add_rating(session, valence, arousal)
    with suppress(NoSitting, CannotCalibrate, NotStored):  # the rating is logged anyway
        heads.check_by_rating(session, valence, arousal)
        if not _sits(calibrations, session):
            heads.train_by_rating(session, entry)
    return entry


@ratings_api.get("/{session}/ratings")
def read_ratings(session: FollowedSession) -> RatingsView:
    """Return a session's ratings, and how well they agree with what was predicted before."""
    ratings = [_view(session.name, seq, entry) for seq, entry in ratings_of(session)]
    agreement = {
        "valence": agreement_of(session, "valence"),
        "arousal": agreement_of(session, "arousal"),
    }
    return RatingsView(ratings, agreement)


def _sits(calibrations: Calibrations, session: Session) -> bool:
    """Return whether a calibration goes on in a session: its blocks have ratings of their own."""
    try:
        return calibrations.of(session).going_on
    except NoCalibration:
        return False


def _view(session: str, seq: int, entry: RatingEntry) -> RatingView:
    return RatingView(
        session,
        seq,
        entry.index,
        entry.timestamp,
        entry.valence,
        entry.arousal,
        entry.personal,
        entry.outputs,
    )
