"""The REST API matches its OpenAPI description, and refuses invalid requests.

``make fuzz`` tries every boundary value, and more random requests (MIMAMBA_API_EXAMPLES).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mimamba.drivers.formats.convert import export
from mimamba.service.http.body_limit import MAX_BYTES
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.discovery.test_bluetooth_scan import MUSE, OTHERS
from tests.drivers.formats.made import recording
from tests.service.live import PATIENCE, Live, live

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,negative_data_rejection,"
    "unsupported_method,allow_header_conformance"
)
"""Acceptance of valid requests is left out: the description cannot say which names exist."""
LONG = "MIMAMBA_API_EXAMPLES" in os.environ
EXAMPLES = os.environ.get("MIMAMBA_API_EXAMPLES", "1")
"""Random requests of each operation."""
NAMES = """
[[operations]]
include-path-regex = "/sessions/.session./replay"
parameters = { session = "played" }

[[operations]]
include-path-regex = "/sessions/.session.(/m.*)?$"
exclude-method = "DELETE"
parameters = { session = "simulate-1" }

[[operations]]
include-path-regex = "/recordings/.recording."
exclude-method = "DELETE"
parameters = { recording = "made" }

[[operations]]
include-method = "DELETE"
parameters = { session = "absent", recording = "absent" }
"""
"""Existing names, so that the answers are not all 404."""


@contextmanager
def started(folder: Path) -> Iterator[Live]:
    """Start a service with two sessions and a recording."""
    export(recording(labels=((20, "Ton ä"),)), str(folder / "made.xdf"))
    with live("simulate://", model="none", data_dir=folder) as service:
        service.opened("simulate-1")
        played = {"source": "replay://made?hold=1", "id": "played"}
        assert service.http.post("/v1/sessions", json=played).status_code == 201
        yield service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with started(tmp_path_factory.mktemp("data")) as service:
        yield service


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.skipif(
    find_spec("schemathesis") is None, reason="schemathesis is not installed: pip install '.[dev]'"
)
def test_answers_match_the_description(tmp_path: Path) -> None:
    (tmp_path / "names.toml").write_text(NAMES)
    (tmp_path / "data").mkdir()
    with started(tmp_path / "data") as service:
        run = run_schemathesis(service, tmp_path)
        sources = {each["source"] for each in service.sessions().values()}
    assert run.returncode == 0, run.stdout + run.stderr
    assert all(each.startswith(("simulate://", "replay://")) for each in sources)


def run_schemathesis(service: Live, folder: Path) -> subprocess.CompletedProcess[str]:
    """Test a service whose existing names are in names.toml."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(folder / "names.toml"), "run"),
            f"{service.url}/v1/openapi.json",
            *("--checks", CHECKS),
            *("--phases", "examples,coverage,fuzzing" if LONG else "examples,fuzzing"),
            *("--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--warnings", "off"),
            *("--exclude-path", "/v1/sources"),  # it searches the network for seconds
        ],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3500 if LONG else 280,
    )


def test_sources_match_the_description(service: Live) -> None:
    known = service.http.get("/v1/sources")
    assert known.json()["bluetooth"]["problem"]  # it was not scanned yet
    found = service.http.post("/v1/sources", params={"timeout": 0.1})
    described = service.http.get("/v1/openapi.json").json()
    named = described["components"]["schemas"]["Sources"]["properties"]
    assert found.status_code == 200
    assert found.json().keys() == named.keys()
    assert service.http.get("/v1/sources").json() == found.json()
    assert found.json().keys() == known.json().keys()
    assert found.json()["bluetooth"]["problem"]  # the time is too short for a scan


def scanned(service: Live, seconds: int) -> dict[str, Any] | None:
    """Scan; None if it ended before it had begun, or before another request was answered."""
    adapter = Adapter(devices=[*OTHERS, MUSE])
    url = f"{service.url}/v1/sources?timeout={seconds}"
    with bluez(adapter), ThreadPoolExecutor(1) as pool:
        scan = pool.submit(httpx.post, url, timeout=PATIENCE)
        listens = adapter.busy.wait(seconds)
        assert service.http.get("/healthz").status_code == 200
        meanwhile = listens and not scan.done()
        found: dict[str, Any] = scan.result().json()
        if listens:
            assert adapter.idle.wait(PATIENCE)
    return found if meanwhile else None


