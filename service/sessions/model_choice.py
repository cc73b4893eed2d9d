"""Model that a session is to get."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelChoice:
    """The model that a session gets.

    Parameters
    ----------
    name
        A checkpoint's name or path; None for the signal only.
    required
        Whether a montage that the source cannot meet is an error.
    memory
        Whether the state is carried from hop to hop (the checkpoint's r); otherwise r = 0.
    """

    name: str | None
    required: bool
    memory: bool = True
