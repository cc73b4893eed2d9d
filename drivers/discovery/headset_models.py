"""Headsets by maker and model, each once, with the ways to connect and what those need.

Makers and ways are those of BrainFlow's documentation (Supported Boards). What a way needs was
found by opening each board of BrainFlow 5.23 without it. Boards without EEG, and boards that play
or pass on what other programs recorded, are left out.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from mimamba.drivers.brainflow.boards import (
    UNSUPPORTED,
    BrainFlowBoard,
    known_boards,
    load_brainflow,
)
from mimamba.drivers.errors import LibraryMissing

Way: TypeAlias = Literal["bluetooth", "dongle", "cable", "wifi"]


@dataclass(frozen=True)
class ConnectionWay:
    """A way to connect, and the source's URL; ``..`` in it has to be filled in."""

    way: Way
    url: str


@dataclass(frozen=True)
class HeadsetModel:
    """A model of a maker.

    Parameters
    ----------
    maker, model
        Names to show to people.
    n_channels
        Number of EEG channels.
    electrodes
        Where they sit; empty if that is up to the person who wears it.
    ways
        Ways to connect, the best first.
    problem
        Reason why none of them works on this computer; None if there is no such reason.
    """

    maker: str
    model: str
    n_channels: int
    electrodes: tuple[str, ...]
    ways: tuple[ConnectionWay, ...]
    problem: str | None = None


@dataclass(frozen=True)
class _Listing:
    maker: str
    model: str
    way: Way
    query: str = ""
    free: bool = False
    """True if the electrodes can sit anywhere, whatever BrainFlow calls them."""


_PORT, _IP_PORT = "?serial_port=..", "?ip_port=.."
_MUSES = ("Muse 2016", "Muse 2", "Muse S", "Muse S Athena")
_MUSE_ELECTRODES = ("TP9", "AF7", "AF8", "TP10")
MUSE_MAKER = "InteraXon"
_READ_BY_OUR_DRIVER = frozenset({38, 39, 41, 67})
OTHERS = "Other boards of BrainFlow"

_ANT = {
    number: _Listing("ANT Neuro", f"eego EE-{number_of_model}", "cable", free=True)
    for number, number_of_model in {
        **dict(zip(range(24, 27), (410, 411, 430), strict=True)),
        **dict(zip(range(27, 32), range(211, 216), strict=True)),
        **dict(zip(range(32, 37), range(221, 226), strict=True)),
        51: 511,
    }.items()
}
_LISTINGS: dict[int, _Listing] = {
    0: _Listing("OpenBCI", "Cyton", "dongle", _PORT, free=True),
    5: _Listing("OpenBCI", "Cyton", "wifi", _IP_PORT, free=True),
    2: _Listing("OpenBCI", "Cyton with Daisy", "dongle", _PORT, free=True),
    6: _Listing("OpenBCI", "Cyton with Daisy", "wifi", _IP_PORT, free=True),
    46: _Listing("OpenBCI", "Ganglion", "bluetooth", free=True),
    1: _Listing("OpenBCI", "Ganglion", "dongle", _PORT, free=True),
    4: _Listing("OpenBCI", "Ganglion", "wifi", _IP_PORT, free=True),
    3: _Listing("OpenBCI", "Galea", "wifi"),
    42: _Listing(MUSE_MAKER, "Muse 2016", "dongle", _PORT),
    22: _Listing(MUSE_MAKER, "Muse 2", "dongle", _PORT),
    21: _Listing(MUSE_MAKER, "Muse S", "dongle", _PORT),
    7: _Listing("BrainBit", "BrainBit", "bluetooth"),
    18: _Listing("BrainBit", "BrainBit", "dongle", _PORT),
    9: _Listing("Callibri", "Callibri EEG", "bluetooth", free=True),
    8: _Listing("g.tec", "Unicorn", "bluetooth"),
    23: _Listing("Neurosity", "Crown", "wifi"),
    13: _Listing("Neurosity", "Notion 1", "wifi"),
    14: _Listing("Neurosity", "Notion 2", "wifi"),
    17: _Listing("FreeEEG", "FreeEEG32", "cable", _PORT, free=True),
    52: _Listing("FreeEEG", "FreeEEG128", "cable", _PORT, free=True),
    37: _Listing("Enophone", "Enophone", "bluetooth"),
    40: _Listing("BrainAlive", "BrainAlive", "bluetooth"),
    44: _Listing("Mentalab", "Explore, 4 channels", "bluetooth", free=True),
    45: _Listing("Mentalab", "Explore, 8 channels", "bluetooth", free=True),
    54: _Listing("Mentalab", "Explore+, 8 channels", "bluetooth", free=True),
    55: _Listing("Mentalab", "Explore+, 32 channels", "bluetooth", free=True),
    50: _Listing("NTL", "NTL WiFi", "wifi", _IP_PORT, free=True),
    53: _Listing("AAVAA", "AAVAA V3", "bluetooth"),
    56: _Listing("PiEEG", "PiEEG", "cable", _PORT, free=True),
    57: _Listing("NeuroPawn", "Knight", "cable", _PORT, free=True),
    66: _Listing("NeuroPawn", "Knight with IMU", "cable", _PORT, free=True),
    58: _Listing("Synchroni", "Trio", "bluetooth", free=True),
    59: _Listing("Synchroni", "Octo", "bluetooth", free=True),
    61: _Listing("Synchroni", "Neo", "bluetooth", free=True),
    62: _Listing("Synchroni", "Uno", "bluetooth", free=True),
    60: _Listing("OYMotion", "OB5000", "bluetooth", free=True),
    63: _Listing("OYMotion", "OB3000", "bluetooth", free=True),
    64: _Listing("BioListener", "BioListener", "wifi", _IP_PORT, free=True),
    65: _Listing("IronBCI", "IronBCI 32", "cable", _PORT, free=True),
    **_ANT,
}


