"""Named tokens that the service issues: each has a scope, ends on a day, and can be revoked.

The file has their hashes only, so a token is shown once, when it is made. It outlives the service.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.service.protocol.auth import Scope
from mimamba.service.storage.private_files import read_regular, replace_file

FILE = ".issued-tokens.json"
"""No name of a recording begins with a dot, so none has this file beside it."""
DAY = 86400.0
MAX_TOKENS = 256


class TokenRefused(UserError):
    """No token can be issued under this name."""


class NoToken(UserError, LookupError):
    """No issued token has this name."""


class CannotKeepTokens(UserError):
    """The file of issued tokens cannot be read or written."""


class IssuedToken(msgspec.Struct, frozen=True):
    """A token without its secret.

    Parameters
    ----------
    name
        Given by a person.
    scope
        View or control.
    made, ends
        UNIX time (s).
    digest
        SHA-256 of the token, in hexadecimal digits.
    """

    name: str
    scope: Scope
    made: float
    ends: float
    digest: str


_LIST = msgspec.json.Decoder(list[IssuedToken])


class IssuedTokens:
    """Issued tokens of a data folder.

    Parameters
    ----------
    folder
        Of the service's data.
    now
        A clock of UNIX time (s).
    most
        Tokens at a time.

    Raises
    ------
    CannotKeepTokens
        If the file is damaged or cannot be read.
    """

    def __init__(
        self, folder: Path, now: Callable[[], float] = time.time, most: int = MAX_TOKENS
    ) -> None:
        self._path = folder / FILE
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._by_digest = self._read()

    def all(self) -> list[IssuedToken]:
        """Return all tokens by their names, expired ones included."""
        return sorted(self._by_digest.values(), key=lambda each: each.name)

    def find(self, token: str) -> IssuedToken | None:
        """Return a token that has not expired; how long that takes says nothing about it."""
        return self.valid(_digest(token))

    def valid(self, digest: str) -> IssuedToken | None:
        """Return the token with a hash; None if it was revoked or has expired."""
        found = self._by_digest.get(digest)
        return found if found is not None and self._now() < found.ends else None

    def make(self, name: str, scope: Scope, days: int) -> tuple[IssuedToken, str]:
        """Issue a token, which replaces an expired one of the same name.

        Raises
        ------
        TokenRefused
            If the name is taken, or there are too many.
        CannotKeepTokens
            If it cannot be written.
        """
        with self._lock:
            kept = {digest: each for digest, each in self._by_digest.items() if each.name != name}
            for each in self._by_digest.values():
                if each.name == name and self._now() < each.ends:
                    raise TokenRefused(
                        f"Expected a new name, but a token is called {name!r} already. "
                        "Choose another, or revoke that token first."
                    )
            if len(kept) >= self._most:
                raise TokenRefused(
                    f"Expected at most {self._most} tokens, but there are as many. Revoke one."
                )
            secret, now = secrets.token_urlsafe(32), self._now()
            made = IssuedToken(name, scope, now, now + days * DAY, _digest(secret))
            self._write({**kept, made.digest: made})
            return made, secret

    def revoke(self, name: str) -> None:
        """End a token now; raises NoToken or CannotKeepTokens."""
        with self._lock:
            kept = {digest: each for digest, each in self._by_digest.items() if each.name != name}
            if len(kept) == len(self._by_digest):
                raise NoToken(f"Expected the name of an issued token, but found {name!r}.")
            self._write(kept)

    def _write(self, tokens: dict[str, IssuedToken]) -> None:
        """Write all tokens, then use them."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(list(tokens.values())))
        except OSError as error:
            raise CannotKeepTokens(
                f"Cannot write {self._path}: {error.strerror or error}. Free some space or correct "
                "its permissions."
            ) from error
        self._by_digest = tokens

    def _read(self) -> dict[str, IssuedToken]:
        try:
            found = _LIST.decode(read_regular(self._path))
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CannotKeepTokens(
                f"Cannot read the issued tokens in {self._path}: {reason}. Correct its "
                "permissions, or delete it and issue new tokens."
            ) from error
        return {each.digest: each for each in found}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
