"""The electrodes that a model wants, met by the channels that a source has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mimamba.drivers.channels import LAYOUTS
from mimamba.drivers.errors import Mismatch

FARTHEST = 55.0
"""Millimetres up to which a channel may stand in for an electrode.

Measured on the standard 10-05 positions: P7 (the old T5) is 52.6 mm from TP9 and P8 is 52.2 mm from
TP10. They are the nearest that OpenBCI's default names have, so a limit of 50 mm would refuse them.
F3 for AF7, 55.2 mm, is refused.
"""
NAMED = {"muse": LAYOUTS["muse"], "ganglion": ("Fp1", "Fp2", "C3", "C4")}
"""Montages by a headset's name.

A Ganglion's electrodes go anywhere. OpenBCI's default places of channels 1 to 4, in its program's
head plot and in the guide to its Mark IV headset, are taken.
"""
_OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
"""The 10-20 system's names for electrodes that the 10-10 system renamed."""
_DECORATED = re.compile(
    r"(?:eeg )?\s*(?P<electrode>[a-z0-9]+)\s*(?:-\s*(?:a1|a2|m1|m2|le|re|ref|avg))?"
)
"""A label as EDF files write it: the kind of signal before, the reference after."""


class MontageError(Mismatch, ValueError):
    """A source's channels cannot stand in for the model's electrodes; one clear line."""


@dataclass(frozen=True)
class Electrode:
    """An electrode of the model's montage and the channel that stands for it.

    Parameters
    ----------
    electrode
        Its name in the montage.
    channel
        The source's name of the channel.
    row
        That channel's place among the source's channels, from 0.
    distance_mm
        Between both on the standard 10-05 positions; 0 where the names mean the same place.
    """

    electrode: str
    channel: str
    row: int
    distance_mm: float


def parse_montage(text: str) -> tuple[str, ...]:
    """The electrodes of a named montage, in any case, or of a list such as ``Fp1,Fp2,AF3,AF4``.

    Raises
    ------
    MontageError
        If a name in the list is empty, or an electrode stands twice.
    """
    named = NAMED.get(text.strip().lower())
    if named is not None:
        return named
    electrodes = tuple(part.strip() for part in text.split(","))
    if not all(electrodes) or len({_plain(name) for name in electrodes}) != len(electrodes):
        raise MontageError(
            f"a montage ({', '.join(NAMED)}) or different electrodes with commas between",
            f"{text!r}",
            "write it as Fp1,Fp2,AF3,AF4",
        )
    return electrodes


def meet_montage(wanted: Sequence[str], ch_names: Sequence[str]) -> list[Electrode]:
    """Choose a channel for each electrode, in the montage's order.

    A channel that bears an electrode's name is taken for it, in any case, with the 10-20 names
    T3, T4, T5, T6 and decorations as in ``EEG Fp1`` and ``Fp1-A1`` understood. The other
    electrodes take the nearest of the channels that are left, each channel once, such that the sum
    of distances is least and none is beyond ``FARTHEST``.

    Raises
    ------
    MontageError
        If an electrode finds no channel.
    """
    met: dict[str, tuple[int, float]] = {}
    free = list(range(len(ch_names)))
    for electrode in wanted:
        row = _by_name(electrode, free, ch_names)
        if row is not None:
            met[electrode] = (row, 0.0)
            free.remove(row)
    missing = [electrode for electrode in wanted if electrode not in met]
    if missing:
        met |= _nearest(missing, free, ch_names)
    return [Electrode(e, ch_names[met[e][0]], *met[e]) for e in wanted]


def _by_name(electrode: str, free: Sequence[int], ch_names: Sequence[str]) -> int | None:
    """The free channel of that name; the very name goes before one that means the same place."""
    rows = [row for row in free if _plain(ch_names[row]) == _plain(electrode)]
    rows.sort(key=lambda row: ch_names[row].lower() != electrode.lower())
    return rows[0] if rows else None


def _plain(name: str) -> str:
    """A name's bare electrode in lower case: ``EEG T5-LE`` is ``p7``."""
    match = _DECORATED.fullmatch(name.strip().lower())
    bare = match.group("electrode") if match else name.strip().lower()
    return _OLD_NAMES.get(bare, bare)


def _nearest(
    missing: Sequence[str], free: Sequence[int], ch_names: Sequence[str]
) -> dict[str, tuple[int, float]]:
    """The free channels that stand in: row and distance, millimetres, by electrode."""
    places = _positions()
    unknown = [electrode for electrode in missing if _plain(electrode) not in places]
    known = [row for row in free if _plain(ch_names[row]) in places]
    if unknown or len(known) < len(missing):
        raise _unmet(unknown or missing, ch_names)
    here = np.array([places[_plain(electrode)] for electrode in missing])
    there = np.array([places[_plain(ch_names[row])] for row in known])
    distances = np.linalg.norm(here[:, None] - there, axis=-1)  # (missing, known)
    # One pair out of reach costs more than any choice within reach.
    costs = np.where(distances <= FARTHEST, distances, FARTHEST * len(missing) + distances)
    columns = linear_sum_assignment(costs)[1]
    reached = distances[np.arange(len(missing)), columns]
    far = [electrode for electrode, d in zip(missing, reached, strict=True) if d > FARTHEST]
    if far:
        raise _unmet(far, ch_names)
    return {
        electrode: (known[column], float(distance))
        for electrode, column, distance in zip(missing, columns, reached, strict=True)
    }


def _unmet(electrodes: Sequence[str], ch_names: Sequence[str]) -> MontageError:
    return MontageError(
        f"a channel at or within {FARTHEST:g} mm of {', '.join(electrodes)}",
        f"channels {', '.join(ch_names) or '(none)'}",
        "name the channels by their electrodes with names=, or choose a model for these",
    )


def _positions() -> dict[str, NDArray[np.float64]]:
    """The standard 10-05 positions by lower-case name, (3,) millimetres.

    Source: Oostenveld and Praamstra 2001, as shipped with MNE.
    """
    from mne.channels import get_builtin_montages, make_standard_montage  # slow, seldom needed

    new_name = "colin27_1005"  # the same positions, called standard_1005 before MNE 1.13
    name = new_name if new_name in get_builtin_montages() else "standard_1005"
    positions = make_standard_montage(name).get_positions()["ch_pos"]
    return {electrode.lower(): 1000.0 * place for electrode, place in positions.items()}


def mirrored(montage: Sequence[str]) -> tuple[int, ...]:
    """Each electrode's place when left and right are swapped; its own on the midline.

    Odd numbers are left, and the even one after each is its mirror. An electrode whose mirror the
    montage lacks keeps its place.
    """
    places = {_plain(name): place for place, name in enumerate(montage)}
    return tuple(places.get(_mirror(_plain(name)), place) for place, name in enumerate(montage))


def _mirror(name: str) -> str:
    number = re.search(r"\d+$", name)
    if number is None:
        return name
    n = int(number[0])
    return f"{name[: number.start()]}{n + 1 if n % 2 else n - 1}"
