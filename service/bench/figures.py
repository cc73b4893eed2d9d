"""What a measurement finds, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.drivers.errors import Mismatch


class NotRun(Mismatch):
    """A measurement cannot be made here."""


@dataclass(frozen=True)
class Figure:
    """One number: what was measured, its unit, and the aim, where there is one."""

    what: str
    value: float
    unit: str
    aim: str | None = None
    met: bool | None = None


def most(what: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that is met up to a limit."""
    return Figure(what, value, unit, f"<= {limit:g} {unit}", value <= limit)
