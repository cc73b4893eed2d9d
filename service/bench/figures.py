"""The results of a measurement, and the reason where it cannot be made."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.drivers.errors import Mismatch


class NotRun(Mismatch):
    """A measurement cannot be made on this machine."""


@dataclass(frozen=True)
class Figure:
    """One number.

    Parameters
    ----------
    what
        The quantity, in words.
    value, unit
        Its value and its unit; the unit is empty for a count.
    aim
        The aim in words; None where there is none.
    met
        True if the aim is met; None where there is no aim.
    """

    what: str
    value: float
    unit: str
    aim: str | None = None
    met: bool | None = None


def at_most(what: str, value: float, unit: str, limit: float) -> Figure:
    """Make a figure whose aim is an upper limit."""
    return Figure(what, value, unit, f"<= {limit:g} {unit}", value <= limit)
