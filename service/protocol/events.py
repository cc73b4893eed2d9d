"""The part of wire protocol v1 that tells what happened: markers, and what befell the stream."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

LinkEvent: TypeAlias = Literal[
    "connected",
    "lost",
    "retrying",
    "paused",
    "playing",
    "gap",
    "hops_skipped",
    "restarted",
    "recording",
    "model",
    "baseline_begun",
    "baseline_taken",
    "baseline_used",
    "baseline_stopped",
]


class MarkerMessage(msgspec.Struct, frozen=True, tag="marker"):
    """A labelled instant; ``index`` is the sample that it belongs to."""

    session: str
    seq: int
    timestamp: float
    index: int
    label: str
    source: str


class LinkMessage(msgspec.Struct, frozen=True, tag="link"):
    """What befell the stream.

    ``connected``, ``lost`` and ``retrying`` tell of the link to the device; ``paused`` and
    ``playing`` of a recording, at each change of how it is played. A ``gap`` means that
    the ``lost`` samples from index ``first`` on never came. ``hops_skipped`` means that the engine
    was too busy for some hops of a live source. ``restarted`` means that the model's state began
    anew at sample ``first``; ``model`` that another one, or none, speaks from the first hop after
    that sample on. ``baseline_begun`` means that the person's rest is taken from the first hop
    after sample ``first`` on, for as many seconds of good signal as ``detail`` begins with, and
    ``baseline_taken`` that it is complete; ``baseline_used`` that an earlier one of a person is
    used from there on; ``baseline_stopped`` that no more is taken, and the one before holds again
    from there on. ``recording`` tells that this session is recorded, is not any more,
    or may soon not be, because the disk is nearly full.
    """

    session: str
    seq: int
    timestamp: float
    event: LinkEvent
    detail: str
    first: int | None = None
    lost: int | None = None
