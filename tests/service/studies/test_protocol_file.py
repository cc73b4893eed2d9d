"""Protocols of studies: what is read, and one sentence on each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mimamba.service.cli.personal.study import check
from mimamba.service.studies.protocol_file import BadStudy, find_mistakes, read_study

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "study.toml"
STEP = '[[step]]\ntext = "Rest"\nseconds = 1\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "rest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_protocol_is_read(tmp_path: Path) -> None:
    found = read_study(written(tmp_path, f"record = true\n{STEP}[[step]]\nrating = true\n"))
    assert (found.name, found.title, found.record, found.wait_for_contact) == (
        "rest",
        "rest",
        True,
        False,
    )
    first, second = found.steps
    assert (first.marker, first.seconds, first.rating) == ("step 1", 1.0, False)
    assert (second.text, second.seconds) == ("How do you feel right now?", None)
    assert found.planned == 11


def test_texts_in_every_script_are_read(tmp_path: Path) -> None:
    text = "क्\u200dष\u200cब\u00a0👩\u200d🔬"
    found = read_study(written(tmp_path, f'[[step]]\ntext = "{text}"\n'))
    assert found.steps[0].text == text


FEEDBACK = """record = true
[feedback]
quantity = "band/alpha"
above = 0.4
values = "balanced"
recordings = ["P07-day1"]
"""
GIVEN = f"{STEP}feedback = true"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STEP.replace("1", "'1'"), "from 0.1 to 7200 in the field seconds of step 1 of rest.toml"),
        (STEP + STEP.replace("= 1", "= true"), "seconds of step 2 of rest.toml, but found true"),
        (STEP.replace("= 1", "= nan"), "but found nan"),
        (STEP + 'sound = "gong"', "one of begin, end, first, second, again, done in the field"),
        (STEP + 'rating = "yes"', "true or false in the field rating of step 1"),
        (
            STEP + 'marker = "a\\u0007"',
            "200 characters without control characters in the field marker",
        ),
        (STEP + "wait = 1", "the field 'wait'. Remove it."),
        (STEP + "second = 1", "the field 'second'. Use seconds, or remove it."),
        ("[[step]]\nseconds = 1", "a text in step 1 of rest.toml, but found none"),
        ("record = 1\n" + STEP, "true or false in the field record of rest.toml, but found 1"),
        ("[step]\nseconds = 1", "[[step]] in rest.toml, but found [step]. Write two brackets"),
        ('title = "Rest"', "one [[step]] or more in rest.toml, but found none"),
        ("step = []", "one [[step]] or more in the field step"),
        (STEP + "feedback = true", "in rest.toml, but found feedback in step 1 alone. Add the"),
        (FEEDBACK[14:] + GIVEN, "record = true in rest.toml, which gives feedback, but found none"),
        (FEEDBACK + STEP, "but found the table alone. Add feedback = true to a step."),
        (FEEDBACK.replace("above", "over") + GIVEN, "the field 'over'. Use above, or"),
        (FEEDBACK.replace("above = 0.4\n", "") + GIVEN, "a threshold, above or below, in the"),
        (FEEDBACK.replace("band", "link") + GIVEN, "BAND or band/BAND/ELECTRODE in the field"),
        (FEEDBACK.replace("recordings", "#") + GIVEN, "recordings for a sham with the values"),
        (FEEDBACK + "block = 3\n" + GIVEN, "an even number of people from 2 to 100"),
        (
            FEEDBACK.replace("balanced", "sham") + "block = 4\n" + GIVEN,
            "block only with the values",
        ),
        (STEP + 'hed = "(Red"', "a bracket that is not closed in '(Red'. Correct it."),
        (
            f"{STEP}marker = 'a'\nhed = 'Red'\n{STEP}marker = 'a'",
            "the same HED tags for each marker 'a', but found others in step 2 of rest.toml",
        ),
        (
            f"{STEP}marker = 'step 2'\nhed = 'Red'\n{STEP}",
            "the same HED tags for each marker 'step 2', but found others in step 2 of rest.toml",
        ),
        (
            STEP.replace("1", f"0x{'f' * 4000}"),
            "seconds of step 1 of rest.toml, but found a number of",
        ),
        ("step = [1]", "a table for step 1 of rest.toml, but found 1"),
        ("step =", "TOML in rest.toml, but found invalid value"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadStudy) as raised:
        read_study(written(tmp_path, text))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mistake_of_the_feedback_names_its_field() -> None:
    feedback = {"above": "high", "back": 2, "values": "sham", "block": 4}
    steps = [{"text": "One", "feedback": True}]
    table: dict[str, Any] = {"record": True, "feedback": feedback, "step": steps}

    def fields() -> list[str | None]:
        return [each.field for each in find_mistakes(table, "the study")]

    wanted = ["above", "back", "quantity", "recordings", "block"]
    assert fields() == [f"feedback.{name}" for name in wanted]
    table["feedback"] = {"quantity": "band/alpha"}
    assert fields() == ["feedback.above"]
    del table["feedback"]
    assert fields() == ["feedback"]


def test_files_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, STEP)
    path.write_bytes(b"\xff")
    with pytest.raises(BadStudy, match="UTF-8"):
        read_study(path)
    with pytest.raises(BadStudy, match="Rename the file"):
        read_study(tmp_path / "a study.toml")
    with pytest.raises(BadStudy, match="No such file"):
        read_study(tmp_path / "none.toml")


def test_the_example_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    found = read_study(EXAMPLE)
    assert found.record
    assert {step.rating for step in found.steps} == {True, False}
    check(EXAMPLE)
    printed = capsys.readouterr().out
    assert "eyes closed" in printed
    assert "once all electrodes are good; it is recorded" in " ".join(printed.split())
