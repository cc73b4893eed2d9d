"""Messages of requests to a session that a worker has, and of its answers."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mimamba.drivers.driver import Marker
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.service.people.carried_people import CarriedPerson
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.personal import CalibrationEntry, HeadCard, RatingEntry
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.topics import Topic


class PlaceMarker(msgspec.Struct, frozen=True, tag="marker"):
    """Set a marker; its time is on the clock of the source."""

    marker: ReceivedMarker


class UseModel(msgspec.Struct, frozen=True, tag="model"):
    """Use another model, or none."""

    choice: ModelChoice


class BeginBaseline(msgspec.Struct, frozen=True, tag="begin_baseline"):
    """Take the person's rest from now on; None for as long as in the model's training."""

    seconds: float | None
    person: CarriedPerson | None = None


class WithdrawRest(msgspec.Struct, frozen=True, tag="withdraw_rest"):
    """Undo this request's rest, if it is being taken: whoever asked was told so."""

    request: str


class UseBaseline(msgspec.Struct, frozen=True, tag="use_baseline"):
    """Use the stored baseline of a person."""

    person: CarriedPerson


class CancelBaseline(msgspec.Struct, frozen=True, tag="cancel_baseline"):
    """Return to the previous baseline."""


class ForgetPerson(msgspec.Struct, frozen=True, tag="forget_person"):
    """Go on without a person who was deleted."""

    person: str


class UseHead(msgspec.Struct, frozen=True, tag="head"):
    """Use a person's own output: its card, its file, and the seconds of rest to take first."""

    card: HeadCard
    content: bytes
    rest: float
    person: CarriedPerson | None


class TakeHeadAway(msgspec.Struct, frozen=True, tag="no_head"):
    """Use no output of a person's own."""


class SetPerson(msgspec.Struct, frozen=True, tag="person"):
    """Make someone the session's person."""

    person: CarriedPerson


class ChangeHeadCard(msgspec.Struct, frozen=True, tag="head_card"):
    """Show people that a head in use was checked."""

    card: HeadCard


class LogMarker(msgspec.Struct, frozen=True, tag="log_marker"):
    """Log a marker of a known sample."""

    marker: Marker


class LogCalibration(msgspec.Struct, frozen=True, tag="log_calibration"):
    """Log the progress of a calibration, which a gateway has."""

    entry: CalibrationEntry


class LogRating(msgspec.Struct, frozen=True, tag="log_rating"):
    """Log a rating."""

    entry: RatingEntry


class LogStudy(msgspec.Struct, frozen=True, tag="log_study"):
    """Log the progress of a study, which a gateway has."""

    entry: StudyEntry


class LogFeedback(msgspec.Struct, frozen=True, tag="log_feedback"):
    """Log a state of the feedback of a study, which a gateway has."""

    entry: FeedbackEntry


class FindHops(msgspec.Struct, frozen=True, tag="hops"):
    """Answer with what the head measured in the seconds up to a sample."""

    index: int
    seconds: float


class TakeSnapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """Answer with the position and the decoder's state, for a recording.

    With ``fresh_head`` the personal output begins anew, as a recording has it from its start on.
    """

    fresh_head: bool = False


class LogRecording(msgspec.Struct, frozen=True, tag="recording"):
    """Log an event of a recording on the link."""

    detail: str


Asked: TypeAlias = (
    PlaceMarker
    | UseModel
    | BeginBaseline
    | UseBaseline
    | CancelBaseline
    | WithdrawRest
    | ForgetPerson
    | UseHead
    | TakeHeadAway
    | SetPerson
    | ChangeHeadCard
    | LogMarker
    | LogCalibration
    | LogRating
    | LogStudy
    | LogFeedback
    | FindHops
    | TakeSnapshot
    | LogRecording
)


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A request; its answer has the same ``id``.

    With ``noted``, a note on the bus decides if it is carried out: the worker's that it is, or that
    of whoever asked that it is void. Others are carried out whenever a worker comes to them.
    """

    id: str
    asked: Asked
    noted: bool = False


class RecordingStart(msgspec.Struct, frozen=True):
    """A session between two packets; see ``SessionSnapshot``."""

    epoch: str
    first: int | None
    next: dict[Topic, int]
    state: bytes | None
    next_head: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """An error: its kind, and the parts of its sentence."""

    kind: str
    parts: tuple[str, ...]


class CarriedHops(msgspec.Struct, frozen=True):
    """``HopsBefore``; arrays are float64, little-endian, and empty where there is nothing."""

    epoch: str
    start: int
    n_hops: int
    values: bytes
    seconds: float
    log_power: bytes


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request; ``position`` is that of a snapshot, ``hops`` those asked for."""

    id: str
    refusal: Refusal | None = None
    position: RecordingStart | None = None
    hops: CarriedHops | None = None
