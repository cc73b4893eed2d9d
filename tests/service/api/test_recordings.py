"""Recordings fetched in other formats, read back."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording
from mimamba.service.api import recordings as recordings_api
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.drivers.formats.made import assert_same, recording
from tests.service.live import Live, live

API = "/v1/recordings"
MADE = recording(lost=((300, 100),), labels=((20, "Ton ä"), (350, "in a gap")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one recording that can be written, one that EDF cannot hold, and none."""
    folder = tmp_path_factory.mktemp("data")
    export(MADE, str(folder / "made.xdf"))
    large = MADE.data.copy()
    large[3, 3] = 1e30
    export(replace(MADE, data=large), str(folder / "large.xdf"))
    (folder / "broken.xdf").write_bytes(b"XDF:")
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Live]:
    markers = {"Ton ä": {"name": "tone", "hed": "Sensory-event"}}
    with live("simulate://", model="none", data_dir=folder, markers=markers) as service:
        service.opened("simulate-1")
        yield service


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder; it must be empty afterwards."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("form", ["edf", "bdf", "csv", "parquet"])
def test_the_file_holds_what_was_recorded(service: Live, tmp_path: Path, form: str) -> None:
    answer = service.http.get(f"{API}/made/export", params={"format": form})
    assert answer.status_code == 200, answer.text
    assert f'filename="made.{form}"' in answer.headers["content-disposition"]
    assert len(answer.content) == int(answer.headers["content-length"])
    path = tmp_path / f"made.{form}"
    path.write_bytes(answer.content)
    _, written = export(MADE, str(tmp_path / f"again.{form}"))
    assert_same(read_recording(path), MADE, written.lsb)


def test_a_bids_data_set_has_what_is_noted_with_the_person(
    service: Live, folder: Path, tmp_path: Path
) -> None:
    save_sidecar(folder / "made.xdf", Sidecar("made", "finished", person="P-7", title="Ruhe <1>"))
    noted = service.http.put(f"{API}/made", json={"notes": "eyes\topen\nloud"})
    assert noted.json()["notes"] == "eyes open\nloud"
    service.http.put("/v1/people/P-7", json={"age": 34, "sex": "female"}).raise_for_status()
    asked = {"format": "bids", "task": "rest", "authors": "Ada, Mary", "mains": "50"}
    answer = service.http.get(f"{API}/made/export", params=asked)
    assert answer.status_code == 200, answer.text
    assert 'filename="made-bids.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "made"
    signal = root / "sub-P7" / "eeg" / "sub-P7_task-rest_eeg.json"
    assert json.loads(signal.read_text())["PowerLineFrequency"] == 50
    events = json.loads((signal.parent / "sub-P7_task-rest_events.json").read_text())
    assert events["trial_type"]["HED"] == {"tone": "Sensory-event"}
    described = json.loads((root / "dataset_description.json").read_text())
    assert (described["Name"], described["Authors"]) == ("Ruhe <1>", ["Ada", "Mary"])
    columns, row = (
        line.split("\t") for line in (root / "sub-P7" / "sub-P7_scans.tsv").read_text().splitlines()
    )
    scan = dict(zip(columns, row, strict=True))
    assert (scan["title"], scan["notes"]) == ("Ruhe <1>", "eyes open loud")
    assert {"title", "notes"} <= json.loads((root / "sub-P7/sub-P7_scans.json").read_text()).keys()
    columns, row = (
        line.split("\t") for line in (root / "participants.tsv").read_text().splitlines()
    )
    person = dict(zip(columns, row, strict=True))
    assert (person["participant_id"], person["age"], person["sex"]) == ("sub-P7", "34", "F")
    refused = service.http.get(f"{API}/made/export", params={**asked, "task": "eyes open"})
    assert refused.status_code == 422
    assert "query.task" in refused.json()["detail"]
    (folder / "made.json").unlink()
    (folder / "people" / "P-7.json").unlink()


