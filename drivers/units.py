"""Units of voltage, as files and streams name them."""

from __future__ import annotations

import re

_PREFIXES = {"": 1e6, "k": 1e9, "kilo": 1e9, "m": 1e3, "milli": 1e3, "u": 1.0, "micro": 1.0}
_PREFIXES |= {"n": 1e-3, "nano": 1e-3}
_MICRO = (
    "\x83\N{LATIN CAPITAL LETTER E WITH CIRCUMFLEX}",  # Shift-JIS read as Latin-1
    "\N{LATIN CAPITAL LETTER E WITH CIRCUMFLEX}",  # likewise, without the control character
    "\N{LATIN CAPITAL LETTER A WITH CIRCUMFLEX}\N{MICRO SIGN}",  # UTF-8 read as Latin-1
    "\N{LATIN CAPITAL LETTER I WITH CIRCUMFLEX}\N{VULGAR FRACTION ONE QUARTER}",  # likewise, Greek
    "\N{MICRO SIGN}",
    "\N{GREEK SMALL LETTER MU}",
)
"""Spellings of the prefix micro, the longer ones first; some come from a wrong decoding."""
_POWER = re.compile(r"-?(0|(?<=-)[369])(?:\.0)?")
_VOLTAGE = re.compile(r"(kilo|milli|micro|nano|[kmun])?v(?:olts?)?")


def microvolts_per(unit: str) -> float | None:
    """Give the factor from a unit to µV; None if it is not a voltage.

    Case, brackets and spaces do not matter: ``uV``, ``[uV]``, ``microV``, ``µVolt``. A number is a
    power of ten of volts, as in FIFF and MNE-LSL's player: ``0`` for V, ``-6`` for µV.
    """
    if (power := _POWER.fullmatch(unit.strip())) is not None:
        return 10.0 ** (6 - int(power[1]))
    for spelling in _MICRO:
        unit = unit.replace(spelling, "u")
    found = _VOLTAGE.fullmatch(unit.strip(" []()").lower())
    return None if found is None else _PREFIXES[found[1] or ""]
