"""Facts about a person: sex, consent, and the notices about emotion that they have seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec

OLDEST = 120
"""Years."""
LONGEST_VERSION = 100
"""Characters of the version of a text that was consented to."""

Sex: TypeAlias = Literal["female", "male", "other"]
"""As BIDS knows it."""
Age: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=OLDEST)]
"""Years."""


@dataclass(frozen=True)
class Consent:
    """A person's answer to a text that asks for consent.

    Parameters
    ----------
    given
        Yes or no; no also after a withdrawal.
    date
        Day of the answer (ISO 8601).
    version
        Version of the text, in the words of those who wrote it.
    """

    given: bool
    date: str
    version: str | None = None


@dataclass(frozen=True)
class Acknowledgement:
    """A notice about inferred emotion that the person has seen and acknowledged.

    Parameters
    ----------
    outputs
        The outputs that the notice named, with their labels.
    model
        Name of the model.
    date
        ISO 8601, UTC.
    """

    outputs: dict[str, tuple[str, ...]]
    model: str
    date: str


def acknowledge(outputs: dict[str, tuple[str, ...]], model: str) -> Acknowledgement:
    """Return an acknowledgement of just now."""
    return Acknowledgement(outputs, model, datetime.now(UTC).isoformat(timespec="seconds"))
