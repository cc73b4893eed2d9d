"""Archives of people: all of theirs and nothing of others, the same bytes again, and refusals."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import msgspec
import pytest

from mimamba.drivers.errors import CannotWrite
from mimamba.drivers.formats.convert import export
from mimamba.service.calibration.person_archive import PersonArchives
from mimamba.service.cli.personal.people import export_person
from mimamba.service.people.people import NoPerson, People
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.drivers.formats.made import recording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two people: recordings, notes and a calibration of each."""
    folder = tmp_path / "data"
    folder.mkdir()
    people = People(folder / "people")
    for person in ("P01", "P02"):
        people.set_notes(person, f"notes of {person}")
        export(recording(), str(folder / f"walk-{person}.xdf"))
        save_sidecar(
            folder / f"walk-{person}.xdf",
            Sidecar(f"walk-{person}", "finished", person=person, notes="rain"),
        )
        (folder / f"walk-{person}.xdf.edits.jsonl").write_text(f"of {person}")
        own = people.calibrations_folder / person
        own.mkdir(parents=True)
        for name in ("one.json", "one.samples", "one.safetensors", "torn.json.partial"):
            (own / name).write_bytes(f"{name} of {person}".encode())
        (own / "elsewhere").symlink_to("/etc/passwd")
    return folder


def archive(folder: Path, person: str) -> bytes:
    file = io.BytesIO()
    PersonArchives(People(folder / "people"), Recordings(folder)).write(person, file)
    return file.getvalue()


def test_an_archive_holds_all_of_one_person(folder: Path) -> None:
    content = archive(folder, "P01")
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        files = {name: opened.read(name) for name in opened.namelist()}
    own = [
        *(f"P01/calibrations/one.{kind}" for kind in ("json", "safetensors", "samples")),
        "P01/person.json",
        *(f"P01/recordings/walk-P01.{kind}" for kind in ("json", "xdf", "xdf.edits.jsonl")),
    ]
    assert list(files) == [*own, "P01/contents.json"]
    assert files["P01/recordings/walk-P01.xdf"] == (folder / "walk-P01.xdf").read_bytes()
    assert json.loads(files["P01/person.json"])["notes"] == "notes of P01"
    assert not any(b"P02" in each for each in files.values())
    contents = msgspec.json.decode(files["P01/contents.json"])
    assert contents["recordings"] == ["walk-P01"]
    assert {each["name"]: each["sha256"] for each in contents["files"]} == {
        name: hashlib.sha256(files[name]).hexdigest() for name in own
    }


def test_equal_files_give_an_equal_archive(folder: Path) -> None:
    first = archive(folder, "P01")
    (folder / "walk-P01.xdf").touch()
    assert archive(folder, "P01") == first
    with pytest.raises(NoPerson, match="P03"):
        archive(folder, "P03")


def test_the_command_writes_it_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "P01.zip"
    export_person(folder, "P01", out)
    assert f"{out}: 7 files of P01" in capsys.readouterr().out
    assert out.read_bytes() == archive(folder, "P01")
    assert out.stat().st_mode & 0o077 == 0
    with pytest.raises(CannotWrite, match="--force"):
        export_person(folder, "P01", out)
    export_person(folder, "P02", out, force=True)
    with zipfile.ZipFile(out) as opened:
        assert "P02/person.json" in opened.namelist()
    with pytest.raises(CannotWrite, match="nowhere"):
        export_person(folder, "P01", tmp_path / "nowhere" / "P01.zip")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
