"""Values of the settings ``device`` and ``precision``."""

from __future__ import annotations

from typing import Literal, TypeAlias

DeviceRequest: TypeAlias = Literal["auto", "cpu", "cuda"]
"""Device that a person asks for."""
Precision: TypeAlias = Literal["fp32", "tf32", "bf16"]
"""Precision of products and convolutions. The state is always float32; a CPU has fp32 only."""
