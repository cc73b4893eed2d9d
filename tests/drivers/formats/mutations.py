"""Seeded damage to files: the same number gives the same damage."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

HEADER = 2048
"""Bytes at the start in which half of the damage is done."""
ABSURD = (
    b"-1",
    b"0",
    b"nan",
    b"inf",
    b"1e308",
    b"99999999",
    b"2147483647",
    b"-9223372036854775809",
)


def cut(data: bytearray, random: Random) -> bytearray:
    return data[: random.randrange(len(data))]


def flip_bits(data: bytearray, random: Random) -> bytearray:
    for _ in range(random.choice((1, 3, 20))):
        data[_place(data, random)] ^= 1 << random.randrange(8)
    return data


def replace_numbers(data: bytearray, random: Random) -> bytearray:
    """Numbers in the header become absurd; of the same width, as fixed fields need."""
    for _ in range(random.choice((1, 4))):
        found = list(re.finditer(rb"\d+", bytes(data[:HEADER])))
        if found:
            match = random.choice(found)
            width = len(match[0])
            new = random.choice(ABSURD)
            data[match.start() : match.end()] = random.choice((new, new.ljust(width)[:width]))
    return data


def set_counts(data: bytearray, random: Random) -> bytearray:
    """Somewhere, four or eight bytes become the largest number, or the least."""
    for _ in range(random.choice((1, 4))):
        at = _place(data, random)
        count = random.choice((b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x00" * 4))
        data[at : at + len(count)] = count
    return data


def move_parts(data: bytearray, random: Random) -> bytearray:
    """A part is taken out, and put in elsewhere or not, once or often."""
    start = _place(data, random)
    part = data[start : start + random.choice((1, 30, 3000))]
    del data[start : start + len(part)]
    for _ in range(random.choice((0, 1, 20))):
        at = _place(data, random)
        data[at:at] = part
    return data


def overwrite(data: bytearray, random: Random) -> bytearray:
    at = _place(data, random)
    length = random.choice((10, 500))
    data[at : at + length] = random.choice((random.randbytes(length), bytes(length)))
    return data


KINDS: tuple[Callable[[bytearray, Random], bytearray], ...] = (
    cut,
    flip_bits,
    replace_numbers,
    set_counts,
    move_parts,
    overwrite,
)


def mutate(content: bytes, name: str, number: int) -> tuple[bytes, bool]:
    """Damage number ``number`` of a file; and whether it is only cut."""
    random = Random(f"{name} {number}")
    kind = KINDS[number % len(KINDS)]
    return bytes(kind(bytearray(content), random)), kind is cut


def _place(data: bytearray, random: Random) -> int:
    most = len(data) if random.random() < 0.5 else min(HEADER, len(data))
    return random.randrange(max(1, most))
