"""The service's tokens: what a person must show who is not on this machine."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from mimamba.drivers.errors import UserError
from mimamba.service.protocol.auth import Scope

SHORTEST = 16
"""Characters; ten tries a minute find no token of this length."""


class BadToken(UserError):
    """A token is none, or cannot be read; one clear line that never holds the token."""


@dataclass(frozen=True)
class Tokens:
    """A token for each scope; without any, all may do all.

    Raises
    ------
    BadToken
        If one is too short, holds what no header can carry, or both are the same.
    """

    control: str | None = field(default=None, repr=False)
    view: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for token in (self.control, self.view):
            if token is not None:
                check_token(token)
        if self.control is not None and self.control == self.view:
            raise BadToken("Expected a token for each scope, but found one for both. Change one.")

    @property
    def any(self) -> bool:
        """Whether one is asked for."""
        return self.control is not None or self.view is not None

    def scope_of(self, token: str) -> Scope | None:
        """What a token is good for; takes equally long whatever it is."""
        shown = _digest(token)
        control = self.control is not None and secrets.compare_digest(shown, _digest(self.control))
        view = self.view is not None and secrets.compare_digest(shown, _digest(self.view))
        return "control" if control else "view" if view else None

    def complete(self) -> Tokens:
        """These, with one for control made where it lacks, and one for view where both do."""
        made = Tokens(self.control or secrets.token_urlsafe(32), self.view)
        return made if self.any else Tokens(made.control, secrets.token_urlsafe(32))


def _digest(token: str) -> bytes:
    """Of one length for all tokens, so that comparing tells nothing of theirs."""
    return hashlib.sha256(token.encode()).digest()


def check_token(token: str) -> str:
    """The token, if it is one; raises BadToken."""
    if len(token) < SHORTEST or not all("!" <= each <= "~" for each in token):
        raise BadToken(
            f"Expected a token of {SHORTEST} or more letters, digits and signs without spaces, but "
            f"found one of {len(token)} characters. Make one with: openssl rand -hex 32."
        )
    return token


def read_tokens(path: Path) -> Tokens:
    """The tokens in a file: on its first line that for control, on its second that for view.

    Raises
    ------
    BadToken
        If it cannot be read, or holds something else.
    """
    try:
        lines = path.read_text().split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise BadToken(
            f"Expected a token in {path}, but found: {reason}. Correct the path."
        ) from error
    found = [line.strip() for line in lines if line.strip()]
    if not 1 <= len(found) <= 2:
        raise BadToken(
            f"Expected one token in {path}, or two, a line each, but found {len(found)} lines. "
            "Correct it."
        )
    return Tokens(*found)


def write_tokens(path: Path, tokens: Tokens) -> None:
    """Write what ``read_tokens`` reads, for nobody but the owner; replaces what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    lines = [token for token in (tokens.control, tokens.view) if token is not None]
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write("\n".join(lines) + "\n")
    fresh.replace(path)
