"""Foreign pages and rebound names are refused before anything is answered or upgraded."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from mimamba.service.client.client import stream_url
from mimamba.service.http.host_and_origin import refusal
from tests.service.live import live


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
