"""What a measurement finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number: what was measured, its unit, and the aim, where there is one."""

    what: str
    value: float
    unit: str
    aim: str | None = None
    met: bool | None = None
