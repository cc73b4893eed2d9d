"""Names with a meaning of their own, readable without loading PyTorch."""

from __future__ import annotations

DEFAULT_MODEL = "demo"
"""Checkpoint that a session uses unless another is chosen."""
NO_MODEL = "none"
"""Choice of a session without a model."""
