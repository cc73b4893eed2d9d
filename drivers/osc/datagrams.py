"""Parser of OSC datagrams (OSC 1.0, opensoundcontrol.org): messages, alone or in bundles.

Anyone on the network may send to an open port. python-osc's own parser loops for ever on a bundle
that names a negative size, and ends at Python's limit of recursion on bundles within bundles. This
one reads each byte once, and refuses what is damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Argument: TypeAlias = "int | float | str | bytes | bool | None"

BUNDLE = b"#bundle\0"
IMMEDIATELY = 1
"""Time tag of a bundle that is for now."""
UNIX_EPOCH = 2_208_988_800
"""Seconds from 1900, at which time tags begin, to 1970."""
MOST_BUNDLES = 8
"""Bundles within bundles."""
CONSTANTS: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": float("inf")}
NUMBERS = {"i": ">i", "f": ">f", "d": ">d", "h": ">q"}
SKIPPED = {"t": 8, "c": 4, "r": 4, "m": 4}
"""Bytes of types that no known app sends."""


class DamagedDatagram(ValueError):
    """A datagram is no OSC, or is cut off."""


@dataclass(frozen=True)
class OSCMessage:
    """A message.

    Parameters
    ----------
    address
        Such as ``/muse/eeg``.
    arguments
        Its values.
    time
        Time of its bundle, UNIX seconds; None if it has none, or is for now.
    """

    address: str
    arguments: tuple[Argument, ...]
    time: float | None = None

    @property
    def tags(self) -> str:
        """Its types in words, for people."""
        names = [type(each).__name__ for each in self.arguments]
        return ", ".join(names) or "nothing"


def parse_datagram(data: bytes) -> list[OSCMessage]:
    """Return the messages of a datagram, in its order.

    Raises
    ------
    DamagedDatagram
        If it is no OSC, or is cut off.
    """
    try:
        return list(_parse(memoryview(data), None, 0))
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise DamagedDatagram(str(error)) from error


def _parse(data: memoryview, time: float | None, depth: int) -> Iterator[OSCMessage]:
    if bytes(data[:8]) != BUNDLE:
        yield _message(data, time)
        return
    if depth == MOST_BUNDLES:
        raise DamagedDatagram("too many bundles within bundles")
    (tag,) = struct.unpack_from(">Q", data, 8)
    if tag > IMMEDIATELY:
        time = tag / 2**32 - UNIX_EPOCH
    at = 16
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        at += 4
        if not size or at + size > len(data):
            raise DamagedDatagram("a bundle that is cut off")
        yield from _parse(data[at : at + size], time, depth + 1)
        at += size


def _message(data: memoryview, time: float | None) -> OSCMessage:
    address, at = _text(data, 0)
    if not address.startswith("/"):
        raise DamagedDatagram("no address")
    tags, at = _text(data, at)
    if not tags.startswith(","):
        raise DamagedDatagram("no types")
    arguments: list[Argument] = []
    for tag in tags[1:]:
        if tag in NUMBERS:
            arguments += struct.unpack_from(NUMBERS[tag], data, at)
            at += struct.calcsize(NUMBERS[tag])
        elif tag in CONSTANTS:
            arguments.append(CONSTANTS[tag])
        elif tag in "sS":
            text, at = _text(data, at)
            arguments.append(text)
        elif tag == "b":
            (size,) = struct.unpack_from(">I", data, at)
            arguments.append(bytes(data[at + 4 : at + 4 + size]))
            at += 4 + size + -size % 4
        elif tag in SKIPPED:
            arguments.append(bytes(data[at : at + SKIPPED[tag]]))
            at += SKIPPED[tag]
        else:
            raise DamagedDatagram(f"an unknown type {tag!r}")
    if at > len(data):
        raise DamagedDatagram("a message that is cut off")
    return OSCMessage(address, tuple(arguments), time)


def _text(data: memoryview, at: int) -> tuple[str, int]:
    """Read a text; return the place after it, too."""
    rest = bytes(data[at:])
    end = rest.find(0)
    if end < 0:
        raise DamagedDatagram("a text that is cut off")
    return rest[:end].decode("ascii"), at + end + 4 - end % 4
