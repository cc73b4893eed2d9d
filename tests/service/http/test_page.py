"""The page and every answer come with headers that keep other pages away."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from mimamba.service.http.page import cache_control
from tests.service.live import PATIENCE, Live, live
from tests.service.sessions.test_injection import upgraded

FIRST_VIEW = 150_000
"""Size of scripts and styles that the first view loads, as they are sent, bytes."""


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    """One without sources."""
    with live(source=[]) as service:
        yield service


def test_the_first_view_is_sent_small_and_without_bluetooth(service: Live) -> None:
    text = service.http.get("/").text
    sent = 0
    for each in re.findall(r'(?:src|href)="\./(assets/[^"]+)"', text):
        with service.http.stream("GET", f"/{each}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert b"requestDevice" not in answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"] == "Accept-Encoding"
            sent += answer.num_bytes_downloaded
    assert 50_000 < sent <= FIRST_VIEW


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "identity", "gzip;q=0.0, br", ""])
def test_the_page_is_sent_as_it_is_accepted_and_once(service: Live, accepted: str) -> None:
    headers = {"Accept-Encoding": accepted}
    whole = service.http.get("/", headers=headers)
    plain = service.http.get("/", headers={"Accept-Encoding": "identity"})
    packed = whole.headers.get("Content-Encoding") == "gzip"
    assert packed is ("q=0.0" not in accepted and "gzip" in accepted.lower())
    assert whole.content == plain.content
    assert (whole.headers["ETag"] != plain.headers["ETag"]) is packed
    assert whole.headers["Content-Type"] == plain.headers["Content-Type"]
    head = service.http.head("/", headers=headers)
    assert head.content == b""
    for name in ("Content-Length", "Content-Encoding", "ETag", "Vary"):
        assert head.headers.get(name) == whole.headers.get(name)
    again = service.http.get("/", headers={**headers, "If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["ETag"], again.headers["Vary"]) == (
        whole.headers["ETag"],
        "Accept-Encoding",
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/v1/sessions", 200),
        ("/v1/recordings/none/file", 404),
        ("/metrics", 200),
        ("/healthz", 200),
        ("/nothing", 404),
    ],
)
def test_no_other_page_can_use_an_answer(service: Live, path: str, status: int) -> None:
    answer = service.http.get(path)
    assert answer.status_code == status
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == cache_control(path, status)


@pytest.mark.parametrize(
    ("path", "status", "kept"),
    [
        ("/", 200, "no-cache"),
        ("/assets/a-1.js", 200, "public, max-age=31536000, immutable"),
        ("/assets/a-1.js", 404, "no-cache"),
        ("/v1/recordings/made/file", 200, "no-store"),
        ("/v1/sessions", 200, "no-store"),
        ("/metrics", 200, "no-store"),
    ],
)
def test_a_browser_keeps_no_eeg(path: str, status: int, kept: str) -> None:
    assert cache_control(path, status) == kept


def test_no_answer_names_the_software(service: Live) -> None:
    requests = (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
    )
    for request in requests:
        with socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0)) as plug:
            plug.settimeout(PATIENCE)
            plug.sendall(request)
            head = plug.makefile("rb").read().partition(b"\r\n\r\n")[0]
            assert not re.search(rb"(?i)\r\nserver:|uvicorn|websockets", head), head
    with upgraded(service.url) as plug:
        plug.settimeout(PATIENCE)
        head = plug.recv(4096)
        assert not re.search(rb"(?i)\r\nserver:|uvicorn|python", head), head
