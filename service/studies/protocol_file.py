"""Protocols of studies: timed steps in a TOML file, checked completely before anything begins.

The page's editor has the same table as JSON, and the same checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from mimamba.drivers.errors import Mismatch, UserError
from mimamba.service.feedback.wanted_feedback import WantedFeedback
from mimamba.service.storage.checked_toml import (
    SWITCH,
    TomlField,
    number_field,
    parse_toml,
    read_toml,
    shown,
    table_mistakes,
    text_field,
)
from mimamba.service.storage.private_files import NAME
from mimamba.service.studies.feedback_table import feedback_mistakes, make_feedback
from mimamba.service.studies.hed_tags import HED_FIELD

SOUNDS: Final = ("begin", "end", "first", "second", "again", "done")
"""Tones that the page can play; those of its calibrations."""
MOST_STEPS = 1000
MOST_MISTAKES = 50
"""Mistakes that are told at once."""
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
    hed
        HED annotation of the marker; None for none.
    feedback
        Whether the protocol's feedback is given meanwhile.
    """

    text: str
    seconds: float | None
    sound: str | None
    speak: str | None
    marker: str
    rating: bool
    hed: str | None = None
    feedback: bool = False

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
    feedback
        Feedback that some steps give; None if none does.
    """

    name: str
    title: str
    description: str
    record: bool
    wait_for_contact: bool
    steps: tuple[StudyStep, ...]
    feedback: WantedFeedback | None = None

    @property
    def planned(self) -> float:
        """Length of all steps, about, s."""
        return sum(step.planned for step in self.steps)


@dataclass(frozen=True)
class StudyMistake:
    """A mistake in a protocol.

    Parameters
    ----------
    step
        Number of its step from 1; None for the fields above the steps.
    field
        Its field, ``feedback.above`` for one of the table of the feedback; None for the step or
        the protocol as a whole.
    problem
        What was expected and found, in one sentence.
    """

    step: int | None
    field: str | None
    problem: str


HEAD: Final[Mapping[str, TomlField]] = {
    "title": text_field(80),
    "description": text_field(1000, lines=True),
    "record": SWITCH,
    "wait_for_contact": SWITCH,
    "feedback": TomlField("a table [feedback]", lambda value: isinstance(value, dict)),
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
    "hed": HED_FIELD,
    "feedback": SWITCH,
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
    check_file_name(path)
    return parse_study(read_toml(path, "a protocol", BadStudy), path)


def check_file_name(path: Path) -> None:
    """Raise BadStudy if a protocol's file cannot have this name."""
    if not re.fullmatch(NAME, path.stem) or path.suffix != ".toml":
        raise BadStudy(
            "a file name of letters, digits, '-', '_' and '.' that ends in .toml",
            repr(path.name),
            "rename the file",
        )


def parse_study(content: bytes, path: Path) -> StudyProtocol:
    """Parse the content of a protocol's file; raises BadStudy."""
    return make_study(parse_table(content, path), path)


def parse_table(content: bytes, path: Path) -> dict[str, Any]:
    """Parse the content of a protocol's file, whose table is not checked; raises BadStudy."""
    check_file_name(path)
    return parse_toml(content, path.name, BadStudy)


def make_study(found: Mapping[str, Any], path: Path) -> StudyProtocol:
    """Make a protocol of the table that its file has; raises BadStudy with the first mistake."""
    for _, _, mistake in _mistakes(found, path.name):
        raise mistake
    return StudyProtocol(
        path.stem,
        found.get("title", path.stem),
        found.get("description", ""),
        found.get("record", False),
        found.get("wait_for_contact", False),
        tuple(_step(each, number) for number, each in enumerate(found["step"], 1)),
        make_feedback(found["feedback"]) if "feedback" in found else None,
    )


