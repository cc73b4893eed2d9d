"""Authentication: by a token, or by the cookie of a login with one."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from starlette.requests import HTTPConnection

from mimamba.service.auth.issued_tokens import IssuedTokens
from mimamba.service.auth.login_throttle import LoginThrottle
from mimamba.service.auth.tokens import Tokens, digest_secret
from mimamba.service.auth.watch_codes import WatchCodes
from mimamba.service.protocol.auth import Scope

LOGIN_SECONDS = 7 * 86400.0
WATCH_SECONDS = 86400.0
"""Of a login by a one-time code."""
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
    issued
        Hash of the issued token that it comes from, if it does.
    """

    scope: Scope
    login: bytes | None = None
    issued: str | None = None


@dataclass(frozen=True)
class Login:
    """Login that a cookie stands for.

    Parameters
    ----------
    permission
        With the login's own key.
    end
        Clock of the authenticator (s).
    by_code
        True if it comes from a one-time code.
    """

    permission: Permission
    end: float
    by_code: bool


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
    issued
        Tokens that it has issued; None for none.
    now
        A clock (s).
    """

    def __init__(
        self,
        tokens: Tokens,
        issued: IssuedTokens | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._issued = issued
        self._now = now
        self._throttle = LoginThrottle(now)
        self._watch_codes = WatchCodes(now)
        self._logins: OrderedDict[bytes, Login] = OrderedDict()

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
        return None if secret is None else self._find_login(digest_secret(secret))

    def authenticate_token(self, token: str, address: str) -> Permission | AuthRefusal:
        """Check a token. After too many failures of an address its tokens are not even compared."""
        if not self.requires_token:
            return Permission("control")
        if refusal := self._refuse_early(address):
            return refusal
        scope = self._tokens.scope_of(token)
        if scope is not None:
            return Permission(scope)
        issued = self._issued and self._issued.find(token)
        if issued:
            return Permission(issued.scope, issued=issued.digest)
        self._throttle.note_failure(address)
        return AuthRefusal(401, "Token not accepted. Use the one that `mimamba serve` printed.")

    def make_watch_code(self) -> str:
        """Return a code with which another device may log in once, for viewing."""
        return self._watch_codes.make()

    def authenticate_code(self, code: str, address: str) -> Permission | AuthRefusal:
        """Use a one-time code up. Wrong ones count like wrong tokens, and say nothing of others."""
        if not self.requires_token:
            return Permission("control")
        if refusal := self._refuse_early(address):
            return refusal
        if not self._watch_codes.redeem(code):
            self._throttle.note_failure(address)
            return AuthRefusal(
                401,
                "Code not accepted. Each works once, within two minutes. Ask for a new one: the "
                "page shows it under Access, and `mimamba share` prints it.",
            )
        return Permission("view")

    def _refuse_early(self, address: str) -> AuthRefusal | None:
        wait = self._throttle.wait(address)
        if not wait:
            return None
        reason = f"Too many wrong tokens from this address. Try again in {wait} s."
        return AuthRefusal(429, reason, wait)

    def log_in(self, permission: Permission, by_code: bool = False) -> str:
        """Return a secret for a cookie, which replaces the token or code from now on."""
        secret = secrets.token_urlsafe(32)
        if len(self._logins) >= MAX_LOGINS:
            self._make_room(permission)
        key = digest_secret(secret)
        end = self._now() + (WATCH_SECONDS if by_code else LOGIN_SECONDS)
        self._logins[key] = Login(replace(permission, login=key), end, by_code)
        return secret

    def _make_room(self, permission: Permission) -> None:
        """Forget ended logins; without one, the oldest from the same token, else the oldest.

        So nobody's logins with one token end those of another.
        """
        ended = [key for key in self._logins if self._find_login(key) is None]
        like = (permission.scope, permission.issued)
        same = (
            key
            for key, each in self._logins.items()
            if (each.permission.scope, each.permission.issued) == like
        )
        for key in ended or [next(same, next(iter(self._logins)))]:
            del self._logins[key]

    def end_watching(self) -> None:
        """End all one-time codes, and the logins that came from them."""
        self._watch_codes.clear()
        for key in [key for key, each in self._logins.items() if each.by_code]:
            del self._logins[key]

    def log_out(self, connection: HTTPConnection) -> None:
        """End the login of a cookie."""
        self._logins.pop(digest_secret(read_cookie(connection) or ""), None)

    def is_valid(self, permission: Permission) -> bool:
        """Return whether a permission is still valid: its login and issued token have not ended."""
        if permission.login is not None:
            return self._find_login(permission.login) is not None
        return self._is_issued(permission)

    def _find_login(self, key: bytes) -> Permission | None:
        login = self._logins.get(key)
        if login is None or self._now() >= login.end or not self._is_issued(login.permission):
            return None
        return login.permission

    def _is_issued(self, permission: Permission) -> bool:
        """Return whether the issued token that a permission comes from, if any, is still valid."""
        if permission.issued is None:
            return True
        return self._issued is not None and self._issued.valid(permission.issued) is not None


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
