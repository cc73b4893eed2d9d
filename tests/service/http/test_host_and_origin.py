"""Foreign pages and rebound names are refused before anything is answered or upgraded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from mimamba.service.client.client import stream_url
from mimamba.service.http.host_and_origin import refusal
from tests.service.live import PATIENCE, Live, live


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    """One without sources."""
    with live(source=[]) as service:
        yield service


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", None),
        ("localhost:8765", "http://localhost:8765"),
        ("[::1]:8765", "http://[::1]:8765"),
        ("192.168.1.7", "https://192.168.1.7"),
        ("lab.example:80", "http://lab.example:80"),
    ],
)
def test_own_pages_and_programs_are_let_in(host: str, origin: str | None) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    assert refusal(headers, {"lab.example"}) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:8765", None),
        ("localhost.evil.example", None),
        ("127.0.0.1.nip.example", None),
        ("[::1]evil", None),
        ("[::1]evil:8765", None),
        ("[::1]:8765.evil.example", None),
        ("[127.0.0.1]", None),
        ("::1", None),
        ("127.0.0.1:8765, evil.example", None),
        ("127.0.0.1:8765 evil.example", None),
        ("evil.example@127.0.0.1", None),
        ("127.0.0.1/evil.example", None),
        ("127.0.0.1#evil.example", None),
        ("127.0.0.1:evil.example", None),
        ("127.0.0.1:123456", None),
        ("lab.example..", None),
        ("", None),
        ("[::1", None),
        ("127.0.0.1:8765", "http://evil.example"),
        ("127.0.0.1:8765", "http://127.0.0.1:9999"),
        ("127.0.0.1:8765", "null"),
        ("127.0.0.1:8765", "http://["),
    ],
)
def test_foreign_hosts_and_origins_are_refused(host: str, origin: str | None) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    refused = refusal(headers, {"lab.example"})
    assert refused is not None
    assert refused[0] == ("host" if origin is None else "origin")
    assert "Expected" in refused[1]


@pytest.mark.parametrize(
    ("origin", "secure", "own"),
    [
        ("https://lab.example", True, True),
        ("http://lab.example", True, False),  # a page that somebody on the way may have written
        ("http://lab.example", False, True),
        ("https://lab.example", False, True),  # a proxy that ends TLS stands before us
        ("ftp://lab.example", False, False),
    ],
)
def test_under_tls_a_page_must_have_come_by_it(origin: str, secure: bool, own: bool) -> None:
    headers = {"host": "lab.example", "origin": origin}
    assert (refusal(headers, {"lab.example"}, secure) is None) == own


def fetched(site: str, mode: str = "no-cors", dest: str = "image") -> dict[str, str]:
    """The headers with which a browser says why it sends a request."""
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/sessions", "/metrics", "/healthz", "/"])
def test_another_page_shows_nothing_of_the_service(service: Live, site: str, path: str) -> None:
    answer = service.http.get(path, headers=fetched(site))
    assert answer.status_code == 403
    assert "another page" in answer.json()["detail"]


def test_another_page_may_link_to_the_page_and_to_nothing_else(service: Live) -> None:
    link, frame = (fetched("cross-site", "navigate", each) for each in ("document", "iframe"))
    assert service.http.get("/", headers=link).status_code == 200
    assert service.http.get("/index.html", headers=link).status_code == 200
    assert service.http.get("/", headers=frame).status_code == 403
    assert service.http.post("/", headers=link).status_code == 403
    for path in ("/v1/sessions", "/v1/sources", "/v1/openapi.json", "/icon.svg"):
        assert service.http.get(path, headers=link).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_and_a_person_get_everything(service: Live, site: str) -> None:
    for path in ("/", "/v1/sessions", "/healthz"):
        assert service.http.get(path, headers=fetched(site)).status_code == 200


def test_a_request_with_two_lengths_is_refused(service: Live) -> None:
    for path in (b"/v1/login", b"/v1/sessions", b"/"):
        with socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0)) as plug:
            plug.settimeout(PATIENCE)
            plug.sendall(
                b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/sessions HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\n\r\n"
            )
            answer = b""
            while part := plug.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1  # what follows is not taken for a request


@pytest.mark.anyio
async def test_the_running_service_refuses_them_too() -> None:
    with live(model="none") as service:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = service.http.get("/v1/sessions", headers=headers)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
        here = urlsplit(service.url)
        rebound = partial(
            connect, "ws://evil.example/v1/stream", host=here.hostname, port=here.port
        )
        foreign = partial(connect, stream_url(service.url), origin=Origin("http://evil.example"))
        for attempt in (rebound, foreign):
            with pytest.raises(InvalidStatus) as refused:
                await attempt()
            assert refused.value.response.status_code == 403
