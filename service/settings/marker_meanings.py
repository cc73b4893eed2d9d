"""Names and HED tags of markers that other programs set: the table ``[markers]`` of the settings.

Recordings keep each label as it came. BIDS exports have the name and the tags in its place, so a
table that is written later also serves older recordings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.bids_facts import HED_VERSION, BIDSFacts
from mimamba.service.storage.checked_toml import TomlField, check_table, shown, text_field
from mimamba.service.studies.hed_tags import HED_FIELD, can_look_up, schema_problems

LONGEST = 1000
"""Characters of a label or a name; files of other programs may have longer labels than ours."""
LABEL: Final = text_field(LONGEST)
FIELDS: Final[dict[str, TomlField]] = {"name": LABEL, "hed": HED_FIELD}


class BadMarkers(Mismatch, ValueError):
    """The table of markers is not valid; a ValueError, whose message the settings show."""


@dataclass(frozen=True)
class MarkerMeaning:
    """Meaning of a marker's label.

    Parameters
    ----------
    name
        Name in its place; None to keep the label.
    hed
        HED annotation; None for none.
    """

    name: str | None = None
    hed: str | None = None

    def __str__(self) -> str:
        """Return both in one line, as ``mimamba config`` shows them."""
        return " ".join([*filter(None, [self.name]), *([f"[{self.hed}]"] if self.hed else [])])


def parse_meanings(given: object) -> dict[str, MarkerMeaning]:
    """Parse the table, or a text of the environment that holds it as JSON.

    Labels and names lose their outer spaces, as cells of ``events.tsv`` do.

    Raises
    ------
    BadMarkers
        If it is not valid, or if markers with one name have different tags.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise BadMarkers("a JSON object", shown(given), "correct it") from None
    if not isinstance(given, Mapping):
        raise BadMarkers("a table of labels", shown(given), "write it below [markers]")
    found: dict[str, MarkerMeaning] = {}
    for label, meaning in _meanings(given):
        if label in found:
            raise BadMarkers(
                f"one entry for the marker {shown(label)}",
                "two that differ in outer spaces alone",
                "remove one",
            )
        found[label] = meaning
    tags: dict[str, str] = {}
    for label, meaning in found.items():
        name = meaning.name or label
        if meaning.hed is not None and tags.setdefault(name, meaning.hed) != meaning.hed:
            raise BadMarkers(
                f"the same HED tags for all markers with the name {shown(name)}",
                f"others for {shown(label)}",
                "correct them, or give it another name",
            )
    return found


def _meanings(given: Mapping[object, object]) -> Iterator[tuple[str, MarkerMeaning]]:
    for label, value in given.items():
        if not isinstance(label, str) or not LABEL.fits(label):
            raise BadMarkers(f"{LABEL.expected} as a marker's label", shown(label), "correct it")
        if isinstance(value, MarkerMeaning):
            yield label.strip(), value
            continue
        fields = {"name": value} if isinstance(value, str) else value
        if not isinstance(fields, Mapping) or not fields:
            raise BadMarkers(
                f"a name, or a table with name, hed or both, for the marker {shown(label)}",
                shown(value),
                "correct it",
            )
        where = f"the marker {shown(label)}"
        checked = check_table(dict(fields), FIELDS, where, BadMarkers)
        name = checked.get("name")
        yield label.strip(), MarkerMeaning(name.strip() if name else None, checked.get("hed"))


MarkerMeanings: TypeAlias = Annotated[
    dict[str, MarkerMeaning], NoDecode, BeforeValidator(parse_meanings)
]


def check_tags(meanings: Mapping[str, MarkerMeaning]) -> None:
    """Look all tags up in their schema, if hedtools is installed; raises BadMarkers."""
    tagged = {label: each.hed for label, each in meanings.items() if each.hed}
    if not tagged or not can_look_up():
        return
    problems = schema_problems(tagged.values())
    for label, hed in tagged.items():
        if hed in problems:
            raise BadMarkers(
                f"tags of HED {HED_VERSION} for the marker {shown(label)}",
                f"{hed!r} ({problems[hed].rstrip('.')})",
                "correct it",
            )


def with_meanings(facts: BIDSFacts, meanings: Mapping[str, MarkerMeaning]) -> BIDSFacts:
    """Add the names and tags to the facts of an export; tags that were recorded go first.

    Raises
    ------
    BadMarkers
        If markers that would have one name were recorded with different tags.
    """
    names = {label: each.name for label, each in meanings.items() if each.name}
    hed = {each.name or label: each.hed for label, each in meanings.items() if each.hed}
    recorded: dict[str, str] = {}
    for label, tags in facts.hed.items():
        name = names.get(label.strip(), label.strip())
        if recorded.setdefault(name, tags) != tags:
            raise BadMarkers(
                f"the same HED tags in the recording for all markers with the name {shown(name)}",
                f"others for {shown(label)}",
                "give it another name below [markers]",
            )
    return replace(facts, names=names, hed=hed | recorded, expected=tuple(meanings))
