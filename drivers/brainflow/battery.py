"""A headset's charge, where its driver is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mimamba.drivers.brainflow.boards import brainflow


@dataclass(frozen=True)
class BatteryRow:
    """Where BrainFlow puts a board's charge: one of its presets, and a row of that.

    Only presets that the board has may be asked for: after any other, no board of the process can
    be opened again (BrainFlow 5.23).
    """

    preset: Any
    row: int

    @classmethod
    def of(cls, number: int) -> BatteryRow | None:
        """That of a board's number; None where it tells no charge."""
        shim = brainflow()
        for preset in shim.BoardShim.get_board_presets(number):
            row = shim.BoardShim.get_board_descr(number, preset).get("battery_channel")
            if row is not None:
                return cls(preset, row)
        return None

    def read(self, board: Any, rows: Any) -> float | None:
        """The newest value, percent; None where there is none.

        Parameters
        ----------
        board
            A ``BoardShim`` that is streaming.
        rows
            (n_rows, n_times), what it gave last of its default preset.
        """
        if self.preset != brainflow().BrainFlowPresets.DEFAULT_PRESET:
            rows = board.get_current_board_data(1, self.preset)
        value = float(rows[self.row][-1]) if rows.shape[1] else 0.0
        return value if 0 < value <= 100 else None  # a row is 0 until the device has told it
