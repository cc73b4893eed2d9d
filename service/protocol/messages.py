"""Wire protocol v1: every message between the service and its subscribers.

Text frames are JSON; with the subprotocol ``mimamba.v1.msgpack`` every frame is msgpack of the same
structures. Arrays are raw little-endian bytes (base64 in JSON). Each message is an object whose
``type`` names it; unknown fields are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from mimamba.drivers.driver import StreamInfo
from mimamba.models.body.heart_rate import HeartReason
from mimamba.models.prediction import LabelSet, Outputs, Status
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.measures import ChannelBands, ChannelQuality
from mimamba.service.protocol.auth import Auth, Scope
from mimamba.service.protocol.feedback_state import FeedbackState
from mimamba.service.protocol.personal import (
    CalibrationProgress,
    HeadCard,
    PersonalReading,
    VerdictNote,
)
from mimamba.service.protocol.push import Ack, Float32s, Float64s, Push, Pushing, Samples
from mimamba.service.protocol.study_progress import StudyProgress
from mimamba.service.topics import LinkEvent, Model, Timing, Topic

PROTOCOL = "mimamba.v1"
MSGPACK_SUBPROTOCOL = "mimamba.v1.msgpack"


# From a client -----------------------------------------------------------------------------------


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reader's position: the last ``seq`` that it has of each topic, in this epoch."""

    epoch: str
    seq: dict[Topic, int] = {}


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", omit_defaults=True):
    """Send these topics of a session: after ``since`` if it is given, else from now on."""

    session: str
    topics: list[Topic]
    since: Position | None = None
    id: str | int | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe", omit_defaults=True):
    """Send no more of these topics, or of any topic if ``topics`` is absent."""

    session: str
    topics: list[Topic] | None = None
    id: str | int | None = None


class Mark(msgspec.Struct, frozen=True, tag="mark", omit_defaults=True):
    """Set a marker in a session: at ``timestamp`` on the LSL clock, or at this message's arrival.

    It is answered by ok, or by an error if the label or the time is not valid.
    """

    session: str
    label: str
    timestamp: float | None = None
    id: str | int | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping", omit_defaults=True):
    """Answered by pong with the same ``t``."""

    t: float
    id: str | int | None = None


ClientMessage: TypeAlias = Auth | Subscribe | Unsubscribe | Mark | Ping | Push | Samples


# From the service --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """The same instant on the LSL clock and in UNIX time, seconds."""

    lsl: float
    unix: float


class Hello(msgspec.Struct, frozen=True, tag="hello", omit_defaults=True):
    """The first message on every connection, and the answer to ``auth``.

    ``scope`` says what the connection may do: ``view``, or ``control`` as well; ``login`` is true
    if it came by a login. Without a token there is no scope and no clock, and ``auth`` must follow
    within 5 s.
    """

    protocol: str
    server: str
    clock: Clock | None
    scope: Scope | None
    login: bool = False
    id: str | int | None = None


class Subscribed(msgspec.Struct, frozen=True, tag="subscribed", omit_defaults=True):
    """The session as it is from here on; sent again when the model or the epoch changes.

    ``model`` and ``outputs`` are null if the session runs without a model. ``delay`` is that of the
    signal path, seconds. ``next`` is the ``seq`` that each topic's next entry will have.
    ``head`` is the person's own output, absent without one.
    """

    session: str
    epoch: str
    info: StreamInfo
    model: Model | None
    outputs: dict[str, list[str]] | None
    montage: list[Electrode] | None
    delay: float | None
    next: dict[Topic, int]
    id: str | int | None = None
    head: HeadCard | None = None


class Ok(msgspec.Struct, frozen=True, tag="ok"):
    """The client's message ``id`` was carried out."""

    id: str | int


class Pong(msgspec.Struct, frozen=True, tag="pong", omit_defaults=True):
    """The answer to ping, with its ``t``."""

    t: float
    clock: Clock
    id: str | int | None = None


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """Sent once a second: browsers do not see the pings of WebSockets."""

    clock: Clock


