"""The result of one check."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class Finding:
    """One line of ``mimamba doctor``.

    Parameters
    ----------
    name
        Name of the check.
    verdict
        ``ok``; ``note`` if something is missing or slow that not everyone needs; ``fail`` if
        mimamba does not work, or may lose data.
    found
        The facts.
    remedy
        The way to fix it; None if there is nothing to do.
    """

    name: str
    verdict: Literal["ok", "note", "fail"]
    found: str
    remedy: str | None = None


def ok(name: str, found: str) -> Finding:
    """Make a finding without a problem."""
    return Finding(name, "ok", found)


def note(name: str, found: str, remedy: str | None = None) -> Finding:
    """Make a finding of something optional, or of a check that is not possible here."""
    return Finding(name, "note", found, remedy)


def fail(name: str, found: str, remedy: str) -> Finding:
    """Make a finding of something that does not work."""
    return Finding(name, "fail", found, remedy)


def linux_only(name: str) -> Finding:
    """Make the finding of a check that is possible on Linux only."""
    return note(name, f"can be checked on Linux only, not on {sys.platform}")
