"""Routes of a session's calibration: begin or resume, rate a block, finish, stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.api.dependencies import AllCalibrations, FollowedSession, OneSession
from mimamba.service.api.people import Pseudonym
from mimamba.service.calibration.calibrations import SittingNote
from mimamba.service.calibration.live_calibration import LiveCalibration
from mimamba.service.calibration.plan import (
    CalibrationPlan,
    Contrast,
    Dimension,
    PlanError,
    complete_plan,
)
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.personal import CalibrationProgress, VerdictNote
from mimamba.service.storage.private_files import NAME

calibration_api = APIRouter(prefix="/v1", tags=["calibration"], responses=PROBLEMS)

Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class NewCalibration(BaseModel):
    """A calibration to begin, or to resume on the same day."""

    model_config = ConfigDict(extra="forbid")

    person: str = Field(pattern=f"^{NAME}$", description="The session's person from now on.")
    contrast: Contrast | None = Field(
        default=None, description="The two states to tell apart; required unless for a check."
    )
    kinds: tuple[str, str] | None = Field(
        default=None, description="Names of the two states, for the contrast own only."
    )
    dimension: Dimension | None = Field(
        default=None,
        description="Rating that labels a block, for the contrast own only. Default: the task.",
    )
    pairs: int = Field(default=6, ge=4, le=12)
    seconds: float = Field(default=30, ge=6, le=120, description="Seconds of a block.")
    rest: float = Field(default=60, ge=10, le=600, description="Seconds of good signal at rest.")
    cue: float = Field(default=6, ge=1, le=60, description="Seconds before a block.")
    pause: float = Field(default=6, ge=1, le=60, description="Seconds after a rating.")
    resume: bool = Field(
        default=True,
        description="Go on with an unfinished one of this person, contrast and day, if any.",
    )
    check: str | None = Field(
        default=None,
        max_length=100,
        description="Head of an earlier day to check, with blocks of its contrast.",
    )

    def plan(self) -> CalibrationPlan:
        """Return the complete plan; raises PlanError."""
        if self.contrast is None:
            raise PlanError("a contrast", "none", "choose one")
        return complete_plan(
            CalibrationPlan(
                contrast=self.contrast,
                kinds=self.kinds,
                dimension=self.dimension,
                pairs=self.pairs,
                seconds=self.seconds,
                rest=self.rest,
                cue=self.cue,
                pause=self.pause,
            )
        )


class NewBlockRating(BaseModel):
    """A rating of the block that has just ended."""

    model_config = ConfigDict(extra="forbid")

    valence: Scale = Field(description="Unpleasant (0) to pleasant (100).")
    arousal: Scale = Field(description="Calm (0) to excited (100).")
    answer: int | None = Field(
        default=None, description="Last number of the subtraction.", ge=-(10**6), le=10**6
    )


@dataclass(frozen=True)
class BlockView:
    """A block that was done; its rating is null before it is given."""

    kind: str
    valence: float | None
    arousal: float | None
    good: float


@dataclass(frozen=True)
class PlanView:
    """The drawn plan, whose SHA-256 was given out before the first block."""

    text: str


@dataclass(frozen=True)
class CheckView:
    """Result of check blocks."""

    right: int
    of: int
    confirmed: bool


@dataclass(frozen=True)
class CalibrationView:
    """A calibration as the API shows it."""

    id: str
    session: str
    person: str
    contrast: str
    kinds: tuple[str, str]
    dimension: Dimension | None
    pairs: int
    seconds: float
    rest: float
    cue: float
    pause: float
    day: str
    attempt: int
    purpose: str
    resumed: int
    plan_hash: str
    plan: PlanView | None
    progress: CalibrationProgress
    blocks: list[BlockView]
    repeated: int
    verdict: VerdictNote | None
    check: CheckView | None
    reason: str | None


def view_calibration(live: LiveCalibration) -> CalibrationView:
    """View a calibration as it is now."""
    record, state = live.record, live.machine.state
    plan, drawn = record.drawn.plan, record.drawn
    assert plan.kinds is not None
    over = state.phase in ("done", "failed")
    checked = record.check_on(record.day)
    check = CheckView(checked.right, checked.checked, checked.confirmed)
    return CalibrationView(
        id=record.id,
        session=live.session.name,
        person=record.person,
        contrast=plan.contrast,
        kinds=plan.kinds,
        dimension=plan.dimension,
        pairs=plan.pairs,
        seconds=plan.seconds,
        rest=plan.rest,
        cue=plan.cue,
        pause=plan.pause,
        day=record.day,
        attempt=record.attempt,
        purpose=record.purpose,
        resumed=record.resumed,
        plan_hash=drawn.sha256,
        plan=PlanView(drawn.text) if over else None,
        progress=live.progress,
        blocks=[BlockView(b.kind, b.valence, b.arousal, b.good) for b in state.blocks],
        repeated=state.repeated,
        verdict=record.verdict,
        check=check if record.checked_head and state.phase == "done" else None,
        reason=record.reason,
    )


# These wait for the compute loop and the disk, so they are not coroutines.


@calibration_api.post("/sessions/{session}/calibration", status_code=201)
def begin_calibration(
    session: FollowedSession, calibrations: AllCalibrations, new: NewCalibration
) -> CalibrationView:
    """Begin a calibration of a person, or resume the unfinished one of the same day.

    It takes a rest, then blocks in pairs; the order is drawn here and not shown ahead.
    """
    check = new.check
    plan = new.plan() if check is None else calibrations.check_plan(new.person, check)
    return view_calibration(calibrations.begin(session, new.person, plan, new.resume, check))


@calibration_api.get("/sessions/{session}/calibration")
def read_calibration(session: OneSession, calibrations: AllCalibrations) -> CalibrationView:
    """Return the newest calibration of a session."""
    return view_calibration(calibrations.of(session))


@calibration_api.post("/sessions/{session}/calibration/ratings")
def rate_block(
    session: OneSession, calibrations: AllCalibrations, rating: NewBlockRating
) -> CalibrationView:
    """Rate the block that has just ended. The calibration waits for it."""
    live = calibrations.of(session)
    with session.between_chunks():
        live.rate(rating.valence, rating.arousal, rating.answer)
    return view_calibration(live)


@calibration_api.post("/sessions/{session}/calibration/finish")
def finish_calibration(session: OneSession, calibrations: AllCalibrations) -> CalibrationView:
    """End a calibration, and judge it by the blocks that are there."""
    live = calibrations.of(session)
    with session.between_chunks():
        live.finish()
    return view_calibration(live)


@calibration_api.delete("/sessions/{session}/calibration")
def stop_calibration(session: OneSession, calibrations: AllCalibrations) -> CalibrationView:
    """Stop a calibration, and keep what is there; it can be resumed on the same day."""
    live = calibrations.of(session)
    with session.between_chunks():
        live.stop("stopped on request")
    live.wait()
    return view_calibration(live)


@calibration_api.get("/people/{person}/calibrations")
def list_calibrations(calibrations: AllCalibrations, person: Pseudonym) -> list[SittingNote]:
    """List a person's calibrations, the newest first."""
    return calibrations.notes(person)
