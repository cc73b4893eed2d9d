"""models/checkpoints/names.py."""

from __future__ import annotations

DEFAULT_MODEL = "demo"


NO_MODEL = "none"
