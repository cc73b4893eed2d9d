"""Output on the terminal that commands share with the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mimamba.models.signal.electrode import Electrode


def print_montage(console: Console, montage: Sequence[Electrode]) -> None:
    """Print which channels replace a model's electrodes, and their distances."""
    for electrode in montage:
        if electrode.distance_mm > 0:
            console.print(
                f"  {electrode.electrode}: uses {electrode.channel} instead, "
                f"{electrode.distance_mm:.0f} mm away",
                highlight=False,
                markup=False,
            )
