"""Every route and every message says what it asks for, and the running service asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from mimamba.service.auth.scopes import MESSAGES, ROUTES, scope_required_by_route
from mimamba.service.http.page import find_page
from mimamba.service.protocol.messages import (
    ClientMessage,
    Error,
    Mark,
    Ping,
    Pong,
    Subscribe,
    Unsubscribe,
)
from mimamba.service.protocol.push import Push, Samples
from mimamba.service.server.app import make_app
from mimamba.service.settings.load import make_settings
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import Live, bearer, live, talk
from tests.service.scripted import INFO

pytestmark = pytest.mark.anyio

CONTROLS: dict[type[ClientMessage], ClientMessage] = {
    Mark: Mark("simulate-1", "blink", id=7),
    Push: Push("a-stream-of-the-tests", INFO, "far", id=7),
    Samples: Samples("far", 7, 0, b"", b"", 0.0),
}


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    with live("simulate://", model="none", token=CONTROL, view_token=VIEW) as service:
        service.opened("simulate-1")
        yield service


async def _nothing(_: object) -> None:
    pass


def routes() -> Iterator[str]:
    """What the application answers, as scopes.py names it; the page's files one by one."""
    for each in iter_route_contexts(make_app(make_settings({}), _nothing).routes):
        if isinstance(each.original_route, Mount):
            page = find_page()
            assert page is not None
            yield "GET /"
            yield from (
                f"GET /{file.relative_to(page).as_posix()}"
                for file in page.rglob("*")
                if file.is_file() and not file.name.startswith(".") and file.suffix != ".gz"
            )
        else:
            for method in (each.methods or {"WS"}) - {"HEAD"}:
                yield f"{method} {each.path}"


def test_every_route_declares_its_scope() -> None:
    found = set(routes())
    assert len(found) > 20
    named = {re.sub(r"^GET /assets/.+", "GET /assets/{file}", each) for each in found}
    named -= {"GET /embed/index.html"}  # any session's view
    assert named <= ROUTES.keys()


def test_what_declares_none_asks_for_control() -> None:
    for method, path in (("GET", "/v1/new"), ("PUT", "/v1/sessions"), ("GET", "//healthz")):
        assert (
            scope_required_by_route({"type": "http", "method": method, "path": path}) == "control"
        )
    assert scope_required_by_route({"type": "websocket", "path": "/elsewhere"}) == "control"
    assert scope_required_by_route({"type": "http", "method": "HEAD", "path": "/healthz"}) == "open"


def test_every_message_declares_its_scope() -> None:
    assert set(get_args(ClientMessage)) == MESSAGES.keys()


def answers(service: Live, key: str, headers: dict[str, str]) -> httpx.Response:
    method, path = re.sub(r"\{\w+\}", "nobody", key).split(" ")
    with httpx.Client(base_url=service.url, timeout=30, verify=False) as http:
        return http.request(method, path, headers=headers, params={"timeout": "0.1"})


REST = {key: need for key, need in ROUTES.items() if not key.startswith("WS")}


@pytest.mark.parametrize("key", [key for key, need in REST.items() if need != "open"])
def test_every_route_asks_for_its_scope(service: Live, key: str) -> None:
    stranger = answers(service, key, {})
    assert stranger.status_code == 401
    assert stranger.headers["www-authenticate"] == 'Bearer realm="mimamba"'
    assert stranger.headers["content-type"] == "application/problem+json"
    assert stranger.json()["status"] == 401
    viewer = answers(service, key, bearer(VIEW))
    if ROUTES[key] == "view":
        assert viewer.status_code not in (401, 403)
    else:
        assert viewer.status_code == 403
        assert "control" in viewer.json()["detail"]
        assert answers(service, key, bearer(CONTROL)).status_code not in (401, 403)


@pytest.mark.parametrize("key", [key for key, need in REST.items() if need == "open"])
def test_open_routes_answer_strangers(service: Live, key: str) -> None:
    assert answers(service, key, {}).status_code not in (401, 403)


def test_health_tells_strangers_only_that_it_is_there(service: Live) -> None:
    assert answers(service, "GET /healthz", {}).json() == {"status": "ok"}
    assert answers(service, "GET /healthz", bearer(VIEW)).json()["sessions"] == 1


@pytest.mark.parametrize("kind", CONTROLS, ids=lambda kind: kind.__name__)
async def test_a_viewer_cannot_control_the_stream(service: Live, kind: type[Any]) -> None:
    assert {each for each, need in MESSAGES.items() if need == "control"} == CONTROLS.keys()
    async with talk(service.url, headers=bearer(VIEW)) as viewer:
        await viewer.say(CONTROLS[kind])
        refused = await viewer.find(Error)
        assert (refused.code, refused.id) == ("forbidden", 7)
        for asked in (Subscribe("simulate-1", ["link"]), Unsubscribe("simulate-1"), Ping(3.0)):
            await viewer.say(asked)
        assert (await viewer.find(Pong)).t == 3.0
    assert service.sessions().keys() == {"simulate-1"}
    async with talk(service.url, headers=bearer(CONTROL)) as controller:
        await controller.say(CONTROLS[kind])
        await controller.say(Ping(4.0))
        await controller.find(Pong)
        assert all(each.code != "forbidden" for each in controller.heard if isinstance(each, Error))
    service.http.delete("/v1/sessions/far")
