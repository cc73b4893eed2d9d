"""Units of voltage, as files and streams name them."""

from __future__ import annotations

_FACTORS = {
    "v": 1e6,
    "volt": 1e6,
    "volts": 1e6,
    "mv": 1e3,
    "millivolt": 1e3,
    "millivolts": 1e3,
    "uv": 1.0,
    "microvolt": 1.0,
    "microvolts": 1.0,
    "nv": 1e-3,
    "nanovolt": 1e-3,
    "nanovolts": 1e-3,
}
_MU = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


def microvolts_per(unit: str) -> float | None:
    """Give the factor from a unit to µV, in any case of its letters; None if it is no voltage."""
    return _FACTORS.get(unit.lower().translate(_MU))
