"""What a check of ``mimamba doctor`` found."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Parameters
    ----------
    name
        What was looked at.
    verdict
        ``ok``; ``note`` where something is missing or slow that not everyone needs; ``fail`` where
        mimamba does not work, or loses something.
    found
        The facts.
    remedy
        What to do; None where there is nothing to do.
    """

    name: str
    verdict: Literal["ok", "note", "fail"]
    found: str
    remedy: str | None = None


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", found)


def note(name: str, found: str, remedy: str | None = None) -> Finding:
    """Something that not everyone needs, or that cannot be asked here."""
    return Finding(name, "note", found, remedy)


def fail(name: str, found: str, remedy: str) -> Finding:
    """Something that does not work."""
    return Finding(name, "fail", found, remedy)


def not_asked(name: str) -> Finding:
    """A question that only Linux answers."""
    return note(name, f"cannot be asked on this system ({sys.platform})")
