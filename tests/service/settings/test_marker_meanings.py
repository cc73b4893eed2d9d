"""Names and HED tags of other programs' markers: their form, and who goes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimamba.drivers.formats.bids_facts import BIDSFacts
from mimamba.service.settings.load import (
    BadConfig,
    CannotServe,
    load_marker_meanings,
    masked,
)
from mimamba.service.settings.marker_meanings import BadMarkers, MarkerMeaning, with_meanings

TABLE = """
[markers]
"S  1" = "eyes open"
"S  2" = { name = "eyes closed", hed = "Rest, Eyes-closed" }
tone = { hed = "Sensory-event" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mimamba.toml"
    path.write_text(TABLE)
    return path


def test_labels_get_names_and_tags(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meanings = load_marker_meanings(file)
    assert meanings == {
        "S  1": MarkerMeaning("eyes open"),
        "S  2": MarkerMeaning("eyes closed", "Rest, Eyes-closed"),
        "tone": MarkerMeaning(hed="Sensory-event"),
    }
    shown = "S  1: eyes open\nS  2: eyes closed [Rest, Eyes-closed]\ntone: [Sensory-event]"
    assert masked("markers", meanings) == shown
    recorded = BIDSFacts(hed={"S  1": "Agent-action", "tone": "Red"})
    facts = with_meanings(recorded, meanings)
    assert facts.names == {"S  1": "eyes open", "S  2": "eyes closed"}
    # What was noted with the recording goes before what the settings say now.
    assert facts.hed == {
        "eyes open": "Agent-action",
        "eyes closed": "Rest, Eyes-closed",
        "tone": "Red",
    }
    monkeypatch.setenv("MIMAMBA_MARKERS", '{"1": "go"}')
    assert load_marker_meanings(file) == {"1": MarkerMeaning("go")}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("a = 1", "a name, or a table with name, hed or both, for the marker 'a', but found 1"),
        ("a = {}", "but found {}"),
        ("a = ''", "in the field name of the marker 'a', but found ''"),
        ("'' = 'x'", "as a marker's label, but found ''"),
        ("a = {nam = 'x'}", "the field 'nam'. Use name, or remove it."),
        ("a = {hed = '(Red'}", "a bracket that is not closed in '(Red'"),
        ("' a' = 'x'\n'a ' = 'y'", "one entry for the marker 'a', but found two that differ in"),
        (
            "a = {name = 'n', hed = 'Red'}\nb = {name = 'n', hed = 'Blue'}",
            "the same HED tags for all markers with the name 'n', but found others for 'b'",
        ),
    ],
)
def test_a_mistake_is_one_line(file: Path, table: str, words: str) -> None:
    file.write_text(f"[markers]\n{table}\n")
    with pytest.raises(CannotServe) as caught:
        load_marker_meanings(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: markers: Expected ")
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a":' * 100_000])
def test_a_text_that_is_no_json_is_one_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMBA_MARKERS", text)
    with pytest.raises(CannotServe, match=r"markers: Expected a JSON object, but found '[\[\{]"):
        load_marker_meanings(None)


def test_nesting_of_any_depth_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for depth in range(10, 1200, 70):  # up to those that can be parsed, but not shown
        nested = "[" * depth + "]" * depth
        monkeypatch.setenv("MIMAMBA_MARKERS", f'{{"a": {nested}}}')
        with pytest.raises(CannotServe, match="markers: Expected "):
            load_marker_meanings(None)
    monkeypatch.delenv("MIMAMBA_MARKERS")
    file.write_text("a = " + "[" * 10_000)
    with pytest.raises(BadConfig, match="Expected TOML in"):
        load_marker_meanings(file)


def test_outer_spaces_do_not_count(file: Path) -> None:
    file.write_text("[markers]\n' 1' = 'go '\n'tone ' = {hed = 'Red'}")
    meanings = load_marker_meanings(file)
    assert meanings == {"1": MarkerMeaning("go"), "tone": MarkerMeaning(hed="Red")}
    facts = with_meanings(BIDSFacts(hed={" 1 ": "Blue"}), meanings)
    assert (facts.names, facts.hed) == ({"1": "go"}, {"go": "Blue", "tone": "Red"})


def test_recorded_tags_that_differ_get_no_common_name() -> None:
    meanings = {"o1": MarkerMeaning("open"), "o2": MarkerMeaning("open")}
    recorded = BIDSFacts(hed={"o1": "Red", "o2": "Blue"})
    expected = "the same HED tags in the recording for all markers with the name 'open'"
    with pytest.raises(BadMarkers, match=f"{expected}, but found others for 'o2'. Give it another"):
        with_meanings(recorded, meanings)
    assert with_meanings(recorded, {"o1": MarkerMeaning("open")}).hed == {
        "open": "Red",
        "o2": "Blue",
    }
