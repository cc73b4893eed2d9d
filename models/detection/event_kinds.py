"""Kinds of events, light to import since settings name them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

EventKind: TypeAlias = Literal["blink", "jaw"]
EVENT_KINDS: Final[tuple[EventKind, ...]] = ("blink", "jaw")
LABELS: Final[dict[EventKind, str]] = {"blink": "blink", "jaw": "jaw clench"}
"""Labels of their markers."""
DETECTOR = "detector"
"""Source of their markers."""
