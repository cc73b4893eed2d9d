"""Who is let in, and who tried too often."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from mimamba.service.auth.authenticator import (
    LOGIN_SECONDS,
    MAX_LOGINS,
    Authenticator,
    AuthRefusal,
    AuthResult,
    Permission,
    cookie_name,
)
from mimamba.service.auth.issued_tokens import DAY, IssuedTokens
from mimamba.service.auth.login_throttle import MAX_ADDRESSES, MAX_FAILURES, SECONDS, LoginThrottle
from mimamba.service.auth.permissions import ConnectionPermissions
from mimamba.service.auth.tokens import Tokens
from mimamba.service.auth.watch_codes import CODE_SECONDS, MAX_CODES
from mimamba.service.protocol.auth import Scope
from mimamba.service.protocol.messages import Subscribe
from tests.service.auth.test_tokens import CONTROL, VIEW

SCOPES_BY_CODE: tuple[tuple[Scope, bool], ...] = (("view", True), ("control", False))
"""Logins: what they may do, and whether they come from a one-time code."""


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def asking(address: str = "192.0.2.1", host: str = "eeg:8765", **headers: str) -> HTTPConnection:
    told = [(b"host", host.encode())]
    told += [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": told, "client": (address, 5)})


def shown(door: Authenticator, token: str, address: str = "192.0.2.1") -> AuthResult:
    return door.authenticate(asking(address, authorization=f"Bearer {token}"))


def test_a_token_lets_in_and_another_does_not() -> None:
    door = Authenticator(Tokens(CONTROL, VIEW))
    assert shown(door, CONTROL) == Permission("control")
    assert shown(door, VIEW) == Permission("view")
    assert door.authenticate(asking()) is None
    assert door.authenticate(asking(authorization=f"Basic {CONTROL}")) is None
    assert door.authenticate(asking(authorization=f"bearer  {VIEW}")) == Permission("view")
    wrong = shown(door, "wrong")
    assert isinstance(wrong, AuthRefusal)
    assert wrong.status == 401


def test_without_tokens_all_may_do_all() -> None:
    door = Authenticator(Tokens())
    assert door.authenticate(asking()) == shown(door, "whatever") == Permission("control")


def test_ten_failures_a_minute_and_then_not_even_the_right_one() -> None:
    clock = Clock()
    door = Authenticator(Tokens(CONTROL), now=clock)
    secret = door.log_in(Permission("control"))
    for _ in range(MAX_FAILURES):
        refused = shown(door, "wrong")
        assert isinstance(refused, AuthRefusal)
        assert refused.status == 401
        clock.time += 1
    refused = shown(door, CONTROL)
    assert isinstance(refused, AuthRefusal)
    assert (refused.status, refused.wait) == (429, SECONDS - MAX_FAILURES)
    # Who is elsewhere, or logged in already, is not locked out.
    assert shown(door, CONTROL, "192.0.2.2") == Permission("control")
    assert door.authenticate(asking(cookie=f"mimamba-8765={secret}")) is not None
    clock.time += refused.wait
    assert shown(door, CONTROL) == Permission("control")


def test_a_code_lets_in_once_and_for_viewing() -> None:
    door = Authenticator(Tokens(CONTROL, VIEW))
    code = door.make_watch_code()
    assert door.authenticate_code(f" {code.upper()} ", "192.0.2.1") == Permission("view")
    used = door.authenticate_code(code, "192.0.2.1")
    assert isinstance(used, AuthRefusal)
    assert (used.status, "works once" in used.reason) == (401, True)
    # A stranger learns from no answer that there was such a code, nor is it a token.
    assert door.authenticate_code("of-nobody", "192.0.2.2") == used
    other = shown(door, door.make_watch_code())
    assert isinstance(other, AuthRefusal)
    assert other.status == 401


def test_watching_ends_at_once_and_other_logins_go_on() -> None:
    door = Authenticator(Tokens(CONTROL))
    code = door.make_watch_code()
    watching, controlling = (
        asking(cookie=f"mimamba-8765={door.log_in(Permission(scope), by_code)}")
        for scope, by_code in SCOPES_BY_CODE
    )
    granted = door.authenticate(watching)
    assert isinstance(granted, Permission)
    door.end_watching()
    assert not door.is_valid(granted)
    assert door.authenticate(watching) is None
    assert door.authenticate(controlling) is not None
    assert isinstance(door.authenticate_code(code, "192.0.2.1"), AuthRefusal)


def test_an_issued_token_lets_in_until_it_ends(tmp_path: Path) -> None:
    clock = Clock()
    issued = IssuedTokens(tmp_path, clock)
    door = Authenticator(Tokens(CONTROL), issued)
    about, token = issued.make("lab-pc", "view", 1)
    granted = shown(door, token)
    assert granted == Permission("view", issued=about.digest)
    holder = asking(cookie=f"mimamba-8765={door.log_in(granted)}")
    assert door.authenticate(holder) is not None
    clock.time += DAY
    assert not door.is_valid(granted)
    assert door.authenticate(holder) is None
    assert isinstance(shown(door, token), AuthRefusal)


def test_a_code_ends_after_two_minutes_or_with_newer_ones() -> None:
    clock = Clock()
    door = Authenticator(Tokens(CONTROL), now=clock)
    code, last = door.make_watch_code(), door.make_watch_code()
    clock.time += CODE_SECONDS - 1
    assert door.authenticate_code(last, "192.0.2.1") == Permission("view")
    clock.time += 1
    assert isinstance(door.authenticate_code(code, "192.0.2.1"), AuthRefusal)
    first = door.make_watch_code()
    for _ in range(MAX_CODES):
        last = door.make_watch_code()
    assert isinstance(door.authenticate_code(first, "192.0.2.1"), AuthRefusal)
    assert door.authenticate_code(last, "192.0.2.1") == Permission("view")


def test_codes_and_tokens_share_their_attempts() -> None:
    clock = Clock()
    door = Authenticator(Tokens(CONTROL), now=clock)
    code = door.make_watch_code()
    for number in range(MAX_FAILURES):
        door.authenticate_code(f"wrong-{number}", "192.0.2.1") if number % 2 else shown(door, "x")
    for refused in (door.authenticate_code(code, "192.0.2.1"), shown(door, CONTROL)):
        assert isinstance(refused, AuthRefusal)
        assert (refused.status, refused.wait) == (429, SECONDS)
    assert door.authenticate_code(code, "192.0.2.2") == Permission("view")


@pytest.mark.parametrize(
    ("cookie", "known"),
    [
        ("mimamba-8765={}", True),
        ("a=b; mimamba-8765={}; mimamba-1=x", True),
        ("a=b;\tmimamba-8765={} ;", True),
        (
            'mimamba-8765="{}"',
            False,
        ),  # to take off quotes, a library needs seconds for a long value
        ("xmimamba-8765={}", False),
        ("mimamba-87650={}", False),
        ("mimamba-8765 = {}", False),
        ("mimamba-8765={};mimamba-8765=x", True),
        (";" * 10_000 + "mimamba-8765={}", True),
    ],
)
def test_a_cookie_counts_as_it_was_set(cookie: str, known: bool) -> None:
    door = Authenticator(Tokens(CONTROL))
    secret = door.log_in(Permission("control"))
    found = door.authenticate(asking(cookie=cookie.format(secret)))
    assert (found is not None) == known


def test_a_cookie_stands_for_the_token_until_its_end() -> None:
    clock = Clock()
    door = Authenticator(Tokens(CONTROL, VIEW), now=clock)
    secret = door.log_in(Permission("view"))
    assert CONTROL not in secret
    assert VIEW not in secret
    holder = asking(cookie=f"mimamba-8765={secret}")
    granted = door.authenticate(holder)
    assert isinstance(granted, Permission)
    assert granted.scope == "view"
    assert door.is_valid(granted)
    assert door.authenticate(asking(host="eeg:9999", cookie=f"mimamba-8765={secret}")) is None
    clock.time += LOGIN_SECONDS
    assert not door.is_valid(granted)
    assert door.authenticate(holder) is None


def test_a_logout_ends_one_login() -> None:
    door = Authenticator(Tokens(CONTROL))
    one, other = (
        asking(cookie=f"mimamba-8765={door.log_in(Permission('control'))}") for _ in range(2)
    )
    door.log_out(one)
    assert door.authenticate(one) is None
    assert door.authenticate(other) is not None
    door.log_out(asking())


def test_stale_cookies_are_no_failures() -> None:
    door = Authenticator(Tokens(CONTROL))
    for _ in range(2 * MAX_FAILURES):
        assert door.authenticate(asking(cookie="mimamba-8765=of-yesterday")) is None
    assert shown(door, CONTROL) == Permission("control")


def test_logins_are_bounded() -> None:
    door = Authenticator(Tokens(CONTROL))
    first = asking(cookie=f"mimamba-8765={door.log_in(Permission('control'))}")
    for _ in range(MAX_LOGINS):
        assert door.authenticate(first) is not None
        last = door.log_in(Permission("control"))
    assert door.authenticate(first) is None
    assert door.authenticate(asking(cookie=f"mimamba-8765={last}")) is not None
    for _ in range(MAX_LOGINS):  # a viewer's end none of the others, but for the first one
        viewing = door.log_in(Permission("view"))
    assert door.authenticate(asking(cookie=f"mimamba-8765={last}")) is not None
    assert door.authenticate(asking(cookie=f"mimamba-8765={viewing}")) is not None


def test_a_message_is_refused_once_its_token_has_ended(tmp_path: Path) -> None:
    issued = IssuedTokens(tmp_path)
    door = Authenticator(Tokens(CONTROL), issued)
    _, token = issued.make("lab-pc", "control", 1)
    granted = shown(door, token)
    assert isinstance(granted, Permission)
    socket = ConnectionPermissions(door, "192.0.2.1", granted)
    asked = Subscribe("simulate-1", ["signal"])
    assert socket.refusal(asked) is None
    issued.revoke("lab-pc")
    refused = socket.refusal(asked)
    assert refused is not None
    assert refused.code == "unauthenticated"


@pytest.mark.parametrize(
    ("host", "name"),
    [("eeg:8765", "mimamba-8765"), ("eeg", "mimamba"), ("[::1]", "mimamba"), ("", "mimamba")],
)
def test_each_port_has_its_cookie(host: str, name: str) -> None:
    assert cookie_name(asking(host=host)) == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "testclient", False),
    ],
)
def test_who_counts_as_one(one: str, other: str, same: bool) -> None:
    attempts = LoginThrottle(Clock())
    for _ in range(MAX_FAILURES):
        attempts.note_failure(one)
    assert attempts.wait(one) == SECONDS
    assert (attempts.wait(other) > 0) == same


def test_remembered_addresses_are_bounded() -> None:
    attempts = LoginThrottle(Clock())
    for _ in range(MAX_FAILURES):
        attempts.note_failure("192.0.2.1")
    for number in range(MAX_ADDRESSES):
        attempts.note_failure(f"address {number}")
    assert attempts.wait("192.0.2.1") == 0
