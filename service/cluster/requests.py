"""Requests to a session that a worker has, and its answers.

A request is a message in the session's input, in order with its packets: so another worker that
continues the session does the same at the same sample.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NoReturn, TypeAlias

import msgspec

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.models.inference.device import DeviceError
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.engine.engine import EngineStopped
from mimamba.service.people.carried_people import CarriedPerson
from mimamba.service.people.people import DamagedPerson, NoPerson, PersonRefused
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.personal_decoder import ServedHead
from mimamba.service.sessions.registry import ModelChoice, SessionFailed, SessionRegistry
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.sessions.session_decoder import NoBaseline
from mimamba.service.topics import Topic

log = logging.getLogger(__name__)


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


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request; ``position`` is that of a snapshot."""

    id: str
    refusal: Refusal | None = None
    position: RecordingStart | None = None


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
        return Answer(request.id, None, await _do(request.asked, session, sessions))
    except REFUSALS as error:
        reason = str(error)
        log.info("a request was refused", extra={"session": session.name, "reason": reason})
        parts: tuple[str, ...] = (reason,)
        if isinstance(error, Mismatch):
            parts = error.expected, error.found, error.remedy
        return Answer(request.id, Refusal(type(error).__name__, parts))


async def _do(asked: Asked, session: Session, sessions: SessionRegistry) -> RecordingStart | None:
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
    elif isinstance(asked, UseHead):
        fit = decode_head(asked.content, f"the request for {session.name}")
        head = ServedHead(asked.card, fit, asked.content, asked.rest)
        await asyncio.to_thread(session.set_head, head, carry(session, asked.person))
    elif isinstance(asked, TakeHeadAway):
        await asyncio.to_thread(session.set_head, None)
    elif isinstance(asked, CancelBaseline):
        await asyncio.to_thread(session.cancel_baseline)
    elif isinstance(asked, LogRecording):
        session.report_recording(asked.detail)
    else:
        place = await asyncio.to_thread(session.snapshot, asked.fresh_head)
        epoch = place.logs.epoch
        return RecordingStart(epoch, place.first, place.next, place.state, place.next_head)
    return None


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
