"""Facts for a BIDS data set that no recording holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

HED_VERSION = "8.4.0"
"""Version of the HED schema that annotations of markers follow."""


@dataclass(frozen=True)
class BIDSFacts:
    """Facts about a recording; None where one is not known.

    Parameters
    ----------
    age
        Of the person, years.
    sex
        Of the person.
    name
        Of a new data set.
    authors
        Of a new data set.
    mains
        Frequency of the power line, Hz.
    title, notes
        Of the recording.
    names
        Names by the label of the markers that get them.
    hed
        HED annotations by the marker's name, or by its label where it has no other name.
    expected
        Labels of the table ``[markers]`` of the settings; a notice names those that no marker has.
    """

    age: int | None = None
    sex: Literal["female", "male", "other"] | None = None
    name: str | None = None
    authors: tuple[str, ...] = ()
    mains: float | None = None
    title: str | None = None
    notes: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    hed: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
