"""Tokens of the service, which clients on other machines must send."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from mimamba.drivers.errors import UserError
from mimamba.drivers.runtime.file_locks import create_private
from mimamba.service.protocol.auth import Scope

SHORTEST = 16
"""Characters; ten attempts a minute cannot guess a token of this length."""


class BadToken(UserError):
    """The token is not valid or cannot be read. The message never contains the token."""


@dataclass(frozen=True)
class Tokens:
    """A token for each scope; without any, everything is allowed.

    Raises
    ------
    BadToken
        If one is too short or contains characters that a header cannot have, or both are equal.
    """

    control: str | None = field(default=None, repr=False)
    view: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for token in (self.control, self.view):
            if token is not None:
                check_token(token)
        if self.control is not None and self.control == self.view:
            raise BadToken(
                "Expected different tokens for control and view, but they are equal. Change one."
            )

    @property
    def any(self) -> bool:
        """True if the service asks for a token."""
        return self.control is not None or self.view is not None

    def scope_of(self, token: str) -> Scope | None:
        """Return the scope of a token; takes the same time for every token."""
        digest = digest_secret(token)
        control = self.control is not None and secrets.compare_digest(
            digest, digest_secret(self.control)
        )
        view = self.view is not None and secrets.compare_digest(digest, digest_secret(self.view))
        return "control" if control else "view" if view else None

    def complete(self) -> Tokens:
        """Return these tokens; makes one for control if missing, and one for view if both are."""
        made = Tokens(self.control or secrets.token_urlsafe(32), self.view)
        return made if self.any else Tokens(made.control, secrets.token_urlsafe(32))


def digest_secret(secret: str) -> bytes:
    """Return a digest, of equal length for all secrets: comparing or finding it reveals nothing."""
    return hashlib.sha256(secret.encode()).digest()


def check_token(token: str) -> str:
    """Return the token if it is valid; raise BadToken otherwise."""
    if len(token) < SHORTEST or not all("!" <= each <= "~" for each in token):
        raise BadToken(
            f"Expected a token of at least {SHORTEST} letters, digits and signs without spaces, "
            f"but found one of {len(token)} characters. Make one with: openssl rand -hex 32."
        )
    return token


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens: the first line is for control, a second one for view.

    Raises
    ------
    BadToken
        If it cannot be read, or contains anything else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise BadToken(f"Cannot read a token from {path}: {reason}. Correct the path.") from error
    found = [line.strip() for line in lines if line.strip()]
    if not 1 <= len(found) <= 2:
        raise BadToken(
            f"Expected one or two tokens in {path}, one per line, but found {len(found)} lines. "
            "Correct the file."
        )
    return Tokens(*found)


def write_tokens(path: Path, tokens: Tokens) -> None:
    """Write a file for ``read_tokens``, readable by its owner only; replaces an old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    lines = [token for token in (tokens.control, tokens.view) if token is not None]
    with os.fdopen(create_private(fresh), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    fresh.replace(path)