class SessionState(msgspec.Struct, frozen=True, tag="session"):
    """Sent to every connection, and for each open session right after hello.

    ``reason`` says why a session ended, if it was not closed on request.
    """

    session: str
    state: Literal["opened", "ended", "closed"]
    reason: str | None = None


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """Entries that left the log before they could be sent: ``from`` to ``to``, both included."""

    session: str
    topic: Topic
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class Error(msgspec.Struct, frozen=True, tag="error", omit_defaults=True):
    """The client's message could not be carried out; the connection stays open."""

    code: str
    message: str
    id: str | int | None = None


class PredictionMessage(msgspec.Struct, frozen=True, tag="prediction", omit_defaults=True):
    """One hop's probabilities; ``reason`` says why ``outputs`` is null when status is not ok.

    ``personal`` is the person's own output at this hop or just before it, absent without one.
    ``set`` holds, by output, the ``labels`` among which the true one is nine times in ten, and how
    often it was (``coverage``) in the newest ``labelled`` hops whose label is known; it is absent
    without any.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    status: Status
    reason: str | None
    outputs: Outputs | None
    timing: Timing
    personal: PersonalReading | None = None
    set: dict[str, LabelSet] | None = None


class QualityMessage(msgspec.Struct, frozen=True, tag="quality", omit_defaults=True):
    """Each channel's quality over the 2 s up to sample ``index``, four times a second.

    ``channels`` holds all channels of the source by name: the ``score`` from 0 (useless) to 1
    (good), and the ``reason``, which is null from 0.7 up. ``motion`` is there if the headset's
    gyroscope or accelerometer shows that the head moved in these 2 s; scores do not depend on it.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    channels: dict[str, ChannelQuality]
    motion: str | None = None


class BandsMessage(msgspec.Struct, frozen=True, tag="bands"):
    """Each channel's band power over the 2 s up to sample ``index``, four times a second.

    ``channels`` holds all channels of the source by name: µV² of delta 1-4, theta 4-8, alpha 8-13,
    beta 13-30 and gamma 30-40 Hz; null if a gap leaves too little signal, and in the first 2 s.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    channels: dict[str, ChannelBands]


class SignalMessage(msgspec.Struct, frozen=True, tag="signal"):
    """Raw µV of entries that are contiguous in ``first``; ``seq`` is the last entry's.

    ``data`` is float32, time-major, n_times x n_channels; ``timestamps`` is float64, n_times: both
    little-endian.
    """

    session: str
    seq: int
    first: int
    timestamps: Float64s
    data: Float32s


class PPGMessage(msgspec.Struct, frozen=True, tag="ppg"):
    """Samples of the headset's pulse sensor (photoplethysmogram), contiguous in ``first``.

    ``first``, ``timestamps`` and ``data`` are as in signal, but ``first`` counts this sensor's own
    samples: a jump is a loss. ``channels`` are its lights, NaN where one is missing. ``unit`` is
    ``counts`` where the scale is unknown, ``sfreq`` the nominal rate, Hz.
    """

    session: str
    seq: int
    first: int
    timestamps: Float64s
    data: Float32s
    channels: list[str]
    unit: str
    sfreq: float


class MotionMessage(msgspec.Struct, frozen=True, tag="motion"):
    """Samples of one of the headset's motion sensors; other fields are as in ppg.

    ``sensor`` is ``acceleration`` (g) or ``rotation`` (°/s), each with a numbering of its own.
    ``moved`` says if the head moved in these samples: faster than 20 °/s, or by more than 0.15 g.
    """

    session: str
    seq: int
    sensor: str
    first: int
    timestamps: Float64s
    data: Float32s
    channels: list[str]
    unit: str
    sfreq: float
    moved: bool


class HeartMessage(msgspec.Struct, frozen=True, tag="heart"):
    """Heart rate over the 10 s up to the pulse sensor's sample ``index``, once a second.

    ``rate`` is in beats per minute. ``confidence`` is from 0 (no pulse is visible) to 1 (all beats
    alike); below 0.6 the rate is null, and ``reason`` says why.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    rate: float | None
    confidence: float
    reason: HeartReason | None


class MarkerMessage(msgspec.Struct, frozen=True, tag="marker"):
    """A labelled instant; ``index`` is that of its sample."""

    session: str
    seq: int
    timestamp: float
    index: int
    label: str
    source: str


