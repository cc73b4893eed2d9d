"""Links, folders and pipes in the data folder are never followed, and fail no request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mimamba.drivers.formats.convert import export
from mimamba.service.storage.private_files import delete_file, is_regular, read_regular
from tests.drivers.formats.made import recording
from tests.service.live import Live, live

SECRET = b"what nobody may read"


def link_out(path: Path, outside: Path) -> None:
    """A link to a file that is elsewhere."""
    path.symlink_to(outside)


def link_nowhere(path: Path, outside: Path) -> None:
    """A link to nothing."""
    path.symlink_to(outside.with_name("nothing"))


def link_round(path: Path, _: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


def folder(path: Path, _: Path) -> None:
    """A folder with a file."""
    path.mkdir()
    (path / "kept").write_bytes(b"kept")


def pipe(path: Path, _: Path) -> None:
    """A pipe, which nobody writes to."""
    os.mkfifo(path)


KINDS = (link_out, link_nowhere, link_round, folder, pipe)
Kind = Callable[[Path, Path], None]


@pytest.fixture(params=KINDS, ids=[each.__name__ for each in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Make one kind of what is no file."""
    made: Kind = request.param
    return made


@pytest.fixture
def service(tmp_path: Path, kind: Kind) -> Iterator[Live]:
    """A service whose data folder has that kind wherever a file may be."""
    outside = tmp_path / "outside.xdf"
    export(recording(), str(outside))
    data = tmp_path / "data"
    for each in (data, data / "people", data / "models"):
        each.mkdir()
    export(recording(), str(data / "made.xdf"))
    kind(data / "odd.xdf", outside)
    kind(data / "made.json", outside)
    kind(data / "fresh.json.partial", outside)
    kind(data / ".upload-odd", outside)
    kind(data / "people" / "odd.json", outside)
    kind(data / "people" / "new.json.partial", outside)
    kind(data / "models" / "odd.safetensors", outside)
    kind(data / "files.csv", outside)
    with live("simulate://", model="none", data_dir=data, files=data) as service:
        service.opened("simulate-1")
        yield service


def test_no_request_fails_and_nothing_is_followed(
    service: Live, kind: Kind, tmp_path: Path
) -> None:
    http, outside = service.http, (tmp_path / "outside.xdf").read_bytes()
    assert [each["name"] for each in http.get("/v1/recordings").json()] == ["made"]
    assert http.get("/v1/recordings/made").json()["state"] == "unknown"
    for method, path in (
        ("GET", "/v1/recordings/odd"),
        ("GET", "/v1/recordings/odd/file"),
        ("GET", "/v1/recordings/odd/export?format=csv"),
        ("POST", "/v1/recordings/odd/stop"),
        ("DELETE", "/v1/recordings/odd?confirm=odd"),
        ("GET", "/v1/people/odd"),
    ):
        answer = http.request(method, path)
        assert answer.status_code == 404, (path, answer.text)
    assert http.get("/v1/people").json() == []
    assert http.get("/v1/models").status_code == 200
    new = {"session": "simulate-1", "name": "odd"}
    assert http.post("/v1/recordings", json=new).status_code == 409
    for name in ("fresh", "later"):
        new = {"session": "simulate-1", "name": name}
        assert http.post("/v1/recordings", json=new).status_code in (201, 507)
        assert http.post(f"/v1/recordings/{name}/stop").status_code in (200, 404)
    for source in ("replay://odd", "replay://odd.xdf", "replay://files.csv"):
        answer = http.post("/v1/sessions", json={"source": source, "model": "none"})
        assert answer.status_code in (403, 422, 424), answer.text
    for person in ("odd", "new"):
        answer = http.put(f"/v1/people/{person}", json={"notes": "some"})
        assert answer.status_code in (200, 507), answer.text
        answer = http.delete(f"/v1/people/{person}?confirm={person}")
        assert answer.status_code in (200, 204, 404), answer.text
    assert http.delete("/v1/recordings/made?confirm=made").status_code == 204
    assert (tmp_path / "outside.xdf").read_bytes() == outside
    if kind is folder:
        assert (tmp_path / "data" / "odd.xdf" / "kept").read_bytes() == b"kept"
        assert (tmp_path / "data" / "made.json" / "kept").read_bytes() == b"kept"


def test_only_a_file_is_read_and_deleted(kind: Kind, tmp_path: Path) -> None:
    outside, odd = tmp_path / "outside", tmp_path / "odd"
    outside.write_bytes(SECRET)
    kind(odd, outside)
    assert not is_regular(odd)
    with pytest.raises(FileNotFoundError):
        read_regular(odd)
    assert not delete_file(odd)
    assert os.path.lexists(odd) == (kind is folder)
    assert read_regular(outside) == SECRET
    assert delete_file(outside)