def find_mistakes(found: Mapping[str, Any], where: str) -> list[StudyMistake]:
    """Return all mistakes in a protocol's table, up to ``MOST_MISTAKES``.

    Parameters
    ----------
    found
        The table, as a file of TOML has it.
    where
        The protocol in words.
    """
    mistakes = islice(_mistakes(found, where), MOST_MISTAKES)
    return [StudyMistake(step, field, str(error)) for step, field, error in mistakes]


def _mistakes(
    found: Mapping[str, Any], where: str
) -> Iterator[tuple[int | None, str | None, Mismatch]]:
    if isinstance(found.get("step"), dict):
        error = BadStudy(f"[[step]] in {where}", "[step]", "write two brackets on each side")
        yield None, "step", error
        return
    if "step" not in found:
        yield None, "step", BadStudy(f"one [[step]] or more in {where}", "none", "add one")
    for field, mistake in table_mistakes(found, HEAD, where, BadStudy):
        yield None, field, mistake
    if "feedback" in found and found.get("record", False) is False:
        expected = f"record = true in {where}, which gives feedback"
        remedy = "add it above the table [feedback]: its log is in the recording"
        yield None, "feedback", BadStudy(expected, "none", remedy)
    steps = found.get("step")
    if not isinstance(steps, list):
        return
    for field, mistake in _feedback_mistakes(found, steps, where):
        yield None, field, mistake
    if len(steps) > MOST_STEPS:
        expected = f"up to {MOST_STEPS} steps in {where}"
        yield None, "step", BadStudy(expected, str(len(steps)), "split the file")
        return
    tagged: dict[str, str | None] = {}
    for number, step in enumerate(steps, 1):
        for field, mistake in _step_mistakes(step, number, where, tagged):
            yield number, field, mistake


def _feedback_mistakes(
    found: Mapping[str, Any], steps: Sequence[object], where: str
) -> Iterator[tuple[str, Mismatch]]:
    """Yield the mistakes of the feedback, which needs its table and a step that gives it."""
    if isinstance(found.get("feedback"), dict):
        for field, mistake in feedback_mistakes(found["feedback"], where, BadStudy):
            yield f"feedback.{field}", mistake
    given = [isinstance(step, dict) and step.get("feedback") is True for step in steps]
    expected = f"the table [feedback] and a step that gives it in {where}"
    if any(given) and "feedback" not in found:
        step = given.index(True) + 1
        given_alone = f"feedback in step {step} alone"
        yield "feedback", BadStudy(expected, given_alone, "add the table [feedback]")
    elif "feedback" in found and not any(given):
        remedy = "add feedback = true to a step"
        yield "feedback", BadStudy(expected, "the table alone", remedy)


def _step_mistakes(
    step: object, number: int, file: str, tagged: dict[str, str | None]
) -> Iterator[tuple[str | None, Mismatch]]:
    """Yield a step's mistakes; ``tagged`` has the tags of the markers before it, and gets its."""
    wrong, where = False, f"step {number} of {file}"
    for field, mistake in table_mistakes(step, STEP, where, BadStudy):
        wrong = True
        yield field, mistake
    if not isinstance(step, dict):
        return
    if "text" not in step and step.get("rating") is not True:
        error = BadStudy(f"a text in {where}", "none", "add the field text, or rating = true")
        yield "text", error
    if wrong:
        return
    marker, tags = step.get("marker", _marker(number)), step.get("hed")
    if tagged.setdefault(marker, tags) != tags:
        yield (
            "hed",
            BadStudy(
                f"the same HED tags for each marker {shown(marker)}",
                f"others in {where}",
                "write the same, or choose another marker",
            ),
        )


def _marker(number: int) -> str:
    """Return the marker of a step that names none."""
    return f"step {number}"


def _step(found: Mapping[str, Any], number: int) -> StudyStep:
    seconds = found.get("seconds")
    return StudyStep(
        found.get("text", QUESTION),
        None if seconds is None else float(seconds),
        found.get("sound"),
        found.get("speak"),
        found.get("marker", _marker(number)),
        found.get("rating", False),
        found.get("hed"),
        found.get("feedback", False),
    )
