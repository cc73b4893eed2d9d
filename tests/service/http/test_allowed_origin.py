"""Pages of an allowed origin use the API with a token; all others stay refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from mimamba.service.client.client import stream_url
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import Hello, SessionState, decode_server, encode
from mimamba.service.settings.load import CannotServe, make_settings
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import Live, bearer, live

FRIEND = "https://lab.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    origins = [FRIEND, "http://localhost:3000"]
    with live(
        "simulate://", model="none", token=CONTROL, view_token=VIEW, allowed_origin=origins
    ) as service:
        service.opened("simulate-1")
        yield service


@pytest.mark.parametrize("origin", [FRIEND, "http://localhost:3000"])
def test_an_allowed_page_reads_answers_with_a_token(service: Live, origin: str) -> None:
    crossing = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    asked = service.http.request(
        "OPTIONS", "/v1/sessions/simulate-1/markers", headers=crossing | PREFLIGHT
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    assert {"POST", "PUT", "DELETE"} <= set(
        asked.headers["access-control-allow-methods"].split(", ")
    )
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in asked.headers
    marker = service.http.post(
        "/v1/sessions/simulate-1/markers",
        json={"label": "go"},
        headers=crossing | bearer(CONTROL),
    )
    refused = service.http.get("/v1/sessions", headers=crossing | {"Authorization": "x"})
    assert (marker.status_code, refused.status_code) == (202, 401)
    for answer in (marker, refused):  # a refusal can be read, too
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", ["https://lab.example.evil", "http://lab.example", "https://lab.example:444", "null"]
)
def test_any_other_page_stays_refused(service: Live, origin: str) -> None:
    for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
        answer = service.http.request(method, "/v1/sessions", headers={"Origin": origin, **more})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_without_an_origin_stays_refused(service: Live) -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert service.http.get("/v1/sessions", headers=image).status_code == 403


def test_a_login_does_not_count_for_another_page(service: Live) -> None:
    answer = service.http.post("/v1/login", json={"token": CONTROL})
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "Authorization": ""}
    assert service.http.get("/v1/sessions", headers=cookie).status_code == 200
    own = cookie | {"Origin": service.url}
    assert service.http.get("/v1/sessions", headers=own).status_code == 200
    foreign = cookie | {"Origin": FRIEND}
    assert service.http.get("/v1/sessions", headers=foreign).status_code == 401
    service.http.cookies.clear()


@pytest.mark.anyio
async def test_an_allowed_page_subscribes_with_a_token(service: Live) -> None:
    async with connect(stream_url(service.url), origin=Origin(FRIEND)) as socket:
        hello = decode_server(await socket.recv())
        assert isinstance(hello, Hello)
        assert hello.scope is None
        await socket.send(encode(Auth(VIEW), binary=False).decode())
        hello = decode_server(await socket.recv())
        assert isinstance(hello, Hello)
        assert hello.scope == "view"
        assert isinstance(decode_server(await socket.recv()), SessionState)
    with pytest.raises(InvalidStatus) as refused:
        await connect(stream_url(service.url), origin=Origin("https://evil.example"))
    assert refused.value.response.status_code == 403


def test_only_the_view_for_frames_may_be_framed(service: Live) -> None:
    framed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    frame = framed | {"Sec-Fetch-Dest": "iframe", "Authorization": ""}
    view = service.http.get("/embed/simulate-1", headers=frame)
    assert view.status_code == 200
    assert view.headers["content-security-policy"].endswith(
        f"frame-ancestors {FRIEND} http://localhost:3000"
    )
    assert service.http.get("/", headers=frame).status_code == 403
    page = service.http.get("/")
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    with live(source=[]) as closed:
        assert closed.http.get("/embed/simulate-1", headers=frame).status_code == 403
        own = closed.http.get("/embed/simulate-1")
        assert own.headers["content-security-policy"].endswith("frame-ancestors 'none'")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Lab.Example", "https://lab.example"),
        ("https://lab.example:443", "https://lab.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_taken_as_browsers_send_it(given: str, sent: str) -> None:
    settings = make_settings({"allowed_origin": [given]})
    assert settings.allowed_origin == [sent]
    assert settings.tokens().any  # on loopback, too
    assert not make_settings({}).tokens().any


@pytest.mark.parametrize(
    "given", ["*", "null", "lab.example", "https://lab.example/", "https://*.example", "file://"]
)
def test_what_is_no_origin_is_one_sentence(given: str) -> None:
    with pytest.raises(CannotServe, match=r"^allowed_origin: Expected the origin of a page, .+\.$"):
        make_settings({"allowed_origin": [given]})
