"""Titles: what is shown of them, and names of files that every system takes."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.storage.private_files import NAME
from mimamba.service.storage.titles import (
    LONGEST_TITLE,
    clean_notes,
    clean_title,
    derive_name,
    free_names,
)

OVERRIDE = "\u202e"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  Day 1:\teyes   open ", "Day 1: eyes open"),
        ("Müdigkeit, früh", "Müdigkeit, früh"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
        ("\u06cc\u200c\u062e", "\u06cc\u200c\u062e"),  # Persian needs the joiner
        ("<b>x</b> & ../../etc", "<b>x</b> & ../../etc"),  # harmless where it is escaped
        (f"safe{OVERRIDE}fdx.exe", "safefdx.exe"),
        ("a\x00b\x1b[31mc\nd\u2028e", "a b [31mc d e"),
        ("\u200d \u2066\u2069", None),
        ("", None),
        (None, None),
        ("x" * 500, "x" * LONGEST_TITLE),
    ],
)
def test_a_title_is_one_line_that_turns_nothing(text: str | None, title: str | None) -> None:
    assert clean_title(text) == title


def test_notes_keep_their_lines() -> None:
    assert clean_notes(f" one\r\n  two{OVERRIDE}\x07\n\n") == "one\n  two"
    assert clean_notes("\n \n") is None


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Day 1: eyes open", "Day-1-eyes-open"),
        ("Crème brûlée", "Creme-brulee"),
        ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c", "a-b-c"),
        ("CON", "recording-CON"),
        ("lpt1.txt", "recording-lpt1.txt"),
        ("console", "console"),
        ("日本", "otherwise"),
    ],
)
def test_a_name_is_derived_from_a_title(title: str, name: str) -> None:
    assert derive_name(title, "otherwise") == name


@given(st.text())
def test_any_title_gives_a_valid_name_and_stays_as_it_is_cleaned(text: str) -> None:
    assert re.fullmatch(NAME, derive_name(text, "otherwise"))
    title = clean_title(text)
    assert clean_title(title) == title
    if title is not None:
        assert re.fullmatch(NAME, derive_name(title, "otherwise"))
        assert not {unicodedata.category(each) for each in title} & {"Cc", "Cs", "Zl", "Zp"}


def test_a_name_is_free_on_every_system(tmp_path: Path) -> None:
    for name in ("day.xdf", "Day-2.json", "day-3.xdf.edits.jsonl", "day-40.xdf"):
        (tmp_path / name).touch()
    names = free_names(tmp_path, "DAY")
    assert [next(names), next(names)] == ["DAY-4", "DAY-5"]
    assert next(free_names(tmp_path / "none", "day")) == "day"
