"""Blocks and ratings among a recording's markers, as the service's calibrations set them.

Markers say when a block of a state begins and ends, that it is done again, and how it was rated:

    calibration ID block 3 begin strained
    calibration ID block 3 end
    calibration ID rating block 3 valence 30 arousal 80
    rating valence 71 arousal 64.5

The last one is a rating of a moment, without a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mimamba.drivers.driver import Marker

BLOCK = re.compile(
    r"calibration (?P<sitting>\S+) block (?P<number>\d+) "
    r"(?:begin (?P<kind>.+)|(?P<end>end)|(?P<again>again: .+))"
)
RATING = re.compile(
    r"(?:calibration (?P<sitting>\S+) )?rating (?:block (?P<number>\d+) )?"
    r"valence (?P<valence>\d+(?:\.\d+)?) arousal (?P<arousal>\d+(?:\.\d+)?)(?: answer -?\d+)?"
)
MOMENT = "rating"
"""Type of the event of a moment that was rated."""


@dataclass(frozen=True)
class BlockEvent:
    """A block, or a moment that was rated.

    Parameters
    ----------
    kind
        The block's state; ``rating`` for a moment.
    start, stop
        Positions of its first sample and of the sample after its last one; equal for a moment.
    valence, arousal
        The rating, 0 to 100; None without one.
    """

    kind: str
    start: int
    stop: int
    valence: float | None = None
    arousal: float | None = None


def find_block_events(markers: Iterable[Marker]) -> tuple[BlockEvent, ...]:
    """Find the blocks that were done, without those that were done again, and all ratings."""
    begun: dict[tuple[str, str], tuple[str, int]] = {}
    done: dict[tuple[str, str], BlockEvent] = {}
    moments: list[BlockEvent] = []
    for marker in markers:
        if found := BLOCK.fullmatch(marker.label):
            key = found["sitting"], found["number"]
            if found["kind"]:
                begun[key] = found["kind"], marker.index
            elif found["again"]:
                done.pop(key, None)
            elif key in begun:
                kind, start = begun.pop(key)
                if start < marker.index:
                    done[key] = BlockEvent(kind, start, marker.index)
        elif found := RATING.fullmatch(marker.label):
            valence, arousal = float(found["valence"]), float(found["arousal"])
            if found["number"] is None:
                at = marker.index
                moments.append(BlockEvent(MOMENT, at, at, valence, arousal))
            elif (key := (found["sitting"], found["number"])) in done:
                done[key] = replace(done[key], valence=valence, arousal=arousal)
    return tuple(sorted([*done.values(), *moments], key=lambda each: (each.start, each.stop)))
