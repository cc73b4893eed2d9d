"""The part of wire protocol v1 by which a remote acquirer sends samples to the service.

The acquirer says ``push`` and is answered ``pushing``; it sends ``samples`` and is answered
``ack``. After a lost connection it says ``push`` again and goes on where ``pushing`` says.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from mimamba.drivers.driver import LinkChange, Marker, StreamInfo

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""Browsers count in float64."""
Float32s: TypeAlias = Annotated[
    bytes, msgspec.Meta(description="float32, little-endian: base64 in JSON, bin in msgpack.")
]
Float64s: TypeAlias = Annotated[
    bytes, msgspec.Meta(description="float64, little-endian: base64 in JSON, bin in msgpack.")
]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]


class Push(msgspec.Struct, frozen=True, tag="push", omit_defaults=True):
    """Open a session whose samples come over this connection, or go on with it; see pushing.

    ``stream`` is the acquirer's own name for this run of its source, unique in the world: with the
    same one it finds its session again. ``session`` is the id wished for, ``model`` a checkpoint's
    name or ``none``; both are the service's choice where they are absent.
    """

    stream: Annotated[str, msgspec.Meta(min_length=16, max_length=64)]
    info: StreamInfo
    session: Name | None = None
    model: Name | None = None
    memory: bool = True
    id: str | int | None = None


class Samples(msgspec.Struct, frozen=True, tag="samples", omit_defaults=True):
    """The next samples of a push session, acknowledged by ack; one seen before changes nothing.

    ``seq`` grows by one with each message, by more where the acquirer dropped some. ``first``,
    ``timestamps`` and ``data`` are as in signal, in the numbering of the acquirer's ``epoch``, but
    ``timestamps``, like those of ``markers`` and ``changes``, are on the acquirer's clock;
    ``offset`` is the service's clock less that one, as the acquirer estimates it from pongs.
    ``changes`` is what befell the link to its device before these samples. ``ends`` is true in the
    last message. One that is refused is answered by an error with ``seq`` as its id.
    """

    session: str
    seq: Count
    first: Count
    timestamps: Float64s
    data: Float32s
    offset: float
    epoch: Count = 0
    markers: Annotated[list[Marker], msgspec.Meta(max_length=1024)] = []
    changes: Annotated[list[LinkChange], msgspec.Meta(max_length=1024)] = []
    ends: bool = False


class Pushing(msgspec.Struct, frozen=True, tag="pushing", omit_defaults=True):
    """The push session ``session`` is open; send samples from ``next`` on."""

    session: str
    stream: str
    next: int
    id: str | int | None = None


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """All samples messages up to ``seq`` are here; the acquirer need not keep them."""

    session: str
    seq: int
