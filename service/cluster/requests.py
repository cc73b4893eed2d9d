"""Requests to a session that a worker has, and its answers.

A request is a message in the session's input, in order with its packets: so another worker that
continues the session does the same at the same sample.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NoReturn, TypeAlias

import msgspec
import numpy as np

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import Mismatch
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.models.inference.device import DeviceError
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.engine.engine import EngineStopped
from mimamba.service.people.carried_people import CarriedPerson
from mimamba.service.people.people import DamagedPerson, NoPerson, PersonRefused
from mimamba.service.protocol.personal import CalibrationEntry, HeadCard, RatingEntry
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.personal_decoder import HopsBefore, ServedHead
from mimamba.service.sessions.registry import ModelChoice, SessionFailed, SessionRegistry
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.sessions.session_decoder import NoBaseline
from mimamba.service.topics import Topic

log = logging.getLogger(__name__)

ANSWER_SECONDS = 15.0
"""For an answer of the worker, who may have to load a model, or be taken over first."""


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
    | ForgetPerson
    | UseHead
    | TakeHeadAway
    | SetPerson
    | ChangeHeadCard
    | LogMarker
    | LogCalibration
    | LogRating
    | LogStudy
    | FindHops
    | TakeSnapshot
    | LogRecording
)


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A request; its answer has the same ``id``."""

    id: str
    asked: Asked


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


MISMATCHES: Final[dict[str, type[Mismatch]]] = {
    each.__name__: each
    for each in (CheckpointError, DeviceError, HeadError, MontageError, NoBaseline, SignalError)
}
OTHERS: Final[dict[str, type[Exception]]] = {
    each.__name__: each
    for each in (
        DamagedPerson,
        EngineStopped,
        NoPerson,
        PersonRefused,
        SessionFailed,
        SessionOver,
    )
}
REFUSALS: Final = (*MISMATCHES.values(), *OTHERS.values())
"""Errors that refuse a request: they are the answer."""


async def fulfil(request: Request, session: Session, sessions: SessionRegistry) -> Answer:
    """Do what a request asks, once all packets before it are computed; return the answer."""
    try:
        if isinstance(request.asked, TakeSnapshot):
            place = await asyncio.to_thread(session.snapshot, request.asked.fresh_head)
            epoch, next_head = place.logs.epoch, place.next_head
            start = RecordingStart(epoch, place.first, place.next, place.state, next_head)
            return Answer(request.id, position=start)
        if isinstance(request.asked, FindHops):
            index, seconds = request.asked.index, request.asked.seconds
            hops = await asyncio.to_thread(session.hops_before, index, seconds)
            return Answer(request.id, hops=None if hops is None else carry_hops(hops))
        await _do(request.asked, session, sessions)
        return Answer(request.id)
    except REFUSALS as error:
        reason = str(error)
        log.info("a request was refused", extra={"session": session.name, "reason": reason})
        parts: tuple[str, ...] = (reason,)
        if isinstance(error, Mismatch):
            parts = error.expected, error.found, error.remedy
        return Answer(request.id, Refusal(type(error).__name__, parts))


async def _do(asked: Asked, session: Session, sessions: SessionRegistry) -> None:
    if isinstance(asked, PlaceMarker):
        session.add_marker(asked.marker)
    elif isinstance(asked, UseModel):
        change = await sessions.prepare_model(session, asked.choice)
        await asyncio.to_thread(change)
    elif isinstance(asked, BeginBaseline):
        name = carry(session, asked.person)
        await asyncio.to_thread(session.begin_baseline, asked.seconds, name)
    elif isinstance(asked, UseBaseline):
        session.subject.carry(asked.person)
        await asyncio.to_thread(session.use_baseline, asked.person.name)
    elif isinstance(asked, ForgetPerson):
        session.forget_person(asked.person)
    elif isinstance(asked, CancelBaseline):
        await asyncio.to_thread(session.cancel_baseline)
    elif isinstance(asked, LogRecording):
        session.report_recording(asked.detail)
    else:
        await _do_personal(asked, session)


async def _do_personal(asked: Asked, session: Session) -> None:
    """Do what is asked for a person's own output, or a calibration of it."""
    if isinstance(asked, UseHead):
        fit = decode_head(asked.content, f"the request for {session.name}")
        head = ServedHead(asked.card, fit, asked.content, asked.rest)
        await asyncio.to_thread(session.set_head, head, carry(session, asked.person))
    elif isinstance(asked, TakeHeadAway):
        await asyncio.to_thread(session.set_head, None)
    elif isinstance(asked, SetPerson):
        session.subject.carry(asked.person)
        session.set_person(asked.person.name)
    elif isinstance(asked, ChangeHeadCard):
        await asyncio.to_thread(session.change_head_card, asked.card)
    elif isinstance(asked, LogMarker):
        session.log_marker(asked.marker)
    elif isinstance(asked, LogCalibration | LogRating | LogStudy):
        session.log_personal(asked.entry)


def carry_hops(hops: HopsBefore) -> CarriedHops:
    """Encode hops for a gateway."""
    rest = hops.rest
    power = b"" if rest is None else np.ascontiguousarray(rest.log_power, "<f8").tobytes()
    values = np.ascontiguousarray(hops.values, "<f8").tobytes()
    seconds = 0.0 if rest is None else rest.seconds
    return CarriedHops(hops.epoch, hops.start, len(hops.values), values, seconds, power)


def read_hops(carried: CarriedHops) -> HopsBefore:
    """Decode hops from a worker."""
    values = np.frombuffer(carried.values, "<f8")
    values = values.reshape(carried.n_hops, values.size // max(1, carried.n_hops))
    rest = None
    if carried.log_power:
        power = np.frombuffer(carried.log_power, "<f8").reshape(-1, len(BAND_CENTRES))
        rest = Baseline(power, carried.seconds)
    return HopsBefore(carried.epoch, carried.start, values, rest)


def carry(session: Session, person: CarriedPerson | None) -> str | None:
    """Let a session know a person; return the pseudonym. Raises as ``unpack_person``."""
    if person is None:
        return None
    session.subject.carry(person)
    return person.name


def raise_refusal(refusal: Refusal) -> NoReturn:
    """Raise the error of an answer, as the worker had it."""
    if refusal.kind in MISMATCHES and len(refusal.parts) == 3:
        raise MISMATCHES[refusal.kind](*refusal.parts)
    raise OTHERS.get(refusal.kind, SessionOver)(" ".join(refusal.parts))
