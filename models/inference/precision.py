"""models/inference/precision.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    pass


DeviceRequest: TypeAlias = Literal["auto", "cpu", "cuda"]


Precision: TypeAlias = Literal["fp32", "tf32", "bf16"]
"""Of products and convolutions; the state is always float32. All but fp32 are for CUDA alone."""
