"""Names, characteristics and commands of Muse headsets.

No maker's document describes them. Each fact names the public source that states it:

- muse-lsl 2.5.3 (``constants.py``, ``muse.py``, ``athena.py``, ``record.py``)
- BrainFlow (``muse.cpp``, ``muse_athena.cpp``, ``muse_athena_constants.h``, and its documentation)
- OpenMuse (``decode.py``, and its summary of firmware versions)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MUSE_SERVICE = "0000fe8d-0000-1000-8000-00805f9b34fb"
"""The service that every Muse advertises: 0xFE8D is InteraXon's (Bluetooth SIG, Assigned Numbers,
member UUIDs)."""
MUSE_NAME = re.compile(r"MuseS?-[0-9A-F]{4}", re.IGNORECASE)
"""Name of a Muse, which is also printed inside the band. Names that only begin so do not match."""


def _characteristic(number: int) -> str:
    return f"273e{number:04x}-4c4d-454d-96be-f03bac821358"


CONTROL = _characteristic(0x01)
"""Takes commands and answers them in JSON."""
ELECTRODES = ("TP9", "AF7", "AF8", "TP10")
EEG = tuple(map(_characteristic, (0x03, 0x04, 0x05, 0x06)))
"""One for each of ``ELECTRODES`` (muse-lsl, constants.py)."""
GYROSCOPE, ACCELEROMETER, TELEMETRY = map(_characteristic, (0x09, 0x0A, 0x0B))
PPG = tuple(map(_characteristic, (0x0F, 0x10, 0x11)))
"""Ambient, infrared, red (muse-lsl, constants.py). A Muse 2016 has none of them, and other models
may send only two (BrainFlow, muse.cpp)."""
THERMISTOR = _characteristic(0x12)
"""Only a Muse S has it (muse-lsl, constants.py); its values are not read."""
ATHENA = tuple(map(_characteristic, (0x13, 0x14)))
"""Everything that a Muse S Athena measures (BrainFlow, muse_athena_constants.h)."""

KEEP_ALIVE = "k"
"""Sent to all but the Athena, for which no source names one (muse-lsl, muse.py)."""
KEEP_ALIVE_SECONDS = 10.0
"""muse-lsl, record.py."""
HALT = "h"
RESTART = "*1"
"""Brings a headset out of its bootloader, in which it stays after some chargers (muse-lsl, pull
request 37). It disconnects."""


@dataclass(frozen=True)
class MuseModel:
    """A model, as its characteristics show it.

    Parameters
    ----------
    title
        Name to show to people.
    characteristics
        Those to be notified of.
    prepare
        Commands before the first notification.
    start
        Commands that start the samples.
    keep_alive
        True if ``KEEP_ALIVE`` is sent.
    """

    title: str
    characteristics: tuple[str, ...]
    prepare: tuple[str, ...]
    start: tuple[str, ...]
    keep_alive: bool

    @property
    def multiplexed(self) -> bool:
        """True if all sensors share characteristics."""
        return ATHENA[0] in self.characteristics


def find_model(name: str | None, characteristics: Iterable[str]) -> MuseModel | None:
    """Find the model by the characteristics it offers; None if it offers no EEG that is known.

    ``name`` is the one that the headset advertises. An early Muse S may be named like a Muse 2.
    """
    offered = {characteristic.lower() for characteristic in characteristics}
    combined = tuple(each for each in ATHENA if each in offered)
    if ATHENA[0] in combined:
        # The order, and the repeated start, are BrainFlow's (muse_athena.cpp). p1035 has four EEG
        # and four optical channels (OpenMuse, README); all 24 would drain the battery in hours.
        return MuseModel(
            "Muse S Athena",
            combined,
            ("v6", "s", HALT, "p1035"),
            ("dc001", "dc001", "L1"),
            keep_alive=False,
        )
    if not offered.issuperset(EEG):
        return None
    pulse = tuple(each for each in PPG if each in offered)
    others = tuple(each for each in (ACCELEROMETER, GYROSCOPE, TELEMETRY) if each in offered)
    # The presets with the pulse sensor are BrainFlow's (Supported Boards): p50 for a Muse 2, p61
    # for a Muse S; it refuses p61 for any other (muse_options.h).
    if not pulse:
        title, preset = "Muse 2016", "p21"
    elif THERMISTOR in offered or (name or "").lower().startswith("muses"):
        title, preset = "Muse S", "p61"
    else:
        title, preset = "Muse 2", "p50"
    return MuseModel(
        title, (*EEG, *pulse, *others), ("v1", "s", HALT, preset), ("d",), keep_alive=True
    )


def encode_command(command: str) -> bytes:
    """Encode a command: its length with the line feed, its letters, a line feed."""
    text = f"{command}\n".encode("ascii")
    return bytes([len(text)]) + text


class ControlReplies:
    """The headset's answers: JSON objects that come in pieces of up to 19 letters.

    The first byte of a piece is the number of its letters; the rest is padding (muse-lsl, muse.py).
    ``facts`` joins all the objects so far: ``fw`` is the firmware, ``ap`` is ``headset`` or
    ``bootloader``, ``bp`` is the battery's charge in percent, ``rc`` is 0 after a success.
    """

    LONGEST = 4096
    """Letters of an object; more are noise."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._text = ""

    def feed(self, piece: bytes) -> bool:
        """Process one notification of ``CONTROL``; True if an object is complete with it.

        What is no JSON is left out.
        """
        if not piece:
            return False
        complete = False
        self._text += bytes(piece[1 : 1 + piece[0]]).decode("ascii", errors="replace")
        while "}" in self._text:
            before, _, self._text = self._text.partition("}")
            start = before.rfind("{")
            if start < 0:
                continue
            try:
                found = json.loads(before[start:] + "}")
            except json.JSONDecodeError:
                continue
            self.facts.update(found)
            complete = True
        self._text = self._text[-self.LONGEST :]
        return complete

    @property
    def firmware(self) -> str | None:
        """Version of the firmware; None if it was not told."""
        return str(self.facts["fw"]) if "fw" in self.facts else None

    @property
    def battery(self) -> float | None:
        """Charge, percent; None if it was not told."""
        try:
            charge = float(self.facts["bp"])
        except (KeyError, TypeError, ValueError):
            return None
        return charge if 0 <= charge <= 100 else None

    @property
    def in_bootloader(self) -> bool:
        """True if the headset waits in its bootloader."""
        return bool(self.facts.get("ap") == "bootloader")
