"""BrainFlow's boards: names, numbers, and facts that BrainFlow does not provide."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from mimamba.drivers.errors import BadSource, LibraryMissing
from mimamba.drivers.timing.packet_counter import (
    BYTE_NUMBERING,
    GANGLION_NUMBERING,
    MUSE_NUMBERING,
    PacketNumbering,
)


@dataclass(frozen=True)
class BrainFlowBoard:
    """A board: its name in URLs, e.g. ``muse_2``, and BrainFlow's number."""

    name: str
    number: int


@dataclass(frozen=True)
class BoardFacts:
    """Facts about a board.

    Parameters
    ----------
    title
        Name to show to people; None to show BrainFlow's own name.
    uv_per_bit, range_uv
        As in StreamInfo.
    numbering
        Numbering of its packets; None if it may not count EEG samples. Gaps are then found by
        timestamps.
    query
        Parameters that its URL needs, with ``..`` to fill in. A Bluetooth headset needs none: the
        first one near is taken.
    motion_rate
        Rate, Hz, at which the board measures the motion that BrainFlow repeats in the EEG's rows;
        None if each row has a new value.
    options
        BrainFlow's ``other_info`` that makes the board send all its sensors.
    command
        Command to the board that does so.
    """

    title: str | None = None
    uv_per_bit: float | None = None
    range_uv: float | None = None
    numbering: PacketNumbering | None = None
    query: str = ""
    motion_rate: float | None = None
    options: str = ""
    command: str = ""


SYNTHETIC, STREAMING, PLAYBACK = -1, -2, -3
_MUSE_SCALE = 125 / 256
"""µV per bit of 12 bits, ± 1000 µV (BrainFlow, muse.cpp)."""
_CYTON_RANGE = 4.5e6 / 24
"""µV at gain 24, 24 bits (OpenBCI, Cyton Data Format)."""
_GANGLION_RANGE = 1.2e6 / (1.5 * 51)
"""µV, 24 bits (OpenBCI, Ganglion Data Format)."""
_24_BIT = 2**23 - 1
_CYTON_MOTION, _GANGLION_MOTION = 25.0, 10.0
"""Hz (OpenBCI, firmware of the Cyton: RATE_25HZ; Ganglion Data Format: one axis in each of three
packets of ten)."""
_ACCELERATION = "n"
"""Ganglion: accelerometer on, in place of the EEG's last bit (OpenBCI, Ganglion SDK)."""
_PULSE_2, _PULSE_S = "preset=p50", "preset=p61"
"""Presets with the pulse, beside EEG and motion (BrainFlow, Supported Boards, muse_options.h)."""

_PORT = "?serial_port=.."

BOARD_FACTS = {
    PLAYBACK: BoardFacts("a file of BrainFlow", query="?file=..&master_board=.."),
    STREAMING: BoardFacts(
        "another program's BrainFlow", query="?ip_address=..&ip_port=..&master_board=.."
    ),
    SYNTHETIC: BoardFacts("BrainFlow's synthetic board", numbering=BYTE_NUMBERING),
    0: BoardFacts(
        "OpenBCI Cyton",
        _CYTON_RANGE / _24_BIT,
        _CYTON_RANGE,
        BYTE_NUMBERING,
        _PORT,
        motion_rate=_CYTON_MOTION,
    ),
    1: BoardFacts(
        "OpenBCI Ganglion",
        _GANGLION_RANGE / _24_BIT,
        _GANGLION_RANGE,
        GANGLION_NUMBERING,
        _PORT,
        motion_rate=_GANGLION_MOTION,
        command=_ACCELERATION,
    ),
    2: BoardFacts(
        "OpenBCI Cyton Daisy",
        _CYTON_RANGE / _24_BIT,
        _CYTON_RANGE,
        query=_PORT,
        motion_rate=_CYTON_MOTION,
    ),
    5: BoardFacts(motion_rate=_CYTON_MOTION),
    6: BoardFacts(motion_rate=_CYTON_MOTION),
    21: BoardFacts("Muse S", _MUSE_SCALE, 1000.0, query=_PORT, options=_PULSE_S),
    22: BoardFacts("Muse 2", _MUSE_SCALE, 1000.0, query=_PORT, options=_PULSE_2),
    38: BoardFacts("Muse 2", _MUSE_SCALE, 1000.0, MUSE_NUMBERING, options=_PULSE_2),
    39: BoardFacts("Muse S", _MUSE_SCALE, 1000.0, MUSE_NUMBERING, options=_PULSE_S),
    41: BoardFacts("Muse 2016", _MUSE_SCALE, 1000.0, MUSE_NUMBERING),
    42: BoardFacts("Muse 2016", _MUSE_SCALE, 1000.0, query=_PORT),
    46: BoardFacts(
        "OpenBCI Ganglion",
        _GANGLION_RANGE / _24_BIT,
        _GANGLION_RANGE,
        GANGLION_NUMBERING,
        motion_rate=_GANGLION_MOTION,
        command=_ACCELERATION,
    ),
    # Its counter numbers the packets of all sensors together, so it does not count samples.
    67: BoardFacts("Muse S Athena", 0.0885),
}

