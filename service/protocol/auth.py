"""Authentication in wire protocol v1; ``hello`` is in ``messages``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

TOKEN_WANTED = 4401
"""Close code of a connection with no token or a wrong one, or after its login ended."""
TOO_MANY = 4429
"""Close code after too many wrong tokens from this address; a right one must wait."""


class Auth(msgspec.Struct, frozen=True, tag="auth", omit_defaults=True):
    """Send a token; answered by another hello. The first message of a client without headers."""

    token: str
    id: str | int | None = None

    def __repr__(self) -> str:
        """Return the name alone, without the token."""
        return "Auth()"


Scope: TypeAlias = Literal["view", "control"]
"""``view`` reads everything; ``control`` may also change it."""
