"""Samples from a remote acquirer in wire protocol v1.

The acquirer sends ``push``, answered by ``pushing``, and then ``samples``, answered by ``ack``.
After a lost connection it sends ``push`` again and continues from the ``next`` of ``pushing``.
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
    """Open a session for samples over this connection, or continue it; answered by pushing.

    ``stream`` is the acquirer's globally unique name for this run of its source, by which it finds
    its session again. ``session`` is the id wanted, ``model`` a checkpoint's name or ``none``; the
    service chooses them if they are absent. ``person`` is the pseudonym of the one who wears the
    headset.
    """

    stream: Annotated[str, msgspec.Meta(min_length=16, max_length=64)]
    info: StreamInfo
    session: Name | None = None
    model: Name | None = None
    memory: bool = True
    id: str | int | None = None
    person: Annotated[str, msgspec.Meta(max_length=81)] | None = None


class SensorSamples(msgspec.Struct, frozen=True):
    """Samples that the device measures beside the EEG, as in ppg and motion.

    ``name`` is ``ppg``, ``acceleration`` or ``rotation``; ``timestamps`` are on the acquirer's
    clock.
    """

    name: str
    unit: str
    sfreq: float
    channels: Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]
    first: Count
    timestamps: Float64s
    data: Float32s


class Samples(msgspec.Struct, frozen=True, tag="samples", omit_defaults=True):
    """The next samples of a push session, acknowledged by ack; a repeated one changes nothing.

    ``seq`` grows by one with each message, by more if the acquirer dropped some. ``first``,
    ``timestamps`` and ``data`` are as in signal, in the numbering of the acquirer's ``epoch``, but
    ``timestamps``, like those of ``markers`` and ``changes``, are on the acquirer's clock;
    ``offset`` is the service's clock less that one, as the acquirer estimates it from pongs.
    ``changes`` are those of the link to its device before these samples. ``ends`` is true in the
    last message. ``sensors`` are what else the device has measured meanwhile, and ``battery`` is
    its charge, percent; a service that does not know them ignores them. A refused message is
    answered by an error with ``seq`` as its id. After a message that the service cannot decode,
    push again: it takes no samples over this connection before that.
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
    sensors: Annotated[list[SensorSamples], msgspec.Meta(max_length=1024)] = []
    battery: float | None = None


class Pushing(msgspec.Struct, frozen=True, tag="pushing", omit_defaults=True):
    """The push session ``session`` is open; send samples from ``next`` on."""

    session: str
    stream: str
    next: int
    id: str | int | None = None


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """All samples messages up to ``seq`` have arrived; the acquirer need not keep them."""

    session: str
    seq: int
