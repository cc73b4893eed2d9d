"""service/server/console.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mimamba.models.signal.electrode import Electrode


def print_montage(console: Console, montage: Sequence[Electrode]) -> None:
    """Say which channels stand in for a model's electrodes, and how far away they are."""
    for electrode in montage:
        if electrode.distance_mm > 0:
            console.print(
                f"  {electrode.electrode}: {electrode.channel} stands in, "
                f"{electrode.distance_mm:.0f} mm away",
                highlight=False,
                markup=False,
            )
