"""Subjects on the bus, and what the messages under them say.

- ``in.SHARD.SESSION``: the packets of a session's source, orders and requests for the session
- ``out.SHARD.lease``: the worker that computes a shard; it guards all else in the shard
- ``out.SHARD.results.SESSION``: everything that the logs of a session say
- ``out.SHARD.state.SESSION``: the state with which another worker continues it
- ``out.SHARD.view.SESSION``: the session as the API shows it
- ``out.SHARD.answers.SESSION``: answers to requests
- ``in.SHARD.taken.SESSION.ID``: a note that a worker carries a request out, or that it is void
- ``keys.session.SHARD.SESSION``: its source, and the model wanted; empty once it is closed
- ``keys.worker.WORKER``: a worker that is alive
- ``keys.recording.SESSION``: a recording in progress; empty once it has ended
- ``in.SHARD.study.SESSION``: a study that goes on; empty once it has ended
- ``in.SHARD.feedback.SESSION``: feedback that goes on; empty once it has ended

Those of studies and feedback say whose values are shown, and a headset may read ``keys``.
"""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.electrode import Electrode
from mimamba.service.cluster.head_readings import HeadReadings
from mimamba.service.cluster.request_messages import Request
from mimamba.service.logs.epoch_logs import ActiveModel, LinkEntry
from mimamba.service.people.carried_people import CarriedPerson, TakenBaseline
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.messages import (
    BandsMessage,
    CalibrationMessage,
    HeartMessage,
    LinkMessage,
    MarkerMessage,
    MotionMessage,
    PPGMessage,
    PredictionMessage,
    QualityMessage,
    RatingMessage,
    SignalMessage,
    StudyMessage,
)
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.protocol.push import Push, Samples
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.topics import Model, Topic

log = logging.getLogger(__name__)

FEEDBACK_KEYS = "in.*.feedback.*"
"""Pattern of the subjects of all sessions' feedback."""
STUDY_KEYS = "in.*.study.*"
"""Pattern of the subjects of all sessions' studies."""
SHARDS = 64
"""Parts of all sessions. A worker takes whole shards, and follows one subject for each."""

Kind: TypeAlias = Literal["results", "state", "view", "answers"]


class Order(msgspec.Struct, frozen=True, tag="order"):
    """An order for a session, in order with the packets of its source.

    ``begin``: its packets come after this. ``lost``: no packet has come for a while. ``close``: end
    and forget the session. An order that a worker gives by itself holds if no packets have come
    after the number ``after`` in ``in``: one that was cut off from the bus has heard none.
    """

    order: Literal["begin", "lost", "close"]
    after: int | None = None


class Packets(msgspec.Struct, frozen=True, tag="packets"):
    """The next packets of a session's source, in order."""

    packets: list[Samples]


class Viewed(msgspec.Struct, frozen=True, tag="viewed"):
    """Somebody at a gateway views the session's signal, for so many seconds from now on.

    It changes nothing but when the signal is sent.
    """

    seconds: float


