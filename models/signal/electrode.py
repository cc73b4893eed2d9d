"""An electrode of a model's montage, light to import since messages carry it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Electrode:
    """An electrode of the model's montage and the channel used for it.

    Parameters
    ----------
    electrode
        Name in the montage.
    channel
        Name of the source's channel.
    row
        Index of that channel in the source, from 0.
    distance_mm
        Distance of the two standard 10-05 positions; 0 if both names mean the same place.
    """

    electrode: str
    channel: str
    row: int
    distance_mm: float
