"""Protocols of a folder and those shipped: list, read, save, delete, and who comes too late."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.service.studies.protocol_file import BadStudy, NoStudy, find_mistakes, parse_study
from mimamba.service.studies.study_folder import (
    SHIPPED,
    StudyChanged,
    StudyFolder,
    StudyMistakes,
    StudyRefused,
)
from mimamba.service.studies.study_writer import write_study

STEP = '[[step]]\ntext = "Rest"\nseconds = 1\n'
TABLE: dict[str, Any] = {"title": "Ruhe", "step": [{"text": "Eins\nzwei", "seconds": 2.5}]}
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
LINES = st.text("\n a\"'\\", min_size=1, max_size=8)
STEPS = st.fixed_dictionaries(
    {"text": TEXT | LINES},
    optional={
        "seconds": st.integers(1, 7200) | st.floats(0.1, 7200),
        "sound": st.sampled_from(["begin", "done"]),
        "speak": TEXT,
        "marker": TEXT,
        "rating": st.booleans(),
        "hed": st.sampled_from(["Red", "Sensory-event, (Red, Duration/3 s)"]),
    },
)


def test_a_folder_lists_what_is_wrong_too(tmp_path: Path) -> None:
    (tmp_path / "rest.toml").write_text(STEP, encoding="utf-8")
    (tmp_path / "bad.toml").write_text("step = 1", encoding="utf-8")
    folder = StudyFolder(tmp_path)
    bad, good, *shipped = folder.all()
    assert (good.name, good.steps, good.seconds, good.problem) == ("rest", 1, 1.0, None)
    assert bad.problem is not None
    assert "bad.toml" in bad.problem
    assert [each.name for each in shipped] == ["eyes-open-closed", "rest-and-counting"]
    assert all(each.shipped and each.problem is None for each in shipped)
    assert folder.get("rest").steps[0].text == "Rest"
    for name in ("other", "../rest", "../studies/shipped/eyes-open-closed"):
        with pytest.raises(NoStudy):
            folder.get(name)
    assert all(each.shipped for each in StudyFolder(tmp_path / "none").all())


def test_a_protocol_is_saved_and_deleted_by_those_who_know_it(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "new")
    saved = folder.save_table("ruhe", TABLE, None)
    assert tomllib.loads(saved.path.read_text(encoding="utf-8")) == TABLE
    assert (saved.path.stat().st_mode & 0o077, saved.table()) == (0, TABLE)
    with pytest.raises(StudyChanged, match="taken"):
        folder.save_table("ruhe", TABLE, None)
    longer = {**TABLE, "record": True}
    changed = folder.save_table("ruhe", longer, saved.version)
    with pytest.raises(StudyChanged, match="somebody else"):
        folder.save_table("ruhe", TABLE, saved.version)
    with pytest.raises(StudyChanged, match="somebody else"):
        folder.delete("ruhe", saved.version)
    with pytest.raises(StudyMistakes, match=r"There is 1 more\."):
        folder.save_table("ruhe", {"step": [{"seconds": 0, "text": ""}]}, changed.version)
    folder.delete("ruhe", changed.version)
    assert not saved.path.exists()
    with pytest.raises(NoStudy) as gone:
        folder.save_table("ruhe", TABLE, changed.version)
    assert str(tmp_path) not in str(gone.value)
    with pytest.raises(BadStudy, match="1 MiB"):
        folder.save("ruhe", b"#" * (2 << 20), None)
    assert list(saved.path.parent.iterdir()) == []


def test_shipped_protocols_are_only_read(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    shipped = folder.file("eyes-open-closed")
    for version in (None, shipped.version):
        with pytest.raises(StudyRefused, match="another name"):
            folder.save_table("eyes-open-closed", TABLE, version)
    with pytest.raises(StudyRefused):
        folder.delete("eyes-open-closed", shipped.version)
    copied = folder.save_table("mine", shipped.table(), None)
    assert folder.get("mine").steps == folder.get("eyes-open-closed").steps
    assert copied.table() == tomllib.loads(shipped.content.decode())
    # One that a person has put there hides the shipped one, and is theirs.
    own = tmp_path / "eyes-open-closed.toml"
    own.write_text(STEP, encoding="utf-8")
    assert [each.shipped for each in folder.all()] == [False, False, True]
    folder.delete("eyes-open-closed", folder.file("eyes-open-closed").version)
    assert folder.file("eyes-open-closed").shipped


def test_all_mistakes_are_found_at_their_fields() -> None:
    found = find_mistakes(
        {"title": "", "step": [{"seconds": "1", "hed": "(Red"}, 1, {"rating": True, "x": 1}]},
        "the study",
    )
    assert [(each.step, each.field) for each in found] == [
        (None, "title"),
        (1, "seconds"),
        (1, "hed"),
        (1, "text"),
        (2, None),
        (3, "x"),
    ]
    assert found[3].problem.startswith("Expected a text in step 1 of the study, but found none.")


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.booleans(), TEXT)
def test_what_is_written_is_what_was_given(
    steps: list[dict[str, Any]], record: bool, title: str
) -> None:
    table = {"title": title, "record": record, "step": steps}
    if find_mistakes(table, "it"):
        return
    written = write_study(table)
    assert tomllib.loads(written) == table
    parse_study(written.encode(), SHIPPED / "it.toml")
