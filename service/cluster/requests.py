"""Requests to a session that a worker has, and its answers.

A request is a message in the session's input, in order with its packets: so another worker that
continues the session does the same at the same sample.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import Final, NoReturn

import numpy as np

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.models.inference.device import DeviceError
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.bus.bus import Bus, Guard, NotStored, Overtaken, publish
from mimamba.service.cluster.request_messages import (
    Answer,
    Asked,
    BeginBaseline,
    CancelBaseline,
    CarriedHops,
    ChangeHeadCard,
    FindHops,
    ForgetPerson,
    LogCalibration,
    LogFeedback,
    LogMarker,
    LogRating,
    LogRecording,
    LogStudy,
    PlaceMarker,
    RecordingStart,
    Refusal,
    Request,
    SetPerson,
    TakeHeadAway,
    TakeSnapshot,
    UseBaseline,
    UseHead,
    UseModel,
    WithdrawRest,
)
from mimamba.service.cluster.subjects import taken_subject
from mimamba.service.engine.engine import EngineStopped
from mimamba.service.people.carried_people import CarriedPerson
from mimamba.service.people.people import DamagedPerson, NoPerson, PersonRefused
from mimamba.service.sessions.personal_decoder import HopsBefore, ServedHead
from mimamba.service.sessions.registry import SessionFailed, SessionRegistry
from mimamba.service.sessions.session import Session, SessionOver
from mimamba.service.sessions.session_decoder import NoBaseline

log = logging.getLogger(__name__)

ANSWER_SECONDS = 15.0
"""For an answer of the worker, who may have to load a model, or be taken over first."""
RETRY_SECONDS = 0.02
HOLD_SECONDS: Final = 60.0
"""For which a request holds after it was stored; a note that it is void is kept longer."""
VOID: Final = b"void"
"""Content of a note that a request is void; that of a worker is empty."""
ID: Final = r"[A-Za-z0-9_-]{1,64}"
"""Ids of requests with a note: others do not fit into a subject."""

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


async def take_in_time(bus: Bus, session: str, request: Request, stored: float) -> bool:
    """Note on the bus that a request is carried out; return False where it is void.

    The first note stands, so another worker that continues the session decides the same. Only the
    condition for writing it decides: a reader may be answered by a server that lags.

    Parameters
    ----------
    bus
        The bus.
    session
        Name of the session.
    request
        The request.
    stored
        When the bus stored it, Unix time on the bus's clock, s.
    """
    if not request.noted:
        return True
    if not re.fullmatch(ID, request.id):
        return False
    subject = taken_subject(session, request.id)
    while True:
        with contextlib.suppress(NotStored):
            with contextlib.suppress(Overtaken):
                await publish(bus, subject, b"", guard=Guard(subject, 0))
            for note in await bus.newest(subject):  # none where a server lags
                return note.payload != VOID and note.stored - stored <= HOLD_SECONDS
        await asyncio.sleep(RETRY_SECONDS)


async def make_void(bus: Bus, session: str, request: Request) -> bool:
    """Note that a request is void; return False if a worker has noted that it carries it out.

    Raises NotStored.
    """
    subject = taken_subject(session, request.id)
    while True:
        try:
            await publish(bus, subject, VOID, guard=Guard(subject, 0))
        except Overtaken:
            for note in await bus.newest(subject):
                return note.payload == VOID
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return True


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
    elif isinstance(asked, WithdrawRest):
        await asyncio.to_thread(session.withdraw_rest)
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
    elif isinstance(asked, LogCalibration | LogRating | LogStudy | LogFeedback):
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
