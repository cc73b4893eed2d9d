"""Authentication: by a token, or by the cookie of a login with one."""

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
MAX_LOGINS = 1024
"""At a time; the oldest one ends first."""


@dataclass(frozen=True)
class Permission:
    """Scope of an accepted token or login.

    Parameters
    ----------
    scope
        View or control.
    login
        The login that it comes from; None if it comes from a token.
    """

    scope: Scope
    login: bytes | None = None


@dataclass(frozen=True)
class AuthRefusal:
    """Reason why a token is refused.

    Parameters
    ----------
    status
        401 for a wrong token, 429 for too many attempts.
    reason
        In words.
    wait
        Seconds until the next attempt.
    """

    status: int
    reason: str
    wait: int = 0


AuthResult: TypeAlias = Permission | AuthRefusal | None
"""None if no token was sent."""


class Authenticator:
    """Checks tokens and keeps logins.

    Parameters
    ----------
    tokens
        The service's; without any, everything is allowed.
    now
        A clock (s).
    """

    def __init__(self, tokens: Tokens, now: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._now = now
        self._throttle = LoginThrottle(now)
        self._logins: OrderedDict[bytes, tuple[Scope, float]] = OrderedDict()

    @property
    def requires_token(self) -> bool:
        """True if the service asks for a token."""
        return self._tokens.any

    def authenticate(self, connection: HTTPConnection) -> AuthResult:
        """Check the header, or without one the cookie. An expired cookie counts as none."""
        if not self.requires_token:
            return Permission("control")
        header = connection.headers.get("authorization", "")
        bearer = re.fullmatch(r"(?i:bearer) +(\S+) *", header)
        if bearer:
            return self.authenticate_token(bearer[1], client_address(connection))
        secret = read_cookie(connection)
        return None if secret is None else self._find_login(_digest(secret))

    def authenticate_token(self, token: str, address: str) -> Permission | AuthRefusal:
        """Check a token. After too many failures of an address its tokens are not even compared."""
        if not self.requires_token:
            return Permission("control")
        wait = self._throttle.wait(address)
        if wait:
            reason = f"Too many wrong tokens from this address. Try again in {wait} s."
            return AuthRefusal(429, reason, wait)
        scope = self._tokens.scope_of(token)
        if scope is None:
            self._throttle.note_failure(address)
            return AuthRefusal(401, "Token not accepted. Use the one that `mimamba serve` printed.")
        return Permission(scope)

    def log_in(self, permission: Permission) -> str:
        """Return a secret for a cookie, which replaces the token from now on."""
        secret = secrets.token_urlsafe(32)
        while len(self._logins) >= MAX_LOGINS:
            self._logins.popitem(last=False)
        self._logins[_digest(secret)] = (permission.scope, self._now() + LOGIN_SECONDS)
        return secret

    def log_out(self, connection: HTTPConnection) -> None:
        """End the login of a cookie."""
        self._logins.pop(_digest(read_cookie(connection) or ""), None)

    def is_valid(self, permission: Permission) -> bool:
        """Return whether a permission is still valid: its login has not ended."""
        return permission.login is None or self._find_login(permission.login) is not None

    def _find_login(self, login: bytes) -> Permission | None:
        scope, end = self._logins.get(login, (None, 0.0))
        return Permission(scope, login) if scope is not None and self._now() < end else None


def _digest(secret: str) -> bytes:
    """Return the key of a login; how long its look-up takes says nothing about the secret."""
    return hashlib.sha256(secret.encode()).digest()


def client_address(connection: HTTPConnection) -> str:
    """Return the address that a request comes from."""
    return connection.client.host if connection.client else ""


def read_cookie(connection: HTTPConnection) -> str | None:
    """Return the secret in the login's cookie; None without one.

    The standard library's parser is not used: it takes seconds for a long quoted value, and anyone
    may send one.
    """
    name = re.escape(cookie_name(connection))
    wanted = re.compile(rf"(?:^|;)[ \t]*{name}=([\w-]+)[ \t]*(?:;|$)", re.ASCII)
    found = wanted.search(connection.headers.get("cookie", ""))
    return found[1] if found else None


def cookie_name(connection: HTTPConnection) -> str:
    """Return the cookie's name, which has the port: browsers share cookies between ports."""
    port = re.search(r":([0-9]+)$", connection.headers.get("host", ""))
    return f"mimamba-{port[1]}" if port else "mimamba"
