"""Names and HED tags of other programs' markers: their form, and who goes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimamba.drivers.formats.bids_facts import BIDSFacts
from mimamba.service.settings.load import CannotServe, load_marker_meanings, masked
from mimamba.service.settings.marker_meanings import MarkerMeaning, with_meanings

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


def test_a_text_that_is_no_json_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMBA_MARKERS", "{")
    with pytest.raises(CannotServe, match=r"markers: Expected a JSON object, but found '\{'"):
        load_marker_meanings(None)