def test_what_cannot_be_exported_is_reported(service: Live, folder: Path) -> None:
    tags = {"Ton ä": "Red", "tone": "Blue"}  # which would be of one name
    save_sidecar(folder / "large.xdf", Sidecar("large", "finished", hed=tags))
    before = sorted(folder.iterdir())
    for place, status, told in (
        ("large/export?format=edf", 422, "1e+30"),
        ("large/export?format=bids", 422, "but found others for 'tone'"),
        ("broken/export?format=csv", 422, "Expected"),
        ("made/export?format=xdf", 422, "format"),
        ("made/export", 422, "format"),
        ("absent/export?format=csv", 404, "absent"),
        ("..%2Fmade/export?format=csv", 404, "Not Found"),
    ):
        answer = service.http.get(f"{API}/{place}")
        assert answer.status_code == status, (place, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert told in answer.json()["detail"]
    assert sorted(folder.iterdir()) == before
    (folder / "large.json").unlink()


def test_one_that_is_being_made_is_refused(service: Live) -> None:
    made = service.http.post(API, json={"session": "simulate-1", "name": "running"})
    assert made.status_code == 201
    answer = service.http.get(f"{API}/running/export?format=csv")
    service.http.post(f"{API}/running/stop")
    service.http.delete(f"{API}/running?confirm=running")
    assert answer.status_code == 409
    assert "Stop it first" in answer.json()["detail"]


def wait_for_samples(service: Live, name: str, begun: int) -> None:
    """Wait until a recording that began with so many bytes has samples: else it is no recording."""
    service.until(lambda: service.http.get(f"{API}/{name}").json()["bytes"] > begun + 5000)


def test_a_title_is_kept_beside_a_name_that_is_derived(service: Live, folder: Path) -> None:
    names = []
    for title in ("Müde <b>", "müde \u202e<B>", "日本"):
        new = {"session": "simulate-1", "title": title, "notes": "at first"}
        made = service.http.post(API, json=new)
        assert made.status_code == 201, made.text
        names.append(made.json()["name"])
        one = f"{API}/{names[-1]}"
        service.http.put(one, json={"title": f"{title} 2"}).raise_for_status()
        wait_for_samples(service, names[-1], made.json()["bytes"])
        stopped = service.http.post(f"{API}/{names[-1]}/stop").json()
        assert (stopped["state"], stopped["notes"]) == ("finished", "at first")
        assert stopped["title"] == f"{title.replace(chr(0x202E), '')} 2"
    assert names[:2] == ["Mude-b", "mude-B-2"]
    assert names[2].startswith("simulate-1-20")
    again = service.http.put(f"{API}/{names[0]}", json={"title": " \x07 ", "notes": None}).json()
    assert (again["title"], again["notes"], again["name"]) == (None, None, "Mude-b")
    assert b"title" not in (folder / "Mude-b.xdf").read_bytes()
    for wrong in ({"title": "x" * 201}, {"name": "other"}, {"notes": "x" * 10_001}):
        assert service.http.put(f"{API}/{names[0]}", json=wrong).status_code == 422
    assert service.http.put(f"{API}/absent", json={"title": "x"}).status_code == 404
    source = f"replay://{names[1]}?hold=1&speed=max"
    played = service.http.post("/v1/sessions", json={"source": source, "model": "none"}).json()
    assert (played["id"], played["title"]) == (names[1], "müde <B> 2")
    assert service.sessions()[names[1]]["title"] == "müde <B> 2"
    service.http.delete(f"/v1/sessions/{names[1]}").raise_for_status()
    for name in names:
        service.http.delete(f"{API}/{name}?confirm={name}").raise_for_status()


def test_markers_are_edited_beside_the_file(service: Live, folder: Path) -> None:
    before = (folder / "made.xdf").read_bytes()
    place = f"{API}/made/markers"
    first, second = service.http.get(place).json()
    assert (first["id"], first["label"], first["state"]) == ("r0", "Ton ä", "recorded")
    assert (first["position"], first["recorded"]) == (20 / 256, None)
    added = service.http.post(place, json={"position": 1.0, "label": "later"})
    assert added.status_code == 201, added.text
    changed = service.http.put(f"{place}/r0", json={"label": "Ton o"}).json()
    assert (changed["label"], changed["position"]) == ("Ton o", first["position"])
    assert changed["recorded"] == {"position": first["position"], "label": "Ton ä"}
    assert changed["date"].startswith("20")
    assert service.http.delete(f"{place}/r1").json()["state"] == "deleted"
    assert service.http.put(f"{place}/r1", json={"label": "x"}).status_code == 409
    states = [each["state"] for each in service.http.get(place).json()]
    assert states == ["changed", "added", "deleted"]
    exported = service.http.get(f"{API}/made/export", params={"format": "csv"}).text
    assert "Ton o" in exported
    assert "later" in exported
    assert "in a gap" not in exported
    report = service.http.get(f"{API}/made/report").text
    assert "Markers edited after the recording" in report
    assert "Ton o" in report
    for wrong, status in (
        ({"position": 1e6, "label": "x"}, 422),
        ({"position": 0, "label": "a\x07b"}, 422),
        ({"position": 0, "label": ""}, 422),
        ({"position": 0, "label": " \u200b"}, 422),
        ({"position": -1, "label": "x"}, 422),
        ({"label": "x"}, 422),
    ):
        answer = service.http.post(place, json=wrong)
        assert answer.status_code == status, (wrong, answer.text)
    assert service.http.delete(f"{place}/r7").status_code == 404
    restored = service.http.post(f"{place}/r0/restore").json()
    assert (restored["label"], restored["state"], restored["date"]) == ("Ton ä", "recorded", None)
    lines = (folder / "made.xdf.edits.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["add", "change", "delete", "restore"]
    assert (folder / "made.xdf").read_bytes() == before
    (folder / "made.xdf.edits.jsonl").unlink()
    assert second == service.http.get(place).json()[1]


def test_a_missing_library_is_reported(service: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "mimamba.drivers.formats.tables.parquet_writer", raising=False)
    answer = service.http.get(f"{API}/made/export?format=parquet")
    assert answer.status_code == 422
    assert "pip install pyarrow" in answer.json()["detail"]


def test_a_full_disk_is_reported(service: Live, temporary: Path) -> None:
    temporary.rmdir()
    answer = service.http.get(f"{API}/made/export?format=csv")
    temporary.mkdir()
    assert answer.status_code == 507
    assert "TMPDIR" in answer.json()["detail"]


def test_a_client_that_goes_away_leaves_nothing(
    service: Live, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    went = threading.Event()

    class Watched(recordings_api.Download):
        async def __call__(self, *asked: object) -> None:
            opened.append(self._file)
            try:
                await super().__call__(*asked)  # type: ignore[arg-type]
            finally:
                went.set()

    monkeypatch.setattr(recordings_api, "Download", Watched)
    n_times = 200_000
    noise = np.random.default_rng(2).normal(size=(n_times, 4)).astype(np.float32)
    export(replace(recording(n_times), data=noise), str(folder / "long.xdf"))
    with service.http.stream("GET", f"{API}/long/export?format=parquet") as answer:
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) > 3_000_000
        next(answer.iter_raw())
    assert went.wait(30)
    (file,) = opened
    assert file.closed
    (folder / "long.xdf").unlink()
    assert service.http.get(f"{API}/made/export?format=csv").status_code == 200
