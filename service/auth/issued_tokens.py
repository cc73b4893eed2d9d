"""Named tokens that the service issues: each has a scope, ends on a day, and can be revoked.

The file has their hashes only, so a token is shown once, when it is made. It outlives the service,
and services with one data folder share it: what one of them changes, the others see at once.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.service.auth.tokens import digest_secret
from mimamba.service.protocol.auth import Scope
from mimamba.service.storage.private_files import explain, locked, read_regular, replace_file

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
        self._seen = self._version()
        self._by_digest = self._read()

    def all(self) -> list[IssuedToken]:
        """Return all tokens by their names, expired ones included."""
        self._follow()
        return sorted(self._by_digest.values(), key=lambda each: each.name)

    def find(self, token: str) -> IssuedToken | None:
        """Return a token that has not expired; how long that takes says nothing about it."""
        return self.valid(digest_secret(token).hex())

    def valid(self, digest: str) -> IssuedToken | None:
        """Return the token with a hash; None if it was revoked or has expired."""
        self._follow()
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
        with self._changing():
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
            made = IssuedToken(name, scope, now, now + days * DAY, digest_secret(secret).hex())
            tokens = {**kept, made.digest: made}
            self._write(tokens)
            self._by_digest = tokens
            return made, secret

    def revoke(self, name: str) -> None:
        """End a token now; raises NoToken or CannotKeepTokens.

        A disk on which that cannot be written does not keep it from ending here.
        """
        with self._changing(surely=True):
            kept = {digest: each for digest, each in self._by_digest.items() if each.name != name}
            if len(kept) == len(self._by_digest):
                raise NoToken(f"Expected the name of an issued token, but found {name!r}.")
            self._by_digest = kept
            self._write(kept, "The token has ended, but will be good again after a restart. ")

    @contextlib.contextmanager
    def _changing(self, surely: bool = False) -> Iterator[None]:
        """Change the tokens alone, as they are now; ``surely`` also where nothing can be written.

        Raises
        ------
        CannotKeepTokens
            If the file is damaged, or cannot be locked.
        """
        with self._lock, contextlib.ExitStack() as locks:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                locks.enter_context(locked(self._path.with_suffix(".lock")))
            except OSError as error:
                if not surely:
                    raise self._cannot_write(error) from error
            self._follow()
            yield

    def _follow(self) -> None:
        """Read the file again if another service has changed it; a damaged one changes nothing."""
        version = self._version()
        if version != self._seen:
            with contextlib.suppress(CannotKeepTokens):
                self._by_digest = self._read()
            self._seen = version

    def _version(self) -> tuple[int, ...]:
        """Return what differs between two contents of the file."""
        try:
            found = self._path.lstat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _write(self, tokens: dict[str, IssuedToken], already: str = "") -> None:
        """Write all tokens; ``already`` says what was done if that fails."""
        try:
            replace_file(self._path, msgspec.json.encode(list(tokens.values())))
        except OSError as error:
            raise self._cannot_write(error, already) from error
        self._seen = self._version()

    def _cannot_write(self, error: OSError, already: str = "") -> CannotKeepTokens:
        return CannotKeepTokens(
            f"{already}Cannot write {self._path}: "
            + explain(error, "Free some space or correct its permissions.")
        )

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
