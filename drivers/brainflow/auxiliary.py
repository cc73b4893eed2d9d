"""Pulse and motion of BrainFlow boards, from the presets beside that of the EEG."""

from __future__ import annotations

from typing import Any

import numpy as np

from mimamba.drivers.brainflow.boards import load_brainflow
from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk, Samples, Seconds
from mimamba.drivers.timing.sample_clock import SampleClock

MUSES = frozenset({21, 22, 38, 39, 41, 42, 67})
"""Boards with motion in g and °/s (BrainFlow, muse.cpp, muse_athena_constants.h)."""
UNITS = {"acceleration": "g", "rotation": "°/s", "ppg": "counts"}
ROWS = {
    "acceleration": ("accel_channels",),
    "rotation": ("gyro_channels",),
    "ppg": ("ppg_channels", "optical_channels"),
}
"""Names of BrainFlow's rows, the first that a preset has."""
AXES = ("X", "Y", "Z")


class AuxiliaryPreset:
    """One preset of a board, with the sensors in it.

    Gaps are found by timestamps, which BrainFlow gives at reception.

    Parameters
    ----------
    preset
        BrainFlow's preset.
    sfreq
        Nominal sampling frequency, Hz.
    stamps
        Row of the timestamps.
    sensors
        Facts about each sensor, with its rows.
    """

    def __init__(
        self, preset: Any, sfreq: float, stamps: int, sensors: list[tuple[AuxiliaryInfo, list[int]]]
    ) -> None:
        self.preset = preset
        self.stamps = stamps
        self.infos = [info for info, _ in sensors]
        self._rows = [row for _, rows in sensors for row in rows]
        self._clock = SampleClock(sfreq)

    @classmethod
    def for_board(cls, number: int) -> list[AuxiliaryPreset]:
        """Find the presets beside the default one with pulse or motion, by the board's number."""
        shim = load_brainflow()
        found = []
        for preset in shim.BoardShim.get_board_presets(number):
            if preset == shim.BrainFlowPresets.DEFAULT_PRESET:
                continue
            facts = shim.BoardShim.get_board_descr(number, preset)
            sfreq = float(facts["sampling_rate"])
            sensors = []
            for name, rows in find_rows(facts).items():
                scaled = name == "ppg" or number in MUSES
                labels = AXES if name != "ppg" else tuple(str(n + 1) for n in range(len(rows)))
                unit = UNITS[name] if scaled else "counts"
                sensors.append((AuxiliaryInfo(name, unit, sfreq, labels[: len(rows)]), rows))
            if sensors:
                found.append(cls(preset, sfreq, facts["timestamp_channel"], sensors))
        return found

    def push(self, stamps: Seconds, rows: Any) -> list[AuxiliaryChunk]:
        """Process new rows, (n_rows, n_times), with stamps on the LSL clock."""
        return self._split(self._clock.push(stamps, rows[self._rows].T.astype(np.float32)))

    def _split(self, chunks: list[Chunk]) -> list[AuxiliaryChunk]:
        """Give each sensor its columns."""
        split = []
        for chunk in chunks:
            at = 0
            for info in self.infos:
                data: Samples = chunk.data[:, at : at + len(info.ch_names)].copy()
                split.append(AuxiliaryChunk(info, data, chunk.timestamps, chunk.first))
                at += len(info.ch_names)
        return split


def find_rows(facts: dict[str, Any]) -> dict[str, list[int]]:
    """Return the rows of each sensor in a preset."""
    found = {}
    for name, keys in ROWS.items():
        rows = next((facts[key] for key in keys if facts.get(key)), None)
        if rows:
            found[name] = list(rows)
    return found
