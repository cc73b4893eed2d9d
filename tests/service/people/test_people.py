"""People as files: pseudonyms, notes, baselines; and that a deletion leaves nothing."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.service.cli.main import app
from mimamba.service.people.carried_people import pack_person
from mimamba.service.people.people import (
    LOCK,
    CannotKeep,
    DamagedPerson,
    NoPerson,
    People,
    Person,
    PersonRefused,
    stored_baseline,
)
from mimamba.service.people.subject import Subject
from mimamba.service.recordings.people_index import PeopleIndex
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from mimamba.service.storage.private_files import locked, partial_of, replace_file
from tests.service.live import Live, live
from tests.service.models import random_checkpoint

NO_NAMES = ("", "../P01", "a/b", ".hidden", "P01\n", "P01.", "a" * 82, "ä", "P\x0001", "P 01")


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "data" / "people")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return random_checkpoint(tmp_path_factory.mktemp("model"), baseline=60.0)


def rest(seed: int = 0) -> Baseline:
    return Baseline(np.random.default_rng(seed).normal(0, 3, (4, len(BAND_CENTRES))), 60.25)


def test_who_is_named_is_there_and_only_the_owner_reads_it(people: People, tmp_path: Path) -> None:
    assert people.names() == []
    with pytest.raises(NoPerson):
        people.get("P01")
    assert people.add("P01") == Person()
    people.set_notes("P01", "left-handed, µV")
    assert people.add("P01") == Person("left-handed, µV")
    # Workers and services of an older version refuse fields that they do not know.
    file = tmp_path / "data" / "people" / "P01.json"
    assert json.loads(file.read_text("utf-8")) == {"notes": "left-handed, µV"}
    assert pack_person("P01", people.get("P01")).content == b"{}"
    people.set_notes("P02", None)
    assert people.names() == ["P01", "P02"]
    data = tmp_path / "data"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (data, data / "people")]
    assert modes == [0o700, 0o700]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (data / "people").iterdir()} == {0o600}
    assert people.delete("P01") is True
    assert people.delete("P01") is False
    assert [path.name for path in (data / "people").iterdir()] == ["P02.json"]


def test_a_baseline_is_kept_to_the_last_bit_for_models_that_see_alike(
    people: People, checkpoint: Checkpoint
) -> None:
    people.set_notes("P01", "kept")
    people.store_baseline("P01", stored_baseline(checkpoint, rest(0)))
    found = people.get("P01").baseline_for(checkpoint)
    assert found is not None
    assert np.array_equal(found.baseline.log_power, rest(0).log_power)
    assert found.baseline.seconds == 60.25
    assert people.get("P01").notes == "kept"
    signal = checkpoint.signal
    others = [
        replace(checkpoint, montage=("TP9", "AF7", "AF8", "Cz")),
        replace(checkpoint, signal=replace(signal, band=(1.0, 30.0))),
        replace(checkpoint, signal=replace(signal, sfreq=256.0)),
    ]
    for other in others:
        assert people.get("P01").baseline_for(other) is None
        people.store_baseline("P01", stored_baseline(other, rest(7)))
    assert people.get("P01").baseline_for(replace(checkpoint, name="other")) == found
    people.store_baseline("P01", stored_baseline(checkpoint, rest(1)))
    newest = people.get("P01").baseline_for(checkpoint)
    assert newest is not None
    assert np.array_equal(newest.baseline.log_power, rest(1).log_power)
    assert len(people.get("P01").baselines) == 4
    with pytest.raises(NoPerson):
        people.store_baseline("P99", stored_baseline(checkpoint, rest()))


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_stay_in_the_folder(people: People, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "P01.json").write_text("{}")
    for ask in (people.get, people.add, people.delete, lambda each: people.set_notes(each, None)):
        with pytest.raises(PersonRefused, match="a pseudonym"):
            ask(name)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["P01.json"]


def damage(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", ""),
        ('"notes": "tall"', '"notes": 3'),
        ('"notes"', '"words"'),
        ('"seconds": 60.25', '"seconds": -1'),
        ('"log_power"', '"power"'),
        ('        "TP9",\n', ""),
    ],
)
def test_what_cannot_be_read_is_reported_and_stays(
    people: People, checkpoint: Checkpoint, tmp_path: Path, old: str, new: str
) -> None:
    people.set_notes("P01", "tall")
    people.store_baseline("P01", stored_baseline(checkpoint, rest()))
    path = tmp_path / "data" / "people" / "P01.json"
    broken = damage(path.read_text(), old, new)
    path.write_text(broken)
    asked: tuple[Callable[[], object], ...] = (
        lambda: people.get("P01"),
        lambda: people.add("P01"),
        lambda: people.set_notes("P01", "new"),
        lambda: people.store_baseline("P01", stored_baseline(checkpoint, rest())),
    )
    for ask in asked:
        with pytest.raises(DamagedPerson, match="Repair the file"):
            ask()
    assert path.read_text() == broken
    assert people.delete("P01") is True


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "people").write_text("a file")
    with pytest.raises(CannotKeep, match="people"):
        People(tmp_path / "people").add("P01")


def test_services_with_one_folder_lose_no_change_of_each_other(people: People) -> None:
    """As two gateways with one data folder: each has an object of its own."""
    others = [People(people.file_of("P01").parent) for _ in range(2)]

    def draw(nth: int) -> None:
        for study in range(20):
            others[nth].store_arm("P01", f"{nth}-{study}", "real")

    with ThreadPoolExecutor() as threads:
        list(threads.map(draw, range(2)))
    assert len(people.get("P01").arms) == 40
    assert people.names() == ["P01"]


def test_whoever_holds_the_lock_is_not_waited_for_without_end(
    people: People, checkpoint: Checkpoint
) -> None:
    folder = people.file_of("P01").parent
    hasty, session = People(folder, patience=0.01), Subject(people)
    session.admit("P01")
    with locked(folder.with_name(LOCK)):
        with pytest.raises(CannotKeep, match=r"held the lock \.people\.lock .* Try again"):
            hasty.add("P02")
        said = session.store_baseline(checkpoint, rest())
    assert "for this session; not stored" in said
    assert "and stored" in session.store_baseline(checkpoint, rest())
    with hasty.alone(), pytest.raises(CannotKeep, match="held the lock"):  # of the same service
        hasty.add("P02")
    assert hasty.add("P02") == Person()


def test_a_crash_leaves_the_old_file_and_a_deletion_nothing(people: People, tmp_path: Path) -> None:
    people.set_notes("P01", "old")
    path = tmp_path / "data" / "people" / "P01.json"
    partial_of(path).write_text('{"notes": "half')
    assert people.names() == ["P01"]
    assert people.get("P01").notes == "old"
    people.set_notes("P01", "new")
    assert not partial_of(path).exists()
    partial_of(path).write_text('{"notes": "half')
    people.delete("P01")
    assert list(path.parent.iterdir()) == []
    replace_file(path, b"{}")
    assert people.get("P01") == Person()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Live]:
    with live(*["simulate://"] * 2, model="none", data_dir=tmp_path / "data") as service:
        service.opened("simulate-1", "simulate-2")
        yield service


def record(service: Live, name: str, **facts: str) -> dict[str, Any]:
    new = {"session": "simulate-1", "name": name} | facts
    answer = service.http.post("/v1/recordings", json=new)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def stop(service: Live, name: str) -> None:
    assert service.http.post(f"/v1/recordings/{name}/stop").status_code == 200


def test_a_deletion_takes_the_file_and_the_recordings_of_that_person_alone(
    service: Live, tmp_path: Path
) -> None:
    record(service, "d", person="P01", session="simulate-2")
    for name, facts in (("a", {"person": "P01"}), ("b", {"person": "P02"}), ("c", {})):
        record(service, name, **facts)
        stop(service, name)
    url = "/v1/people"
    assert [each["person"] for each in service.http.get(url).json()] == ["P01", "P02"]
    assert set(service.http.get(f"{url}/P01").json()["recordings"]) == {"a", "d"}
    refused = service.http.delete(f"{url}/P01?confirm=P01")
    assert (refused.status_code, "d is still in progress" in refused.json()["detail"]) == (
        409,
        True,
    )
    assert set(service.http.get(f"{url}/P01").json()["recordings"]) == {"a", "d"}
    assert "d is still" in service.http.get(f"{url}/P01/export").json()["detail"]
    stop(service, "d")
    archive = service.http.get(f"{url}/P01/export")
    assert 'filename="P01.zip"' in archive.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert {"P01/recordings/a.xdf", "P01/recordings/d.xdf"} < {*opened.namelist()}
    assert service.http.get(f"{url}/P09/export").status_code == 404
    before = sorted(path.name for path in (tmp_path / "data").rglob("*.*"))
    for confirm, status in (("?confirm=P02", 409), ("?confirm=p01", 409), ("", 422)):
        assert service.http.delete(f"{url}/P01{confirm}").status_code == status
    assert sorted(path.name for path in (tmp_path / "data").rglob("*.*")) == before
    service.http.put(f"{url}/P01", json={"notes": "asked to be forgotten"})
    deleted = service.http.delete(f"{url}/P01?confirm=P01")
    assert deleted.status_code == 200
    assert deleted.json()["person"] == "P01"
    assert set(deleted.json()["recordings"]) == {"a", "d"}
    left = {path.name for path in (tmp_path / "data").rglob("*.*")}
    assert left == {".people.lock", "P02.json", "b.xdf", "b.json", "c.xdf", "c.json"}
    assert all(b"P01" not in path.read_bytes() for path in (tmp_path / "data").rglob("*.*"))
    assert service.http.get(f"{url}/P01").status_code == 404
    assert service.http.delete(f"{url}/P01?confirm=P01").status_code == 404


def test_notes_over_the_api(service: Live, tmp_path: Path) -> None:
    url = "/v1/people/P01"
    assert service.http.get(url).status_code == 404
    made = service.http.put(url, json={"notes": "short hair"})
    nobody: dict[str, object] = {"baselines": [], "recordings": [], "damaged": None}
    nobody |= {"age": None, "sex": None, "consent": None, "acknowledgements": []}
    assert (made.status_code, made.json()) == (
        200,
        {**nobody, "person": "P01", "notes": "short hair"},
    )
    for change in ({}, {"notes": "x" * 10_001}, {"notes": 3}, {"notes": "", "name": "Ada"}):
        assert service.http.put(url, json=change).status_code == 422
    for name in ("..%2FP01", "%2e%2e", ".hidden", "a" * 82, "P01%0A", "P%2001"):
        for answer in (
            service.http.get(f"/v1/people/{name}"),
            service.http.put(f"/v1/people/{name}", json={"notes": None}),
            service.http.delete(f"/v1/people/{name}?confirm={name}"),
        ):
            assert answer.status_code in (404, 405, 422), name
    assert service.http.get(url).json()["notes"] == "short hair"
    assert service.http.put(url, json={"notes": None}).json()["notes"] is None
    path = tmp_path / "data" / "people" / "P01.json"
    path.write_text("{")
    assert "P01.json" in service.http.get(url).json()["damaged"]
    refused = service.http.put(url, json={"notes": "x"})
    assert (refused.status_code, path.read_text()) == (409, "{")
    new = {"source": "simulate://", "person": "P01", "model": "none"}
    assert service.http.post("/v1/sessions", json=new).status_code == 409
    record(service, "still", person="P01")  # signal is not lost for a file of notes
    stop(service, "still")
    assert service.http.delete(f"{url}?confirm=P01").json()["recordings"] == ["still"]


def test_facts_over_the_api_and_in_the_archive(service: Live, tmp_path: Path) -> None:
    url = "/v1/people/P04"

    def put(**facts: object) -> dict[str, Any]:
        answer = service.http.put(url, json=facts)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    def refusal(where: str, body: dict[str, object]) -> str:
        send = service.http.post if where.endswith("acknowledgements") else service.http.put
        answer = send(where, json=body)
        assert answer.status_code == 422, answer.text
        return str(answer.json()["detail"])

    asked = {"given": True, "date": "2026-03-02", "version": "2.1, German"}
    put(notes="left-handed", age=34, sex="female", consent=asked)
    found = put(age=35)  # the others stay
    assert (found["notes"], found["age"], found["sex"]) == ("left-handed", 35, "female")
    assert found["consent"] == asked
    withdrawn = put(consent={"given": False})["consent"]
    assert (withdrawn["given"], withdrawn["version"]) == (False, None)
    assert abs(date.fromisoformat(withdrawn["date"]) - datetime.now(UTC).date()).days <= 1
    assert put(sex=None, consent=None)["consent"] is None
    assert "body.age: " in refusal(url, {"age": 121})
    assert "'female', 'male' or 'other'" in refusal(url, {"sex": "f"})
    late = refusal(url, {"consent": {"given": True, "date": "2999-01-01"}})
    assert late.startswith("body.consent.date: Expected a day that has begun, but found 2999-01-01")
    assert "Expected notes, age, sex or consent" in refusal(url, {})

    seen = f"{url}/acknowledgements"
    valence, mood = {"valence": ["low", "high"]}, {"mood": ["glum", "glad"]}
    for outputs in (valence, mood, valence):
        answer = service.http.post(seen, json={"model": "demo", "outputs": outputs})
        assert answer.status_code == 201
    kept = answer.json()["acknowledgements"]
    assert [each["outputs"] for each in kept] == [valence, mood]
    assert kept[0]["date"] >= kept[1]["date"]
    for wrong in ({}, {"": ["low"]}, {"valence": "low"}):
        refusal(seen, {"model": "demo", "outputs": wrong})

    with zipfile.ZipFile(io.BytesIO(service.http.get(f"{url}/export").content)) as opened:
        archived = json.loads(opened.read("P04/person.json"))
    assert (archived["age"], archived["acknowledgements"]) == (35, kept)
    people = ["people", "--data-dir", str(tmp_path / "data")]
    said = CliRunner().invoke(app, people, terminal_width=200, env={"COLUMNS": "200"}).output
    assert "35" in said
    assert f"valence: {kept[0]['date'][:10]}" in said
    assert service.http.delete(f"{url}?confirm=P04").status_code == 200
    assert not (tmp_path / "data" / "people" / "P04.json").exists()


def test_a_session_is_a_persons_until_that_one_is_deleted(service: Live) -> None:
    new = {"source": "simulate://", "id": "theirs", "person": "P03", "model": "none"}
    assert service.http.post("/v1/sessions", json=new).json()["person"] == "P03"
    assert service.http.get("/v1/people/P03").json()["notes"] is None
    tape = {"session": "theirs", "name": "tape"}
    assert service.http.post("/v1/recordings", json=tape).json()["person"] == "P03"
    stop(service, "tape")
    assert service.http.delete("/v1/people/P03?confirm=P03").status_code == 200
    assert service.sessions()["theirs"]["person"] is None
    for refused in ("../P03", "", "P 03", "a" * 82):
        answer = service.http.post("/v1/sessions", json={**new, "id": "x", "person": refused})
        assert answer.status_code == 422
        answer = service.http.post("/v1/recordings", json={**tape, "person": refused})
        assert answer.status_code == 422


def test_who_is_named_by_an_old_card_alone_can_be_deleted_too(tmp_path: Path) -> None:
    (tmp_path / "old.xdf").write_bytes(b"XDF:")
    save_sidecar(tmp_path / "old.xdf", Sidecar("old", "finished", person="P07"))
    (tmp_path / "odd.xdf").write_bytes(b"XDF:")
    save_sidecar(tmp_path / "odd.xdf", Sidecar("odd", "finished", person="no pseudonym"))
    register = PeopleIndex(People(tmp_path / "people"), Recordings(tmp_path))
    assert [each.person for each in register.all()] == ["P07"]
    assert register.delete("P07", "P07").recordings == ["old"]
    assert {path.name for path in tmp_path.iterdir()} == {"odd.xdf", "odd.json"}


def test_from_the_terminal(tmp_path: Path, checkpoint: Checkpoint) -> None:
    def ask(*arguments: str, said: str | None = None) -> tuple[int, str]:
        folder = ["--data-dir", str(tmp_path)]
        done = CliRunner().invoke(app, ["people", *arguments, *folder], input=said)
        return done.exit_code, done.output

    people = People(tmp_path / "people")
    people.set_notes("P01", "[bold]loud[/]")
    people.store_baseline("P01", stored_baseline(checkpoint, rest()))
    for name in ("one", "two"):
        (tmp_path / f"{name}.xdf").write_bytes(b"XDF:")
        save_sidecar(tmp_path / f"{name}.xdf", Sidecar(name, "finished", person="P01"))
    code, said = ask("--json")
    seen = json.loads(said)
    assert (code, seen["person"], sorted(seen["recordings"])) == (0, "P01", ["one", "two"])
    assert [each["montage"] for each in seen["baselines"]] == [["TP9", "AF7", "AF8", "TP10"]]
    code, said = ask()
    assert code == 0
    assert "[bold]" in said
    for arguments, typed in ((("P01", "--confirm", "P02"), None), (("P01",), "P02\n")):
        code, said = ask("delete", *arguments, said=typed)
        assert (code, "found 'P02'" in said) == (2, True)
    assert ask("delete", "P02", "--confirm", "P02")[0] == 2
    code, said = ask("delete", "P02", said="P02\n")  # nobody is asked to confirm what cannot be
    assert (code, said) == (2, "mimamba: No person is named 'P02'. Choose another name.\n")
    people.add("P02")
    before = ["people", "--data-dir", str(tmp_path), "delete", "P02", "--confirm", "P02"]
    assert CliRunner().invoke(app, before).output == "deleted: person P02\n"
    code, said = ask("delete", "P01", said="P01\n")
    assert code == 0
    assert "deleted: recording one\ndeleted: recording two\ndeleted: person P01\n" in said
    assert ask("--json") == (0, "")
