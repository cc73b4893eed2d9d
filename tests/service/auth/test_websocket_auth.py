"""A WebSocket before and after it has shown a token."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from mimamba.service.auth.login_throttle import MAX_FAILURES
from mimamba.service.auth.websocket_auth import MOST_MESSAGES
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import (
    PROTOCOL,
    Error,
    Heartbeat,
    Hello,
    Mark,
    Ping,
    SessionState,
    Subscribe,
    Subscribed,
)
from mimamba.service.server.app import Limits
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE, Live, Talk, bearer, live, talk
from tests.service.server.test_prometheus import numbers

pytestmark = pytest.mark.anyio

GRACE = 0.3
"""Seconds that a stranger may stay with the hasty service."""
GRACES = (GRACE, 1.0, 5.0, 20.0)
"""Those tried until this machine shows a token in time."""


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    """One that gives strangers more time than they need here."""
    tokens: dict[str, Any] = {"token": CONTROL, "view_token": VIEW}
    with live(
        "simulate://", model="none", limits=Limits(auth_seconds=PATIENCE), **tokens
    ) as service:
        service.opened("simulate-1")
        yield service


@pytest.fixture(scope="module")
def hasty() -> Iterator[Live]:
    """One that gives them next to none."""
    with live(
        source=[], token=CONTROL, view_token=VIEW, limits=Limits(auth_seconds=GRACE)
    ) as service:
        yield service


@pytest.mark.parametrize("binary", [False, True])
async def test_a_stranger_hears_nothing_but_hello_and_errors(service: Live, binary: bool) -> None:
    async with talk(service.url, binary) as client:
        await client.say(Subscribe("simulate-1", ["signal"], id=5))
        await client.say(Ping(1.0))
        for _ in range(2):
            assert (await client.find(Error)).code == "unauthenticated"
    hello, *errors = client.heard
    assert hello == Hello(PROTOCOL, "mimamba", None, None)
    assert len(errors) == 2


@pytest.mark.parametrize("binary", [False, True])
async def test_a_stranger_must_go_however_much_it_says(hasty: Live, binary: bool) -> None:
    async with talk(hasty.url, binary) as client:
        with suppress(ConnectionClosed):
            while True:
                await client.say(Ping(1.0))
                await client.hear()
        close = await client.farewell()
    assert close.code == 4401
    assert "token" in close.reason
    hello, *errors = client.heard
    assert hello == Hello(PROTOCOL, "mimamba", None, None)
    assert {each.code for each in errors if isinstance(each, Error)} <= {"unauthenticated"}
    assert all(isinstance(each, Error) for each in errors)


async def test_a_stranger_says_only_so_much(service: Live) -> None:
    async with talk(service.url) as client:
        with suppress(ConnectionClosed):
            while True:
                await client.say(Ping(1.0))
                await client.hear()
        close = await client.farewell()
    assert close.code == 4401
    assert "token" in close.reason
    assert len(client.heard) <= MOST_MESSAGES + 1


async def test_a_frame_that_is_none_is_answered_and_a_token_may_still_follow(service: Live) -> None:
    async with talk(service.url, binary=False) as client:
        await client.socket.send("{")
        assert (await client.find(Error)).code == "bad_message"
        await client.say(Auth(VIEW, id="a"))
        hello = await client.find(Hello)
        assert (hello.scope, hello.id) == ("view", "a")


@pytest.mark.parametrize(("token", "scope"), [(CONTROL, "control"), (VIEW, "view")])
async def test_auth_lets_in(service: Live, token: str, scope: str) -> None:
    async with talk(service.url) as client:
        assert (await client.find(Hello)).scope is None
        await client.say(Auth(token, id=9))
        hello = await client.find(Hello)
        assert (hello.scope, hello.id, hello.login) == (scope, 9, False)
        assert hello.clock is not None
        assert (await client.find(SessionState)).session == "simulate-1"
        await client.say(Subscribe("simulate-1", ["link"]))
        await client.find(Subscribed)


async def shows_in_time(client: Talk) -> bool:
    """Show a token, and tell whether this machine was quick enough with it."""
    with suppress(ConnectionClosed):
        await client.say(Auth(VIEW))
        await client.find(Hello, lambda each: each.scope == "view")
        return True
    return False


async def test_who_was_let_in_stays_for_longer_than_a_stranger_may() -> None:
    for grace in GRACES:
        with live(
            source=[], token=CONTROL, view_token=VIEW, limits=Limits(auth_seconds=grace)
        ) as service:
            async with talk(service.url) as client:
                if await shows_in_time(client):
                    for _ in range(1 + math.ceil(grace)):  # a second lies between two
                        await client.find(Heartbeat)
                    return
    pytest.fail(f"this machine took more than {GRACES[-1]:g} s to show a token")


async def test_a_header_lets_in_at_once(service: Live) -> None:
    async with talk(service.url, headers=bearer(VIEW)) as client:
        assert (await client.find(Hello)).scope == "view"


@pytest.mark.parametrize("way", ["header", "auth"])
async def test_a_wrong_token_is_sent_away_and_too_many_are_told_so(way: str) -> None:
    with live(token=CONTROL, source=[], limits=Limits(auth_seconds=30.0)) as service:
        for number in range(MAX_FAILURES + 1):
            headers = bearer("wrong") if way == "header" else None
            async with talk(service.url, headers=headers) as client:
                if way == "auth":
                    await client.say(Auth("wrong"))
                close = await client.farewell()
            assert close.code == (4401 if number < MAX_FAILURES else 4429)
            reason = "not accepted" if number < MAX_FAILURES else "Too many wrong tokens"
            assert reason in close.reason
        refused = service.http.get("/v1/sessions")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 60


async def test_what_a_viewer_may_not_say_is_counted_where_a_viewer_may_look() -> None:
    with live(source=[], model="none", token=CONTROL, view_token=VIEW) as service:
        async with talk(service.url, headers=bearer(VIEW)) as client:
            await client.say(Mark("simulate-1", "x", id=1))
            assert (await client.find(Error)).code == "forbidden"
        assert numbers(service)["mimamba_errors_total", "forbidden"] == 1
        service.http.headers["Authorization"] = f"Bearer {VIEW}"
        assert service.http.get("/metrics").status_code == 200
        del service.http.headers["Authorization"]
        assert service.http.get("/metrics").status_code == 401


async def test_a_viewer_may_show_a_better_token_later(service: Live) -> None:
    async with talk(service.url, headers=bearer(VIEW)) as client:
        await client.find(Hello)
        await client.say(Auth("wrong", id=1))
        assert (await client.find(Error)).code == "unauthenticated"
        await client.say(Auth(CONTROL, id=2))
        hello = await client.find(Hello)
        assert (hello.scope, hello.id) == ("control", 2)


async def test_where_no_token_is_needed_any_is_taken() -> None:
    with live(source=[]) as service:
        async with talk(service.url) as client:
            assert (await client.find(Hello)).scope == "control"
            await client.say(Auth("whatever", id=1))
            assert (await client.find(Hello)).id == 1