UNSUPPORTED = {"linux": frozenset({7, 9, 10, 11, 16, 19}), "linux x86_64": frozenset({56})}
"""Boards that BrainFlow 5.23 knows, but answers UNSUPPORTED_BOARD_ERROR for, by system."""
NEED_DBUS = frozenset(range(58, 64))
"""Boards whose library ends the whole program where Linux has no D-Bus (Synchroni, OYMotion)."""


@cache
def load_brainflow() -> Any:
    """Import BrainFlow's module ``board_shim``, load its native library and silence its logger.

    Raises
    ------
    LibraryMissing
        If it is not installed, or its native library does not load on this machine.
    """
    # BrainFlow asks pkg_resources for its own path on Python 3.11.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning, "brainflow")
    try:
        from brainflow import board_shim

        board_shim.BoardShim.disable_board_logger()  # loads the native library
    except (ImportError, OSError) as error:
        raise LibraryMissing(
            "BrainFlow",
            f"{type(error).__name__}: {error}",
            "install it: pip install --force-reinstall brainflow",
        ) from error
    return board_shim


@cache
def board_class() -> Any:
    """Return BrainFlow's ``BoardShim`` without its ``__del__``; raises LibraryMissing.

    BrainFlow identifies sessions by board and parameters. An object that failed to connect would,
    when it is collected, release the session of another one that has connected since.
    """
    return type("Board", (load_brainflow().BoardShim,), {"__del__": lambda _: None})


@cache
def known_boards() -> tuple[BrainFlowBoard, ...]:
    """List the boards of the installed BrainFlow by number; raises LibraryMissing."""
    ids = load_brainflow().BoardIds
    boards = [
        BrainFlowBoard(board.name.lower().removesuffix("_board"), int(board))
        for board in ids
        if board is not ids.NO_BOARD
    ]
    return tuple(sorted(boards, key=lambda board: board.number))


def find_board(text: str) -> BrainFlowBoard:
    """Find a board by its name, in any case and with or without ``_board``, or by its number.

    Raises
    ------
    BadSource
        If there is none; the error suggests similar names.
    """
    name = text.strip().lower().replace("-", "_").removesuffix("_board")
    for board in known_boards():
        if name == board.name or text.strip() == str(board.number):
            return board
    names = [board.name for board in known_boards()]
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or [
        "muse_2",
        "muse_s",
        "ganglion_native",
        "cyton",
        "synthetic",
    ]
    raise BadSource(
        "a board of BrainFlow, by name or number",
        text or "none",
        f"use e.g. {', '.join(f'brainflow://{board}' for board in close)}",
    )


def describe_board(number: int) -> dict[str, Any]:
    """Return BrainFlow's description of a board: rows, names, sampling rate.

    Raises
    ------
    BadSource
        If the board has no description or no EEG.
    """
    shim = load_brainflow()
    try:
        facts: dict[str, Any] = shim.BoardShim.get_board_descr(number)
    except shim.BrainFlowError as error:
        raise BadSource(
            "a board that BrainFlow describes", f"{number} ({error})", "choose another"
        ) from (error)
    if not facts.get("eeg_channels"):
        raise BadSource(
            "a board with EEG", f"{facts['name']}, which has none", "choose another board"
        )
    return facts