def list_headset_models() -> tuple[HeadsetModel, ...]:
    """List the headsets that can be connected, Muses first; only those without BrainFlow."""
    models = [
        HeadsetModel(
            MUSE_MAKER, name, 4, _MUSE_ELECTRODES, (ConnectionWay("bluetooth", "muse://"),)
        )
        for name in _MUSES
    ]
    try:
        boards = known_boards()
    except LibraryMissing:
        return tuple(models)
    return _merge([*models, *_boards_with_eeg(boards)])


def _boards_with_eeg(boards: Iterable[BrainFlowBoard]) -> list[HeadsetModel]:
    """Make a model of each board, in the order of the listings."""
    order = {number: place for place, number in enumerate(_LISTINGS)}
    found = []
    for board in sorted(boards, key=lambda board: order.get(board.number, len(order))):
        facts = _facts(board.number)
        channels = facts.get("eeg_channels", [])
        if board.number < 0 or board.number in _READ_BY_OUR_DRIVER or not channels:
            continue
        listing = _LISTINGS.get(board.number) or _Listing(OTHERS, str(facts["name"]), "cable")
        names = facts.get("eeg_names")
        found.append(
            HeadsetModel(
                listing.maker,
                listing.model,
                len(channels),
                tuple(names.split(",")) if names and not listing.free else (),
                (ConnectionWay(listing.way, f"brainflow://{board.name}{listing.query}"),),
                build_problem(board.number),
            )
        )
    return found


def _facts(number: int) -> dict[str, Any]:
    """Return BrainFlow's description of a board; empty if it has none."""
    shim = load_brainflow()
    try:
        described: dict[str, Any] = shim.BoardShim.get_board_descr(number)
    except shim.BrainFlowError:
        return {}
    return described


def build_problem(number: int) -> str | None:
    """Return why this build of BrainFlow does not support a board; None if it may."""
    system = sys.platform if number != 56 else f"{sys.platform} {platform.machine()}"
    if number in UNSUPPORTED.get(system, ()):
        return f"BrainFlow does not support it on this computer ({system})."
    return None


def _merge(models: Iterable[HeadsetModel]) -> tuple[HeadsetModel, ...]:
    """Join the ways of the same model; ways that work come first."""
    merged: dict[tuple[str, str], HeadsetModel] = {}
    for each in models:
        known = merged.get((each.maker, each.model))
        if known is None or known.problem is not None:
            merged[each.maker, each.model] = each
        elif each.problem is None:
            ways = (*known.ways, *each.ways)
            merged[each.maker, each.model] = replace(known, ways=ways)
    return tuple(merged.values())
