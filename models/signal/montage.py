"""Montages, and the match of a model's electrodes with a source's channels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mimamba.drivers.channels import HEADSET_CHANNELS
from mimamba.drivers.errors import Mismatch
from mimamba.models.signal.electrode import Electrode

MAX_DISTANCE_MM = 55.0
"""Millimetres up to which a channel may replace an electrode.

Measured on the standard 10-05 positions: P7 (formerly T5) is 52.6 mm from TP9 and P8 is 52.2 mm
from TP10. They are the nearest of OpenBCI's default names, so a limit of 50 mm would refuse them.
F3 for AF7, 55.2 mm, is refused.
"""
MONTAGES = {"muse": HEADSET_CHANNELS["muse"], "ganglion": ("Fp1", "Fp2", "C3", "C4")}
"""Montages by the name of a headset.

A Ganglion's electrodes can be placed anywhere. These are OpenBCI's defaults for channels 1 to 4, in
the head plot of its GUI and in the guide to its Mark IV headset.
"""
_OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
"""Names of the 10-20 system for electrodes that the 10-10 system renamed."""
_DECORATED = re.compile(
    r"(?:eeg )?\s*(?P<electrode>[a-z0-9]+)\s*(?:-\s*(?:a1|a2|m1|m2|le|re|ref|avg))?"
)
"""A label as in EDF files: the kind of signal before, the reference after."""


class MontageError(Mismatch, ValueError):
    """Raised if a source's channels cannot replace the model's electrodes."""


def parse_montage(text: str) -> tuple[str, ...]:
    """Parse the name of a montage, in any case, or a list such as ``Fp1,Fp2,AF3,AF4``.

    Raises
    ------
    MontageError
        If a name in the list is empty, or an electrode is listed twice.
    """
    named = MONTAGES.get(text.strip().lower())
    if named is not None:
        return named
    electrodes = tuple(part.strip() for part in text.split(","))
    if not all(electrodes) or len({_plain(name) for name in electrodes}) != len(electrodes):
        raise MontageError(
            f"a montage ({', '.join(MONTAGES)}) or different electrodes separated by commas",
            f"{text!r}",
            "write it as Fp1,Fp2,AF3,AF4",
        )
    return electrodes


def match_montage(wanted: Sequence[str], ch_names: Sequence[str]) -> list[Electrode]:
    """Choose a channel for each electrode, in the montage's order.

    A channel with the electrode's name comes first. Case does not matter, and the 10-20 names T3,
    T4, T5, T6 and decorations as in ``EEG Fp1`` and ``Fp1-A1`` are understood. The other electrodes
    get the nearest of the remaining channels, each channel once, such that the sum of distances is
    least and none is above ``MAX_DISTANCE_MM``.

    Raises
    ------
    MontageError
        If there is no channel for an electrode.
    """
    matched: dict[str, tuple[int, float]] = {}
    free = list(range(len(ch_names)))
    for electrode in wanted:
        row = _by_name(electrode, free, ch_names)
        if row is not None:
            matched[electrode] = (row, 0.0)
            free.remove(row)
    missing = [electrode for electrode in wanted if electrode not in matched]
    if missing:
        matched |= _nearest(missing, free, ch_names)
    return [Electrode(e, ch_names[matched[e][0]], *matched[e]) for e in wanted]


def _by_name(electrode: str, free: Sequence[int], ch_names: Sequence[str]) -> int | None:
    """Return the free channel of that name; the exact name before one for the same place."""
    rows = [row for row in free if _plain(ch_names[row]) == _plain(electrode)]
    rows.sort(key=lambda row: ch_names[row].lower() != electrode.lower())
    return rows[0] if rows else None


def _plain(name: str) -> str:
    """Return the bare electrode of a name in lower case: ``EEG T5-LE`` gives ``p7``."""
    match = _DECORATED.fullmatch(name.strip().lower())
    bare = match.group("electrode") if match else name.strip().lower()
    return _OLD_NAMES.get(bare, bare)


def _nearest(
    missing: Sequence[str], free: Sequence[int], ch_names: Sequence[str]
) -> dict[str, tuple[int, float]]:
    """Return row and distance in mm of the nearest free channel, by electrode."""
    places = _positions()
    unknown = [electrode for electrode in missing if _plain(electrode) not in places]
    known = [row for row in free if _plain(ch_names[row]) in places]
    if unknown or len(known) < len(missing):
        raise _no_channel(unknown or missing, ch_names)
    here = np.array([places[_plain(electrode)] for electrode in missing])
    there = np.array([places[_plain(ch_names[row])] for row in known])
    distances = np.linalg.norm(here[:, None] - there, axis=-1)  # (missing, known)
    # One pair above the limit costs more than any choice within it.
    costs = np.where(
        distances <= MAX_DISTANCE_MM, distances, MAX_DISTANCE_MM * len(missing) + distances
    )
    columns = linear_sum_assignment(costs)[1]
    reached = distances[np.arange(len(missing)), columns]
    far = [electrode for electrode, d in zip(missing, reached, strict=True) if d > MAX_DISTANCE_MM]
    if far:
        raise _no_channel(far, ch_names)
    return {
        electrode: (known[column], float(distance))
        for electrode, column, distance in zip(missing, columns, reached, strict=True)
    }


def _no_channel(electrodes: Sequence[str], ch_names: Sequence[str]) -> MontageError:
    return MontageError(
        f"a channel within {MAX_DISTANCE_MM:g} mm of {', '.join(electrodes)}",
        f"channels {', '.join(ch_names) or '(none)'}",
        "name the channels by their electrodes with names=, or choose a model for these",
    )


def _positions() -> dict[str, NDArray[np.float64]]:
    """Load the standard 10-05 positions by lower-case name, (3,) millimetres.

    Source: Oostenveld and Praamstra 2001, as shipped with MNE.
    """
    from mne.channels import (
        get_builtin_montages,
        make_standard_montage,
    )  # slow to import, seldom needed

    new_name = "colin27_1005"  # the same positions, called standard_1005 before MNE 1.13
    name = new_name if new_name in get_builtin_montages() else "standard_1005"
    positions = make_standard_montage(name).get_positions()["ch_pos"]
    return {electrode.lower(): 1000.0 * place for electrode, place in positions.items()}


def mirror_montage(montage: Sequence[str]) -> tuple[int, ...]:
    """Return the index of each electrode's mirror when left and right are swapped.

    Odd numbers are left, and the next even number is the mirror. An electrode on the midline, or
    without a mirror in the montage, keeps its index.
    """
    places = {_plain(name): place for place, name in enumerate(montage)}
    return tuple(places.get(_mirror(_plain(name)), place) for place, name in enumerate(montage))


def _mirror(name: str) -> str:
    number = re.search(r"\d+$", name)
    if number is None:
        return name
    n = int(number[0])
    return f"{name[: number.start()]}{n + 1 if n % 2 else n - 1}"
