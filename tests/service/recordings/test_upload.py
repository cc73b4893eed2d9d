"""Recordings that come by upload: what is kept, what is refused, and what is left of that."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording
from mimamba.service.http.body_limit import MAX_BYTES
from mimamba.service.recordings.upload import PREFIX, Upload, Uploads
from tests.drivers.formats import files
from tests.drivers.formats.made import assert_same, recording
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import Live, bearer, live
from tests.service.muse_recordings import write_muse

UPLOADS, RECORDINGS = "/v1/uploads", "/v1/recordings"
MADE = recording(lost=((300, 100),), labels=((20, "Ton ä"), (350, "in a gap")))
KINDS: list[Callable[[Path, int], Path]] = [
    *(files.muselsl, files.mindmonitor, files.brainflow, files.openbci_6),
    *(files.edf, files.bdf, files.own_csv, files.parquet, files.xdf),
    files.fif,
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Live]:
    with live(
        "simulate://", model="none", data_dir=data, upload_mib=2, token=CONTROL, view_token=VIEW
    ) as service:
        service.opened("simulate-1")
        yield service


@pytest.fixture
def left(data: Path) -> Callable[[], set[str]]:
    """What is in the data folder that was not there when the test began."""
    before = {each.name for each in data.iterdir()}
    return lambda: {each.name for each in data.iterdir()} - before


def refused(service: Live, name: str, content: bytes, status: int = 422) -> str:
    answer = service.http.post(UPLOADS, params={"name": name}, content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    assert "\n" not in detail
    assert PREFIX not in detail
    return detail


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_every_format_is_kept_as_it_reads(
    service: Live, data: Path, tmp_path: Path, make: Callable[[Path, int], Path]
) -> None:
    if make is files.fif:
        pytest.importorskip("mne")
    file = make(tmp_path, 600)
    content = file.read_bytes()
    answer = service.http.post(UPLOADS, params={"name": file.name}, content=content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    kept = data / f"{told['name']}.xdf"
    wanted = read_recording(file)
    assert_same(read_recording(kept), wanted)
    assert (told["state"], told["source"]) == ("uploaded", file.name)
    assert told["seconds"] == wanted.end / wanted.info.sfreq
    assert kept.stat().st_mode & 0o077 == 0
    if file.suffix == ".xdf":
        assert kept.read_bytes() == content


def test_one_is_listed_played_exported_and_deleted(service: Live, tmp_path: Path) -> None:
    export(MADE, str(tmp_path / "made.csv"))
    content = (tmp_path / "made.csv").read_bytes()
    names = [
        service.http.post(
            UPLOADS, params={"name": "My day (1).csv", "person": "p-7"}, content=content
        ).json()["name"]
        for _ in range(2)
    ]
    assert names == ["My-day-1", "My-day-1-2"]
    listed = {each["name"]: each for each in service.http.get(RECORDINGS).json()}
    assert listed["My-day-1-2"]["person"] == "p-7"
    asked = {"source": "replay://My-day-1-2?hold=1", "id": "played"}
    played = service.http.post("/v1/sessions", json=asked)
    assert played.status_code == 201, played.text
    service.http.delete("/v1/sessions/played")
    answer = service.http.get(f"{RECORDINGS}/My-day-1-2/export", params={"format": "csv"})
    (tmp_path / "back.csv").write_bytes(answer.content)
    assert_same(read_recording(tmp_path / "back.csv"), MADE)
    for name in names:
        answer = service.http.delete(f"{RECORDINGS}/{name}", params={"confirm": name})
        assert answer.status_code == 204


def test_what_is_no_recording_is_reported_and_leaves_nothing(
    service: Live, tmp_path: Path, left: Callable[[], set[str]]
) -> None:
    whole = files.edf(tmp_path, 600).read_bytes()
    random = np.random.default_rng(3).bytes(100_000)
    for name, content, told in (
        ("empty.csv", b"", "the empty file empty.csv"),
        ("noise.edf", random, "no known format in noise.edf"),
        ("page.csv", b"<html>\n" * 90, "text of no known format"),
        ("cut.edf", whole[:300], "Expected"),
        ("cut.xdf", b"XDF:" + random, "cut.xdf"),
        ("noise.parquet", b"PAR1" + random + b"PAR1", "noise.parquet"),
        ("a.vhdr", b"Brain Vision Data Exchange Header File Version 1.0\n", "two other files"),
    ):
        assert told in refused(service, name, content)
        assert not left()


def test_a_few_bytes_that_stand_for_very_many_values_are_refused(
    service: Live, tmp_path: Path, left: Callable[[], set[str]]
) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    export(MADE, str(tmp_path / "made.parquet"))
    table = parquet.read_table(tmp_path / "made.parquet")
    same = table.slice(0, 1).take(arrow.array(np.zeros(1 << 20, np.int64)))
    with parquet.ParquetWriter(tmp_path / "bomb.parquet", same.schema) as writer:
        for _ in range(4):
            writer.write_table(same)
    content = (tmp_path / "bomb.parquet").read_bytes()
    assert len(content) < 1 << 20
    assert "4194304 rows" in refused(service, "bomb.parquet", content)
    assert not left()


@pytest.mark.parametrize(("seconds", "memory"), [(60.0, 64 << 20), (0.01, 4 << 30)])
@pytest.mark.anyio
async def test_a_file_that_needs_more_than_the_limits_is_refused(
    tmp_path: Path, seconds: float, memory: int
) -> None:
    content = write_muse(tmp_path / "muse.csv", 2).read_bytes()

    async def parts() -> AsyncIterator[bytes]:
        yield content

    uploads = Uploads(tmp_path / "data", len(content), seconds, memory)
    with pytest.raises(BadRecording, match="Split or convert"):
        await uploads.receive(Upload("muse.csv"), parts(), None)
    assert not list((tmp_path / "data").iterdir())


def test_longer_than_allowed_is_refused(service: Live, left: Callable[[], set[str]]) -> None:
    long = b"0" * ((2 << 20) + 1)
    assert "at most 2 MiB" in refused(service, "long.csv", long, 413)
    parts = (long[at : at + 65536] for at in range(0, len(long), 65536))  # of no told length
    answer = service.http.post(UPLOADS, params={"name": "long.csv"}, content=parts)
    assert answer.status_code == 413
    assert not left()


def test_other_bodies_stay_short(service: Live) -> None:
    answer = service.http.post(RECORDINGS, content=b" " * (MAX_BYTES + 1))
    assert answer.status_code == 413
    for path in ("/v1/uploads/", "//v1/uploads", "/v1/uploads/made"):
        answer = service.http.post(path, content=b" " * (MAX_BYTES + 1))
        assert answer.status_code in (404, 405, 413)


@pytest.mark.parametrize(
    "name", ["../a.csv", "a/b.csv", "..\\a.csv", "/etc/passwd", "a\0.csv", "a\n.csv", "", "a" * 256]
)
def test_a_name_is_no_path(service: Live, left: Callable[[], set[str]], name: str) -> None:
    assert "name" in refused(service, name, b"timestamps\n")
    assert not left()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("muse.csv", "muse"),
        ("..", "upload"),
        (".xdf", "xdf"),
        ("Tag ä 1.2.edf", "Tag-a-1.2"),
        ("%2e%2e%2fa.csv", "2e-2e-2fa"),
        ("-" * 200 + "x.csv", "x"),
        ("y" * 200, "y" * 64),
    ],
)
def test_a_recording_has_a_name_of_its_own(name: str, stem: str) -> None:
    assert Upload(name).stem == stem


def test_a_client_that_goes_away_half_way_leaves_nothing(
    service: Live, data: Path, left: Callable[[], set[str]]
) -> None:
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port)) as plug:
        head = f"POST {UPLOADS}?name=half.csv HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Authorization: Bearer {CONTROL}\r\nContent-Length: 1000000\r\n\r\n"
        plug.sendall(head.encode() + b"0" * 300_000)
        service.until(lambda: any(data.glob(f"{PREFIX}*/given/half.csv")))
    service.until(lambda: not left())


def test_who_may_only_view_uploads_nothing(service: Live, left: Callable[[], set[str]]) -> None:
    answer = service.http.post(
        UPLOADS, params={"name": "a.csv"}, content=b"x", headers=bearer(VIEW)
    )
    assert answer.status_code == 403
    assert not left()


def test_a_full_disk_is_reported(
    service: Live, left: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mimamba.service.recordings.upload.free_space", lambda _: 1000)
    assert "free space" in refused(service, "a.csv", b"timestamps\n", 507)
    assert not left()


def test_what_a_killed_service_left_goes_and_what_another_receives_stays(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}old" / "given").mkdir(parents=True)
    with live("simulate://", model="none", data_dir=tmp_path) as first:
        assert not (tmp_path / f"{PREFIX}old").exists()
        parts = urlsplit(first.url)
        with socket.create_connection((parts.hostname, parts.port)) as plug:
            head = f"POST {UPLOADS}?name=a.csv HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            plug.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + b"0" * 10)
            first.until(lambda: any(tmp_path.glob(f"{PREFIX}*/given/a.csv")))
            with live("simulate://", model="none", data_dir=tmp_path):
                assert list(tmp_path.glob(f"{PREFIX}*/given/a.csv"))


def test_a_service_that_ends_leaves_nothing_of_an_upload(tmp_path: Path) -> None:
    with socket.socket() as plug:
        with live("simulate://", model="none", data_dir=tmp_path) as service:
            parts = urlsplit(service.url)
            plug.connect((parts.hostname, parts.port))
            head = f"POST {UPLOADS}?name=a.csv HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            plug.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + b"0" * 10)
            service.until(lambda: any(tmp_path.glob(f"{PREFIX}*/given/a.csv")))
        assert not list(tmp_path.iterdir())
