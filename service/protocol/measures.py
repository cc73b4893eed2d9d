"""The part of wire protocol v1 that tells what is measured of every channel."""

from __future__ import annotations

import msgspec

from mimamba.models.signal.band_power import ChannelBands
from mimamba.models.signal.channel_quality import ChannelQuality


class QualityMessage(msgspec.Struct, frozen=True, tag="quality"):
    """Each channel's quality over the 2 s up to sample ``index``, four times a second.

    ``channels`` holds all of the source's, by name: ``score`` from 0 (useless) to 1 (good), and the
    ``reason``, null from 0.7 up.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    channels: dict[str, ChannelQuality]


class BandsMessage(msgspec.Struct, frozen=True, tag="bands"):
    """Each channel's band power over the 2 s up to sample ``index``, four times a second.

    ``channels`` holds all of the source's, by name: µV² of delta 1-4, theta 4-8, alpha 8-13, beta
    13-30 and gamma 30-40 Hz; null where a gap leaves too little, and in the first 2 s.
    """

    session: str
    seq: int
    index: int
    timestamp: float
    channels: dict[str, ChannelBands]
