"""Checks of figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from mimamba.service.bench.figures import Figure

SHORT = 0.25
"""Seconds of a measurement whose values do not matter."""


def check_figures(found: list[Figure], units: list[str]) -> None:
    """Check units, names and aims, and that JSON keeps them."""
    assert [figure.unit for figure in found] == units
    assert len({figure.what for figure in found}) == len(found)
    assert all(figure.aim is not None for figure in found if figure.met is not None)
    assert not any(math.isnan(figure.value) for figure in found)
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(found)), list[Figure]) == found


def measure_long_enough(measure: Callable[[float], list[Figure]], units: list[str]) -> list[Figure]:
    """Measure for longer and longer until all figures are there."""
    for seconds in (SHORT, 1.0, 5.0, 20.0):
        found = measure(seconds)
        if [figure.unit for figure in found] == units:
            break
    check_figures(found, units)
    return found
