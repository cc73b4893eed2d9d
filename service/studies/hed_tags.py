"""HED annotations of steps (https://www.hedtags.org): tags with commas between them, in groups.

The form is checked here. Which tags there are says the schema, in the package hedtools, which is
large: `mimamba study check` asks it where it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

from mimamba.drivers.formats.bids_facts import HED_VERSION
from mimamba.service.storage.checked_toml import TomlField, shown

MOST_CHARACTERS = 1000
"""Of an annotation."""
TAG: Final = r"[A-Za-z][^/{}\[\]~#\"]*(?:/[^/{}\[\]~#\"]+)*"
"""A tag with its parents or its value, such as ``Action/Move`` or ``Duration/3 s``."""


def hed_problem(text: object) -> str | None:
    """Return what is wrong with the form of an annotation, in words; None if nothing is."""
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        return shown(text)
    if len(text) > MOST_CHARACTERS:
        return f"{len(text)} characters, more than {MOST_CHARACTERS}"
    depth, complete = 0, False
    for token in filter(None, map(str.strip, re.split("([(),])", text))):
        problem = _misplaced(token, depth, complete)
        if problem is not None:
            return f"{problem} in {shown(text)}"
        depth += {"(": 1, ")": -1}.get(token, 0)
        complete = token not in (",", "(")
    if depth:
        return f"a bracket that is not closed in {shown(text)}"
    return None if complete else f"nothing after the last comma in {shown(text)}"


def _misplaced(token: str, depth: int, complete: bool) -> str | None:
    """Return why a comma, a bracket or a tag cannot stand here, in words; None if it can."""
    if token == ",":
        return None if complete else "a comma without a tag before it"
    if token == ")" and not depth:
        return "a bracket that closes nothing"
    if token == ")":
        return None if complete else "no tag before a bracket that closes"
    if complete:
        return f"no comma before {shown(token)}"
    if token == "(" or re.fullmatch(TAG, token):
        return None
    return f"the tag {shown(token)}"


HED_FIELD: Final = TomlField(
    "HED tags with commas between them, such as 'Sensory-event, (Visual-presentation, Red)',",
    lambda value: hed_problem(value) is None,
    lambda value: hed_problem(value) or shown(value),
)
"""Field of an annotation."""


def can_look_up() -> bool:
    """Return whether the package that has the schema is installed."""
    return find_spec("hed") is not None


def schema_problems(annotations: Iterable[str]) -> dict[str, str]:
    """Return what the schema finds wrong, by the annotation.

    Needs hedtools, which has the schema with it; takes seconds to load.
    """
    from hed import HedString, load_schema_version
    from hed.validator import HedValidator

    schema = load_schema_version(HED_VERSION)
    validator = HedValidator(schema)
    found: dict[str, str] = {}
    for text in annotations:
        for issue in validator.validate(HedString(text, schema), allow_placeholders=False)[:1]:
            found[text] = " ".join(issue["message"].split())
    return found