class Announcement(msgspec.Struct, frozen=True):
    """A session: its source, the number in ``in`` after which its packets come, and its person."""

    push: Push
    session: str
    after: int
    person: CarriedPerson | None = None


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker that is alive.

    ``taken`` counts shards taken over from workers that were gone, ``moved`` those given to others.
    ``cpu`` is the share of one core that it uses.
    """

    worker: str
    host: str
    sessions: int
    capacity: int
    shards: int
    taken: int
    moved: int
    cpu: float = 0.0


class Lease(msgspec.Struct, frozen=True):
    """The worker of a shard; None gives it back."""

    worker: str | None


class View(msgspec.Struct, frozen=True):
    """A session as the API shows it; see ``SessionView``.

    ``taken`` is the newest baseline that is to be stored, ``battery`` the device's charge, percent.
    With ``notes`` the worker notes which requests it carries out; older ones do not.
    """

    session: str
    state: Literal["opening", "open", "ended"]
    reason: str | None
    source: str
    epoch: str
    info: StreamInfo
    model: Model | None
    outputs: dict[str, list[str]] | None
    montage: list[Electrode] | None
    delay: float | None
    link: LinkEntry | None
    baseline: SessionBaseline
    worker: str
    head: HeadCard | None = None
    taken: TakenBaseline | None = None
    battery: float | None = None
    notes: bool = False


class SavedState(msgspec.Struct, frozen=True):
    """A session's state, with the number of the last message in ``in`` that it has taken.

    ``choice`` is its model by then, ``rest`` the request whose rest is being taken, and ``packets``
    the number of the last message with packets; None in a state of an older version.
    """

    sequence: int
    content: bytes
    choice: ModelChoice
    rest: str | None = None
    packets: int | None = None


class LoggedFeedback(msgspec.Struct, frozen=True, tag="feedback"):
    """A state of the feedback of a study, with what a recording gets of it."""

    seq: int
    entry: FeedbackEntry


Entry: TypeAlias = (
    PredictionMessage
    | QualityMessage
    | BandsMessage
    | MarkerMessage
    | LinkMessage
    | HeartMessage
    | MotionMessage
    | PPGMessage
    | CalibrationMessage
    | RatingMessage
    | StudyMessage
    | LoggedFeedback
    | SignalMessage
)
BUS_TOPICS: Final[dict[Topic, type[Entry]]] = {
    "prediction": PredictionMessage,
    "quality": QualityMessage,
    "bands": BandsMessage,
    "marker": MarkerMessage,
    "link": LinkMessage,
    "heart": HeartMessage,
    "motion": MotionMessage,
    "ppg": PPGMessage,
    "calibration": CalibrationMessage,
    "rating": RatingMessage,
    "study": StudyMessage,
    "feedback": LoggedFeedback,
    "signal": SignalMessage,
}
"""Topics of a session on the bus, with their messages; the bulky signal is the last."""


class Bundle(msgspec.Struct, frozen=True):
    """Entries of a session's logs, those of each topic in order and without a hole.

    ``first`` has the ``seq`` at which each topic goes on, also where there is no entry. ``models``
    are given with the epoch's first entries, those of a worker that continues it, and each change:
    the present one, with the one before. ``heads`` are outputs of heads.
    """

    epoch: str
    first: dict[Topic, int]
    entries: list[Entry]
    models: list[ActiveModel] = []
    heads: list[HeadReadings] = []


_packer = msgspec.msgpack.Encoder()
Input: TypeAlias = Packets | Order | Request | Viewed
_unpack_input: msgspec.msgpack.Decoder[Input] = msgspec.msgpack.Decoder(Input)
_unpack_bundle = msgspec.msgpack.Decoder(Bundle)


def pack(message: msgspec.Struct) -> bytes:
    """Encode a message."""
    return _packer.encode(message)


def unpack_input(payload: bytes) -> Input:
    """Decode packets, an order or a request; raises MsgspecError."""
    return _unpack_input.decode(payload)


def unpack_bundle(payload: bytes) -> Bundle:
    """Decode results; raises MsgspecError."""
    return _unpack_bundle.decode(payload)


Read = TypeVar("Read", bound=msgspec.Struct)


def decode_or_none(payload: bytes, kind: type[Read]) -> Read | None:
    """Decode a message; log one that cannot be read, and return None."""
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        log.warning("a message was refused", extra={"reason": str(error)})
        return None


def shard_of(session: str) -> int:
    """Return the shard of a session."""
    return int.from_bytes(blake2b(session.encode(), digest_size=4).digest(), "big") % SHARDS


def word_of(session: str) -> str:
    """Return a session's word in subjects: an id may have dots."""
    return session.replace(".", "~")


def input_subject(session: str) -> str:
    """Return the subject of a session's packets."""
    return f"in.{shard_of(session)}.{word_of(session)}"


def taken_subject(session: str, request: str) -> str:
    """Return the subject of the note that decides if a request is carried out."""
    return f"in.{shard_of(session)}.taken.{word_of(session)}.{request}"


def output_subject(session: str, kind: Kind) -> str:
    """Return a subject of what is computed of a session."""
    return f"out.{shard_of(session)}.{kind}.{word_of(session)}"


def session_key(session: str) -> str:
    """Return the subject of a session's announcement."""
    return f"keys.session.{shard_of(session)}.{word_of(session)}"


def recording_key(session: str) -> str:
    """Return the subject of a session's recording."""
    return f"keys.recording.{word_of(session)}"


def study_key(session: str) -> str:
    """Return the subject of a session's study."""
    return f"in.{shard_of(session)}.study.{word_of(session)}"


def feedback_key(session: str) -> str:
    """Return the subject of a session's feedback."""
    return f"in.{shard_of(session)}.feedback.{word_of(session)}"


def lease_subject(shard: int) -> str:
    """Return the subject of a shard's lease."""
    return f"out.{shard}.lease"