class LinkMessage(msgspec.Struct, frozen=True, tag="link"):
    """An event of the stream.

    ``connected``, ``lost`` and ``retrying`` report the link to the device; ``paused`` and
    ``playing`` report each change in the replay of a recording. ``gap`` means that the ``lost``
    samples from index ``first`` on were lost; ``hops_skipped`` that the engine was too busy for
    some hops of a live source; ``restarted`` that the model's state was reset at sample ``first``;
    ``model`` that another model, or none, makes the predictions from the first hop after that
    sample on. ``baseline_begun`` means that a baseline of the person is taken from the first hop
    after sample ``first`` on, for as many seconds of good signal as ``detail`` begins with;
    ``baseline_taken`` that it is complete; ``baseline_used`` that a stored one of a person is used
    from there on; ``baseline_stopped`` that the baseline being taken was dropped and the one before
    is used again from there on. ``head`` means that another personal output, or none, is used from
    there on. ``labelled`` means that an output's true label is known from that sample on, as
    ``detail`` says: ``OUTPUT=LABEL``, with ``, once`` behind it for that hop alone; without a label
    it is not known any more. ``recording`` reports that a recording of this session began,
    ended, or may soon end because the disk is nearly full.
    """

    session: str
    seq: int
    timestamp: float
    event: LinkEvent
    detail: str
    first: int | None = None
    lost: int | None = None


class CalibrationMessage(msgspec.Struct, frozen=True, tag="calibration", omit_defaults=True):
    """Progress of the calibration ``id``, once per second of signal and at each change.

    ``verdict`` is there once it is known.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    id: str
    progress: CalibrationProgress
    verdict: VerdictNote | None = None


class RatingMessage(msgspec.Struct, frozen=True, tag="rating"):
    """A person's rating of how they feel, 0 to 100, set at sample ``index``.

    ``personal`` and ``outputs`` are what was predicted last, before the rating was known.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    valence: float
    arousal: float
    personal: PersonalReading | None
    outputs: Outputs | None


class StudyMessage(msgspec.Struct, frozen=True, tag="study"):
    """Progress of the study run ``id`` at a time on the LSL clock, at each change.

    Each step's start is a marker, too.
    """

    session: str
    seq: int
    timestamp: float
    id: str
    progress: StudyProgress


class FeedbackMessage(msgspec.Struct, frozen=True, tag="feedback"):
    """State of a study's feedback ``id`` at a time on the LSL clock, at each new value.

    Both ends are markers, too; the recording has the log.
    """

    session: str
    seq: int
    timestamp: float
    id: str
    state: FeedbackState


TopicMessage: TypeAlias = (
    PredictionMessage
    | QualityMessage
    | BandsMessage
    | SignalMessage
    | PPGMessage
    | MotionMessage
    | HeartMessage
    | MarkerMessage
    | LinkMessage
    | CalibrationMessage
    | RatingMessage
    | StudyMessage
    | FeedbackMessage
)
ServerMessage: TypeAlias = (
    Hello
    | Subscribed
    | Ok
    | Pushing
    | Ack
    | Pong
    | Heartbeat
    | SessionState
    | Skipped
    | Error
    | TopicMessage
)

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_client_json: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_client_msgpack: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_server_json: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_server_msgpack: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)


def encode(message: ServerMessage | ClientMessage, binary: bool) -> bytes:
    """Encode a message as a frame's payload: msgpack if ``binary``, else JSON."""
    return (_msgpack if binary else _json).encode(message)


def decode_client(frame: bytes | str, binary: bool) -> ClientMessage:
    """Decode a client's message; raises msgspec.DecodeError or msgspec.ValidationError."""
    if binary:
        return _client_msgpack.decode(frame.encode() if isinstance(frame, str) else frame)
    return _client_json.decode(frame)


def decode_server(frame: bytes | str) -> ServerMessage:
    """Decode a service's message: text is JSON, bytes are msgpack; raises as ``decode_client``."""
    if isinstance(frame, str):
        return _server_json.decode(frame)
    return _server_msgpack.decode(frame)
