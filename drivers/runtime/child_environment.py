"""The environment of processes that are started here, which need none of our settings or tokens."""

from __future__ import annotations

import os

PREFIX = "MIMAMBA_"
"""How the names of our settings begin, in whatever case."""


def without_settings() -> dict[str, str]:
    """Ours, without mimamba's settings: a token is among them."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
