"""Who is let in: by a token, or by the cookie that a login gave for one."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import HTTPConnection

from mimamba.service.auth.login_throttle import LoginThrottle
from mimamba.service.auth.tokens import Tokens
from mimamba.service.protocol.auth import Scope

LOGIN_SECONDS = 7 * 86400.0
MOST_LOGINS = 1024
"""At a time; the oldest one ends first."""


@dataclass(frozen=True)
class Permission:
    """What somebody may do; ``login`` is which login it came by, ``None`` where by a token."""

    scope: Scope
    login: bytes | None = None


@dataclass(frozen=True)
class AuthRefusal:
    """Why somebody is not let in: 401 for a wrong token, 429 for too many in ``wait`` seconds."""

    status: int
    reason: str
    wait: int = 0


AuthResult: TypeAlias = Permission | AuthRefusal | None
"""None where no token was shown."""


class Authenticator:
    """Lets people in.

    Parameters
    ----------
    tokens
        The service's; where there are none, everybody may do everything.
    now
        A clock, seconds.
    """

    def __init__(self, tokens: Tokens, now: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._now = now
        self._attempts = LoginThrottle(now)
        self._logins: OrderedDict[bytes, tuple[Scope, float]] = OrderedDict()

    @property
    def guarded(self) -> bool:
        """Whether a token is asked for."""
        return self._tokens.any

    def judge(self, asking: HTTPConnection) -> AuthResult:
        """By the header, else by the cookie. A stale cookie is none, and no failure."""
        if not self.guarded:
            return Permission("control")
        bearer = re.fullmatch(r"(?i:bearer) +(\S+) *", asking.headers.get("authorization", ""))
        if bearer:
            return self.present(bearer[1], address_of(asking))
        secret = asking.cookies.get(cookie_name(asking))
        return None if secret is None else self._recall(_digest(secret))

    def present(self, token: str, address: str) -> Permission | AuthRefusal:
        """Whether a token is right. An address that failed too often is not even looked at."""
        if not self.guarded:
            return Permission("control")
        wait = self._attempts.wait(address)
        if wait:
            reason = f"found too many wrong tokens from this address; try again in {wait} s"
            return AuthRefusal(429, reason, wait)
        scope = self._tokens.scope_of(token)
        if scope is None:
            self._attempts.failed(address)
            return AuthRefusal(
                401, "Expected a token of this service, but found another. Correct it."
            )
        return Permission(scope)

    def log_in(self, grant: Permission) -> str:
        """A secret for a cookie, which stands for the token from now on."""
        secret = secrets.token_urlsafe(32)
        while len(self._logins) >= MOST_LOGINS:
            self._logins.popitem(last=False)
        self._logins[_digest(secret)] = (grant.scope, self._now() + LOGIN_SECONDS)
        return secret

    def log_out(self, asking: HTTPConnection) -> None:
        """End the login that a cookie stands for."""
        self._logins.pop(_digest(asking.cookies.get(cookie_name(asking), "")), None)

    def holds(self, grant: Permission) -> bool:
        """Whether what was granted still holds."""
        return grant.login is None or self._recall(grant.login) is not None

    def _recall(self, login: bytes) -> Permission | None:
        scope, end = self._logins.get(login, (None, 0.0))
        return Permission(scope, login) if scope is not None and self._now() < end else None


def _digest(secret: str) -> bytes:
    """By which a login is found: how long that takes tells nothing of the secret."""
    return hashlib.sha256(secret.encode()).digest()


def address_of(asking: HTTPConnection) -> str:
    """Where a request comes from."""
    return asking.client.host if asking.client else ""


def cookie_name(asking: HTTPConnection) -> str:
    """Another for each port: browsers do not tell ports apart, and two services would clash."""
    port = re.search(r":([0-9]+)$", asking.headers.get("host", ""))
    return f"mimamba-{port[1]}" if port else "mimamba"
