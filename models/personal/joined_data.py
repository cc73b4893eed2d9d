"""Later data that join a head's training: blocks of confirmed days, and ratings at any time.

A rating labels the half minute before it. Its hops are kept as they were measured, so the head can
be made again from them without the signal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mimamba.drivers.errors import Mismatch
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline

MOMENT_SECONDS = 30.0
"""Seconds before a rating that it labels: as long as a block of a calibration."""
LEAST_HOPS = 13
"""Good hops of a moment; of 30 s without a fault there are 27."""
LEAST_MOMENTS = 4
"""Moments of each state from which they can join: with fewer nothing can be told from chance."""


class MomentsError(Mismatch):
    """Raised for a file of rated moments that is missing or damaged."""


class KeptMoment(Struct, frozen=True):
    """A rating with the hops before it, as it is kept in a file.

    Parameters
    ----------
    day
        Local date.
    epoch, index
        The session's epoch, and the sample of the rating.
    valence, arousal
        The rating.
    state
        State of the output before the rating was known; None if it was unsure.
    hops
        (n_hops, n_features) float64, little-endian, as measured.
    n_hops
        Number of hops.
    rest
        (n_electrodes, 39) float64, log power of the rest that they were aligned by; empty for none.
    rest_seconds
        Seconds of this rest.
    """

    day: str
    epoch: str
    index: int
    valence: float
    arousal: float
    state: str | None
    hops: bytes
    n_hops: int
    rest: bytes
    rest_seconds: float

    @property
    def sha256(self) -> str:
        """SHA-256 of the hops."""
        return hashlib.sha256(self.hops).hexdigest()

    @property
    def group(self) -> str:
        """Name of the moments that can be compared: of one day, and aligned by the same rest."""
        return f"{self.day} {hashlib.sha256(self.rest).hexdigest()[:16]}"

    @property
    def values(self) -> NDArray[np.float64]:
        """The hops, (n_hops, n_features)."""
        return np.frombuffer(self.hops, "<f8").reshape(self.n_hops, -1)

    @property
    def baseline(self) -> Baseline | None:
        """The rest that the hops were aligned by."""
        if not self.rest:
            return None
        power = np.frombuffer(self.rest, "<f8").reshape(-1, len(BAND_CENTRES))
        return Baseline(power, self.rest_seconds)


DECODER = msgspec.json.Decoder(tuple[KeptMoment, ...])
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def encode_moments(moments: Sequence[KeptMoment]) -> bytes:
    """Encode the content of a file of moments."""
    return msgspec.json.encode(list(moments))


def decode_moments(content: bytes, source: str) -> tuple[KeptMoment, ...]:
    """Decode a file of moments; raises MomentsError with the name of the source."""
    try:
        moments = DECODER.decode(content)
        for each in moments:
            _ = each.values, each.baseline
    except (msgspec.MsgspecError, ValueError) as error:
        raise MomentsError(
            "rated moments", f"another or a damaged file: {source}", "delete the head"
        ) from error
    return moments


@dataclass(frozen=True)
class MomentNote:
    """A moment that a head was trained on.

    Parameters
    ----------
    day
        Its date.
    group
        Number of the moments that it was compared with, from 0.
    kind
        The state on whose side its rating lies.
    rating
        The rating, 0 to 100.
    sha256
        SHA-256 of its hops.
    """

    day: str
    group: int
    kind: str
    rating: float
    sha256: str


@dataclass(frozen=True, eq=False)
class RatedMoment:
    """A moment for training; ``values`` are its hops, (H, n_features)."""

    note: MomentNote
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JoinedData:
    """Data that join the attempts of a calibration.

    Parameters
    ----------
    days
        Dates of the confirmed days whose blocks are the last attempts, one each.
    moments
        Rated moments, by group.
    rest
        Rest that the last group was aligned by, or None.
    looks
        Number of times that the last group was looked at, this one included.
    """

    days: tuple[str, ...] = ()
    moments: tuple[RatedMoment, ...] = ()
    rest: Baseline | None = None
    looks: int = 1

    @property
    def groups(self) -> list[list[RatedMoment]]:
        """The moments of each group, in order."""
        return [list(each) for _, each in groupby(self.moments, lambda one: one.note.group)]


NOTHING_JOINED = JoinedData()


def balance(
    moments: Sequence[KeptMoment], sides: Sequence[str | None], kinds: tuple[str, str]
) -> list[tuple[KeptMoment, str]]:
    """Return as many moments of each state, the newest, with their states; empty with too few.

    Parameters
    ----------
    moments
        Moments of one group, in the order of time.
    sides
        The state on whose side each rating lies; None for one in the middle.
    kinds
        The two states.
    """
    places = [[n for n, side in enumerate(sides) if side == kind] for kind in kinds]
    size = min(len(each) for each in places)
    if size < LEAST_MOMENTS:
        return []
    chosen = sorted(n for each in places for n in each[-size:])
    return [(moments[n], side) for n in chosen if (side := sides[n]) is not None]


def find_moments(
    kept: Sequence[KeptMoment], notes: Sequence[MomentNote], source: str
) -> tuple[RatedMoment, ...]:
    """Find the moments of a head again; raises MomentsError if one is missing."""
    by_hash = {each.sha256: each for each in kept}
    for note in notes:
        if note.sha256 not in by_hash:
            raise MomentsError(
                f"the moment of {note.day} with SHA-256 {note.sha256[:12]}",
                f"others in {source}",
                "calibrate again",
            )
    return tuple(RatedMoment(note, by_hash[note.sha256].values) for note in notes)
