"""``mimamba recordings`` and the names of recordings in other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording
from mimamba.service.cli.main import app
from mimamba.service.cli.options import AmbiguousTitle, find_recording, find_source
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.drivers.formats.made import recording
from tests.service.cli.test_main import invoke

TITLE = "Müde [red]abends"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with recordings of which two have the same title."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, title in (("v1.2", TITLE), ("b", "twin"), ("c", "twin"), ("v1", None)):
        export(recording(labels=((20, "go"),)), str(folder / f"{name}.xdf"))
        save_sidecar(folder / f"{name}.xdf", Sidecar(name, "finished", title=title))
    return folder


def test_a_recording_is_named_by_path_name_or_title(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    own = str(folder / "v1.2.xdf")
    assert find_recording("v1.2", folder) == own
    assert find_recording("v1.2.xdf", folder) == find_source("v1.2", folder) == own
    assert find_source("v1.2", folder / "not yet") == "v1.2"
    assert find_recording(f" {TITLE}", folder) == own
    assert find_recording("replay://v1.2?channels=A", folder) == f"replay://{own}?channels=A"
    for other in (own, "absent", "muse://", "../data/v1.2.xdf", "", "a\0b"):
        assert find_recording(other, folder) == other
    (folder.parent / "v1.2").touch()
    assert find_recording("v1.2", folder) == "v1.2"  # a path comes first
    with pytest.raises(AmbiguousTitle, match=r"found b, c\. Give its name"):
        find_recording("twin", folder)


def test_a_source_is_looked_for_where_the_service_keeps_its_recordings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIMAMBA_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    for each in ("share", "elsewhere"):
        (tmp_path / each).mkdir()
    folder.rename(tmp_path / "share" / "mimamba")  # the folder without any settings
    own, given = tmp_path / "own.toml", tmp_path / "given.toml"
    monkeypatch.setenv("MIMAMBA_CONFIG", str(own))
    own.write_text(f"data_dir = '{tmp_path}/elsewhere'\n")
    given.write_text("port = 0\n")
    refused = invoke("serve", "--config", str(given), "--source", "twin")
    assert (refused.exit_code, "Give its name" in refused.stderr) == (2, True), refused.stderr


def test_names_and_titles_stand_for_paths(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = invoke("convert", TITLE, str(out), "--data-dir", str(folder))
    assert done.exit_code == 0, done.output
    assert [each.label for each in read_recording(out).markers] == ["go"]
    refused = invoke("score", "twin", "--data-dir", str(folder))
    assert (refused.exit_code, "Give its name" in refused.stderr) == (2, True)
    refused = invoke("replay", "twin", "--to", "lsl", "--data-dir", str(folder))
    assert (refused.exit_code, "Give its name" in refused.stderr) == (2, True)
    for words, names in (("convert v", {"v1", "v1.2"}), ("recordings edit b", {"b"})):
        asked = {"_MIMAMBA_COMPLETE": "complete_bash", "MIMAMBA_DATA_DIR": str(folder)}
        asked |= {"COMP_WORDS": f"mimamba {words}", "COMP_CWORD": str(len(words.split()))}
        shown = CliRunner().invoke(app, [], prog_name="mimamba", env=asked)
        assert set(shown.stdout.split()) == names


def test_title_notes_and_markers_are_edited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    where = ("--data-dir", str(folder))
    assert TITLE in invoke("recordings", *where).stdout
    changed = invoke("recordings", "edit", TITLE, "--title", "", "--notes", "loud", *where)
    assert changed.stdout == "v1.2: no title\nloud\n"
    changed = invoke("recordings", *where, "edit", "v1.2", "--title", "Ruhe")
    assert changed.stdout == "v1.2: Ruhe\nloud\n"
    assert "No recording is named" in invoke("recordings", "edit", "absent", *where).stderr
    for options, told in (
        (("--at", "0.5", "--label", "new"), "new at 0.500 s (added)"),
        (("r0", "--label", "went"), "went at 0.078 s (changed)"),
        (("r0", "--delete"), "went at 0.078 s (deleted)"),
        (("r0", "--restore"), "go at 0.078 s (recorded)"),
    ):
        done = invoke("recordings", "mark", "Ruhe", *options, *where)
        assert told in done.stdout, done.output
    for wrong in (("--at", "1"), ("r0",), ("r0", "--delete", "--restore"), ("--delete",)):
        assert invoke("recordings", "mark", "Ruhe", *wrong, *where).exit_code == 2
    listed = invoke("recordings", "markers", "Ruhe", "--json", *where).stdout
    assert [json.loads(line)["label"] for line in listed.splitlines()] == ["go", "new"]
    assert "added afterwards" in invoke("recordings", "markers", "Ruhe", *where).stdout
