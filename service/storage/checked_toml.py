"""TOML files that people write: each mistake is one sentence, with the place and the field."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from unicodedata import category

from mimamba.drivers.errors import Mismatch

MOST_BYTES = 1 << 20
"""Size of a file, at most."""
JOINERS = "\u200c\u200d"
"""Characters without a width, which Persian, Hindi and emojis need."""
SHOWN = 60
"""Characters of a wrong value that a sentence repeats."""


def shown(value: object) -> str:
    """Return a value as TOML writes it, shortened."""
    try:
        text = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # hexadecimal ones have no limit when they are read
        return "a number of too many digits"
    except RecursionError:
        return "lists or tables that are nested too deeply"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


@dataclass(frozen=True)
class TomlField:
    """A field of a table: the values that it may have, in words and as a check.

    ``found`` says what was found in place of such a value.
    """

    expected: str
    fits: Callable[[Any], bool] = field(repr=False)
    found: Callable[[Any], str] = field(default=shown, repr=False)


SWITCH = TomlField("true or false", lambda value: isinstance(value, bool))


def text_field(most: int, lines: bool = False) -> TomlField:
    """Return a field for a text of up to ``most`` characters; with ``lines`` of several lines."""
    allowed = f"{JOINERS}\n" if lines else JOINERS

    def fits(value: object) -> bool:
        return (
            isinstance(value, str)
            and 0 < len(value.strip()) <= len(value) <= most
            and all(
                each.isprintable() or each in allowed or category(each) == "Zs" for each in value
            )
        )

    return TomlField(f"a text of 1 to {most} characters without control characters", fits)


def number_field(least: float, most: float) -> TomlField:
    """Return a field for a number in a range."""

    def fits(value: object) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and least <= value <= most  # type: ignore[operator]  # as it is a number

    return TomlField(f"a number from {least:g} to {most:g}", fits)


def load_toml(path: Path, what: str, error: type[Mismatch]) -> dict[str, Any]:
    """Load a file; raises ``error`` with ``what`` was expected if it cannot be read."""
    return parse_toml(read_toml(path, what, error), path.name, error)


def read_toml(path: Path, what: str, error: type[Mismatch], place: str | None = None) -> bytes:
    """Read a file up to one byte more than it may have; raises ``error`` as ``load_toml``.

    ``place`` is the path in words, for those who are not to see where it is.
    """
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as why:
        found = why.strerror or str(why)
        raise error(f"{what} at {place or path}", found, "correct the path") from None


def parse_toml(content: bytes, name: str, error: type[Mismatch]) -> dict[str, Any]:
    """Parse a file's content; raises ``error``, which calls the file by its ``name``."""
    if len(content) > MOST_BYTES:
        raise error(f"up to {MOST_BYTES >> 20} MiB in {name}", "more", "shorten it")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise error(f"a text in UTF-8 in {name}", "other bytes", "save it as UTF-8") from None
    except (ValueError, RecursionError) as why:
        reason = str(why)
        found = reason[:1].lower() + reason[1:]
        raise error(f"TOML in {name}", found, "correct the file") from None


def check_table(
    found: object, fields: Mapping[str, TomlField], where: str, error: type[Mismatch]
) -> dict[str, Any]:
    """Return a table whose fields all are known and valid; raises ``error``.

    Parameters
    ----------
    found
        The table, or what stands in its place.
    fields
        Its fields by name.
    where
        The table in words, as "step 3 of rest.toml".
    error
        Raised for the first mistake.
    """
    for _, mistake in table_mistakes(found, fields, where, error):
        raise mistake
    assert isinstance(found, dict)
    return found


def table_mistakes(
    found: object, fields: Mapping[str, TomlField], where: str, error: type[Mismatch]
) -> Iterator[tuple[str | None, Mismatch]]:
    """Yield each mistake of a table with its field, None for one of the table as a whole.

    The parameters are those of ``check_table``.
    """
    if not isinstance(found, dict):
        yield None, error(f"a table for {where}", shown(found), "write it with two brackets")
        return
    for name, value in found.items():
        if name not in fields:
            nearest = get_close_matches(name[:SHOWN], fields, n=1)
            remedy = f"use {nearest[0]}, or remove it" if nearest else "remove it"
            expected = f"the fields {', '.join(fields)} in {where}"
            yield name, error(expected, f"the field {shown(name)}", remedy)
        elif not fields[name].fits(value):
            expected = f"{fields[name].expected} in the field {name} of {where}"
            yield name, error(expected, fields[name].found(value), "correct it")
