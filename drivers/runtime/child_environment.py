"""Environment variables of child processes, which need none of our settings and tokens."""

from __future__ import annotations

import os

SETTINGS_PREFIX = "MIMAMBA_"
"""Prefix of the names of our settings, in upper or lower case."""


def child_environment() -> dict[str, str]:
    """Return this process's environment without mimamba's settings, which include a token."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(SETTINGS_PREFIX)
    }
