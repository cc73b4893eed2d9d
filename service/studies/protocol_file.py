"""Protocols of studies: timed steps in a TOML file, checked completely before anything begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mimamba.drivers.errors import Mismatch, UserError
from mimamba.service.storage.checked_toml import (
    SWITCH,
    TomlField,
    check_table,
    load_toml,
    number_field,
    text_field,
)
from mimamba.service.storage.private_files import NAME

SOUNDS: Final = ("begin", "end", "first", "second", "again", "done")
"""Tones that the page can play; those of its calibrations."""
MOST_STEPS = 1000
SECONDS = (0.1, 7200.0)
"""Shortest and longest step, s."""
ANSWER_SECONDS = 10.0
"""Seconds that a person takes for a step without an end of its own, about."""
MOST_LABEL = 200
"""Characters of a marker; sessions take 256."""
QUESTION = "How do you feel right now?"
"""Text of a step with a rating that has none."""


class BadStudy(Mismatch):
    """A protocol has a mistake."""


class NoStudy(UserError, LookupError):
    """No protocol has this name, or the session has had no study."""


@dataclass(frozen=True)
class StudyStep:
    """A step of a protocol.

    Parameters
    ----------
    text
        Shown to the person; empty for nothing.
    seconds
        Length, s; None waits for an answer: the rating, or a press of a key.
    sound, speak
        Tones to play and a sentence to speak at its start; None for none.
    marker
        Label of its start.
    rating
        Whether the person is asked how they feel.
    """

    text: str
    seconds: float | None
    sound: str | None
    speak: str | None
    marker: str
    rating: bool

    @property
    def planned(self) -> float:
        """Its length, or about so, s."""
        return ANSWER_SECONDS if self.seconds is None else self.seconds


@dataclass(frozen=True)
class StudyProtocol:
    """A complete protocol.

    Parameters
    ----------
    name
        Name of its file, without the ending.
    title, description
        For people.
    record
        Whether the session is recorded from the first to the last step.
    wait_for_contact
        Whether it begins only once all electrodes are good.
    steps
        At least one.
    """

    name: str
    title: str
    description: str
    record: bool
    wait_for_contact: bool
    steps: tuple[StudyStep, ...]

    @property
    def planned(self) -> float:
        """Length of all steps, about, s."""
        return sum(step.planned for step in self.steps)


@dataclass(frozen=True)
class StudyNote:
    """A protocol in a list; with a ``problem`` the other fields say nothing.

    ``seconds`` counts ten for each step that waits for an answer.
    """

    name: str
    title: str = ""
    description: str = ""
    steps: int = 0
    seconds: float = 0.0
    record: bool = False
    wait_for_contact: bool = False
    problem: str | None = None


HEAD: Final[Mapping[str, TomlField]] = {
    "title": text_field(80),
    "description": text_field(1000, lines=True),
    "record": SWITCH,
    "wait_for_contact": SWITCH,
    "step": TomlField(
        "one [[step]] or more", lambda value: isinstance(value, list) and bool(value)
    ),
}
"""Fields of a protocol."""
STEP: Final[Mapping[str, TomlField]] = {
    "text": text_field(1000, lines=True),
    "seconds": number_field(*SECONDS),
    "sound": TomlField(f"one of {', '.join(SOUNDS)}", lambda value: value in SOUNDS),
    "speak": text_field(300),
    "marker": text_field(MOST_LABEL),
    "rating": SWITCH,
}
"""Fields of a step."""


def read_study(path: Path) -> StudyProtocol:
    """Read a protocol.

    Raises
    ------
    BadStudy
        If the file cannot be read, or has a mistake; the first one is named with its step and
        field.
    """
    if not re.fullmatch(NAME, path.stem) or path.suffix != ".toml":
        raise BadStudy(
            "a file name of letters, digits, '-', '_' and '.' that ends in .toml",
            repr(path.name),
            "rename the file",
        )
    return _protocol(path, load_toml(path, "a protocol", BadStudy))


def _protocol(path: Path, found: dict[str, Any]) -> StudyProtocol:
    where = path.name
    if isinstance(found.get("step"), dict):
        raise BadStudy(f"[[step]] in {where}", "[step]", "write two brackets on each side")
    if "step" not in found:
        raise BadStudy(f"one [[step]] or more in {where}", "none", "add one")
    steps = check_table(found, HEAD, where, BadStudy)["step"]
    if len(steps) > MOST_STEPS:
        raise BadStudy(f"up to {MOST_STEPS} steps in {where}", str(len(steps)), "split the file")
    return StudyProtocol(
        path.stem,
        found.get("title", path.stem),
        found.get("description", ""),
        found.get("record", False),
        found.get("wait_for_contact", False),
        tuple(_step(each, number, where) for number, each in enumerate(steps, 1)),
    )


def _step(given: object, number: int, file: str) -> StudyStep:
    where = f"step {number} of {file}"
    found = check_table(given, STEP, where, BadStudy)
    rating = found.get("rating", False)
    if "text" not in found and not rating:
        raise BadStudy(f"a text in {where}", "none", "add the field text, or rating = true")
    seconds = found.get("seconds")
    return StudyStep(
        found.get("text", QUESTION),
        None if seconds is None else float(seconds),
        found.get("sound"),
        found.get("speak"),
        found.get("marker", f"step {number}"),
        rating,
    )


class StudyFolder:
    """The protocols of a folder; it is read anew each time, as people edit it.

    Parameters
    ----------
    folder
        It need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[StudyNote]:
        """List the protocols by name, those with a mistake included."""
        return [_note(path) for path in sorted(self._folder.glob("*.toml"))]

    def get(self, name: str) -> StudyProtocol:
        """Return a protocol; raises NoStudy, and BadStudy."""
        path = self._folder / f"{name}.toml"
        if not re.fullmatch(NAME, name) or not path.is_file():
            raise NoStudy(f"No study is named {name!r} in {self._folder}. Choose another.")
        return read_study(path)


def _note(path: Path) -> StudyNote:
    try:
        found = read_study(path)
    except BadStudy as error:
        return StudyNote(path.stem, problem=str(error))
    return StudyNote(
        found.name,
        found.title,
        found.description,
        len(found.steps),
        found.planned,
        found.record,
        found.wait_for_contact,
    )
