"""The part of wire protocol v1 by which a stranger is let in; ``hello`` is in messages.py."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

TOKEN_WANTED = 4401
"""The close code of a connection that has shown no token, or a wrong one, or whose login ended."""
TOO_MANY = 4429
"""The close code where too many wrong tokens came from this address; a right one must wait."""


class Auth(msgspec.Struct, frozen=True, tag="auth", omit_defaults=True):
    """Show a token; answered by another hello. Whoever cannot send headers says it first."""

    token: str
    id: str | int | None = None

    def __repr__(self) -> str:
        """Without the token."""
        return "Auth()"


Scope: TypeAlias = Literal["view", "control"]
"""``view`` reads everything; ``control`` may also change it."""
