"""Logging in and out, as a browser does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from mimamba.service.protocol.messages import Hello
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import Live, live, talk

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    with live(source=[], token=CONTROL, view_token=VIEW) as service:
        yield service


@pytest.fixture
def browser(service: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30, verify=False) as browser:
        yield browser


def log_in(browser: httpx.Client, token: str) -> httpx.Response:
    origin = {"Origin": str(browser.base_url).rstrip("/")}
    return browser.post("/v1/login", json={"token": token}, headers=origin)


def test_a_login_gives_a_cookie_that_is_no_token(service: Live, browser: httpx.Client) -> None:
    answer = log_in(browser, VIEW)
    assert answer.status_code == 200
    assert answer.json() == {"scope": "view"}
    port = service.url.rsplit(":", 1)[1]
    cookie = re.fullmatch(
        rf"mimamba-{port}=([\w-]{{43}}); HttpOnly; Path=/; SameSite=strict",
        answer.headers["set-cookie"],
    )
    assert cookie, answer.headers["set-cookie"]
    assert browser.get("/v1/sessions").status_code == 200
    new = {"source": "simulate://"}
    assert browser.post("/v1/sessions", json=new).status_code == 403


def test_a_wrong_token_gives_none(browser: httpx.Client) -> None:
    answer = log_in(browser, "wrong")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "wrong" not in answer.text
    assert browser.post("/v1/login", json={}).status_code == 422
    assert browser.get("/v1/sessions").status_code == 401


def test_a_long_body_is_not_read(browser: httpx.Client) -> None:
    """A thousand errors in it would keep the service busy, and anyone may send it."""
    token = "\\u0061" * 1024  # the longest, written in the longest way
    form = {"content-type": "application/json"}
    answer = browser.post("/v1/login", content=f'{{"token": "{token}"}}', headers=form)
    assert answer.status_code == 401
    many = {f"{n:x}": 1 for n in range(3000)}
    answer = browser.post("/v1/login", json=many)
    assert answer.status_code == 413
    assert "at most 8 KiB" in answer.json()["detail"]
    parts = (b" " * 1000 for _ in range(9))
    assert browser.post("/v1/login", content=parts).status_code == 413


def test_a_code_gives_a_cookie_for_viewing_once(service: Live, browser: httpx.Client) -> None:
    here = {"Host": "192.0.2.7:8765"}  # the page was opened by that address
    made = service.http.post("/v1/watch-codes", headers=here)
    assert made.status_code == 201
    link = made.json()
    assert link["url"] == f"http://192.0.2.7:8765/#watch={link['code']}"
    assert link["seconds"] == 120
    answer = browser.post("/v1/login/code", json={"code": link["code"]})
    assert answer.json() == {"scope": "view"}
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert browser.get("/v1/sessions").status_code == 200
    assert browser.post("/v1/watch-codes").status_code == 403
    again = browser.post("/v1/login/code", json={"code": link["code"]})
    assert again.status_code == 401
    assert "works once, within two minutes" in again.json()["detail"]
    assert browser.post("/v1/login/code", content=b" " * 9000).status_code == 413


def test_an_issued_token_issues_no_others(service: Live, browser: httpx.Client) -> None:
    """They would outlive it."""
    new = {"name": "lab-pc", "scope": "control", "days": 1}
    made = service.http.post("/v1/tokens", json=new).json()
    log_in(browser, made["token"])
    assert [each["name"] for each in browser.get("/v1/tokens").json()] == ["lab-pc"]
    for method, path in (
        ("POST", "/v1/tokens"),
        ("DELETE", "/v1/tokens/lab-pc"),
        ("POST", "/v1/watch-codes"),
    ):
        refused = browser.request(method, path, json=new if path == "/v1/tokens" else None)
        assert refused.status_code == 403, path
        assert "cannot issue or revoke others" in refused.json()["detail"]
    assert service.http.delete("/v1/tokens/lab-pc").status_code == 204
    assert browser.get("/v1/tokens").status_code == 401


def test_no_code_is_made_where_nobody_could_use_it(service: Live) -> None:
    refused = service.http.post("/v1/watch-codes")
    assert refused.status_code == 409
    assert "mimamba serve --host 0.0.0.0" in refused.json()["detail"]


def test_no_foreign_page_logs_anybody_in(browser: httpx.Client) -> None:
    answer = browser.post(
        "/v1/login", json={"token": VIEW}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_logout_ends_the_login_and_its_streams(browser: httpx.Client) -> None:
    log_in(browser, CONTROL)
    [(name, secret)] = browser.cookies.items()
    cookie = {"Cookie": f"{name}={secret}"}
    url = str(browser.base_url)
    async with talk(url, headers=cookie) as client:
        hello = await client.find(Hello)
        assert (hello.scope, hello.login) == ("control", True)
        assert browser.post("/v1/logout").status_code == 204
        assert (await client.farewell()).code == 4401
    assert not browser.cookies
    assert browser.get("/v1/sessions", headers=cookie).status_code == 401
    async with talk(url, headers=cookie) as client:
        assert (await client.find(Hello)).scope is None


async def test_a_cookie_opens_no_stream_for_a_foreign_page(browser: httpx.Client) -> None:
    log_in(browser, CONTROL)
    [(name, secret)] = browser.cookies.items()
    headers = {"Cookie": f"{name}={secret}", "Origin": "http://evil.example"}
    with pytest.raises(InvalidStatus) as refused:
        async with talk(str(browser.base_url), headers=headers):
            pass
    assert refused.value.response.status_code == 403
    for host in ("evil.example", "localhost.evil.example"):
        assert browser.get("/v1/sessions", headers={"Host": host}).status_code == 403


def test_what_is_no_text_is_no_token(browser: httpx.Client) -> None:
    answer = browser.post(
        "/v1/login", content=b'{"token": "\\ud800"}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


def test_no_token_in_a_url_counts(browser: httpx.Client) -> None:
    assert browser.get("/v1/sessions", params={"token": CONTROL}).status_code == 401