def test_a_headset_is_found_while_other_requests_are_answered(service: Live) -> None:
    for seconds in (3, 10):
        found = scanned(service, seconds)
        if found and found["headsets"]:
            break
    assert found, "this machine stood still for 10 s, or began to scan later"
    described = service.http.get("/v1/openapi.json").json()["components"]["schemas"]
    headset, other = found["headsets"]
    assert headset.keys() == described["Headset"]["properties"].keys()
    assert (headset["name"], headset["title"]) == (MUSE.name, "Muse")
    assert headset["url"] == f"muse://?address={MUSE.address}"
    assert other["url"] == f"brainflow://muse_2?mac_address={MUSE.address}"
    assert found["bluetooth"]["problem"] is None


def test_an_aborted_request_leaves_no_scan(service: Live) -> None:
    adapter = Adapter(devices=[MUSE])
    with bluez(adapter):
        for seconds in (2, 10):
            request = f"POST /v1/sources?timeout={seconds} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            with socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0)) as plug:
                plug.settimeout(PATIENCE)
                plug.sendall(request.encode())
                if listens := adapter.busy.wait(seconds):
                    break
                plug.recv(1)  # over before a busy machine could listen
        assert listens
        assert adapter.idle.wait(PATIENCE)
        assert adapter.scanning == set()


POSTS = (
    "/v1/sessions",
    "/v1/recordings",
    "/v1/login",
    "/v1/sessions/simulate-1/markers",
    "/v1/sessions/played/replay",
)


@pytest.mark.parametrize("path", POSTS)
def test_deep_long_and_broken_bodies_are_refused(service: Live, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b" " * 65536] * (MAX_BYTES // 65536 + 1)

    deep = b"[" * 200_000 + b"]" * 200_000
    nested = {413} if path == "/v1/login" else {400, 422}
    for body, status in (
        (deep, nested),
        (b'{"source": ' * 50_000, nested),
        (b"\xff\xfe{", {400, 422}),
        (b'{"id": NaN}', {422}),
        (b" " * (MAX_BYTES + 1), {413}),
        (chunks(), {413}),
    ):
        answer = service.http.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 2000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/sessions", {"source": "simulate://?" + "a" * 3000}),
        ("POST", "/v1/sessions", {"source": "simulate://", "id": "a" * 65}),
        ("POST", "/v1/sessions", {"source": "simulate://", "id": "../a"}),
        ("POST", "/v1/sessions", {"source": "simulate://", "model": "../../etc/passwd"}),
        ("POST", "/v1/recordings", {"session": "simulate-1", "name": "a" * 90}),
        ("POST", "/v1/recordings", {"session": "simulate-1", "notes": "a" * 10_001}),
        ("POST", "/v1/recordings", {"session": "simulate-1", "person": "a" * 201}),
        ("POST", "/v1/recordings", {"session": "a" * 65}),
        ("POST", "/v1/login", {"token": "a" * 1025}),
        ("POST", "/v1/sessions/simulate-1/markers", {"label": "a" * 10_000}),
        ("POST", "/v1/sessions/played/replay", {"marker": "a" * 10_000}),
        ("PUT", "/v1/sessions/simulate-1/model", {"model": "../demo"}),
    ],
)
def test_fields_that_are_too_long_or_lead_elsewhere_are_refused(
    service: Live, method: str, path: str, body: dict[str, str]
) -> None:
    answer = service.http.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.sessions().keys() >= {"simulate-1", "played"}


def test_names_of_recordings_do_not_leave_the_folder(service: Live) -> None:
    for name in ("..%2Fsecret", "%2e%2e%2fmade", "..%5Cmade", "made%00", "made%0A", "a" * 300):
        for path in (name, f"{name}/file", f"{name}/export?format=csv", f"{name}/stop"):
            method = "POST" if path.endswith("stop") else "GET"
            answer = service.http.request(method, f"/v1/recordings/{path}")
            assert answer.status_code in (404, 405, 422), (path, answer.text)


def test_an_unknown_method_is_answered_with_the_known_ones(service: Live) -> None:
    with httpx.Client(base_url=service.url, timeout=30, verify=False) as http:
        answer = http.request("PATCH", "/v1/sessions/simulate-1")
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert answer.headers["content-type"] == "application/problem+json"
