"""Battery charge of BrainFlow boards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mimamba.drivers.brainflow.boards import load_brainflow


@dataclass(frozen=True)
class BatteryRow:
    """The place of a board's charge in BrainFlow's data: a preset, and a row of it.

    Only presets of the board may be requested: after any other, the process cannot open a board
    again (BrainFlow 5.23).
    """

    preset: Any
    row: int

    @classmethod
    def for_board(cls, number: int) -> BatteryRow | None:
        """Find the row by the board's number; None if the board reports no charge."""
        shim = load_brainflow()
        for preset in shim.BoardShim.get_board_presets(number):
            row = shim.BoardShim.get_board_descr(number, preset).get("battery_channel")
            if row is not None:
                return cls(preset, row)
        return None

    def read(self, board: Any, rows: Any) -> float | None:
        """Read the newest value, percent; None if there is none.

        Parameters
        ----------
        board
            ``BoardShim`` that is streaming.
        rows
            (n_rows, n_times), last data of its default preset.
        """
        if self.preset != load_brainflow().BrainFlowPresets.DEFAULT_PRESET:
            rows = board.get_current_board_data(1, self.preset)
        value = float(rows[self.row][-1]) if rows.shape[1] else 0.0
        return value if 0 < value <= 100 else None  # a row is 0 until the device has reported it
