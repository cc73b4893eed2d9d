"""Pulse and motion of BrainFlow boards: from presets of their own, or from the EEG's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mimamba.drivers.brainflow.boards import load_brainflow
from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk, Samples, Seconds
from mimamba.drivers.timing.sample_clock import SampleClock

MUSES = frozenset({21, 22, 38, 39, 41, 42, 67})
"""Boards with motion in g and °/s (BrainFlow, muse.cpp, muse_athena_constants.h)."""
OPENBCI = frozenset({0, 1, 2, 4, 5, 6, 46})
"""Boards with motion in g (BrainFlow, openbci_serial_board.h, ganglion.h)."""
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
            sensors = list_sensors(number, facts, sfreq)
            if sensors:
                found.append(cls(preset, sfreq, facts["timestamp_channel"], sensors))
        return found

    def push(self, stamps: Seconds, rows: Any) -> list[AuxiliaryChunk]:
        """Process new rows, (n_rows, n_times), with stamps on the LSL clock."""
        return self._split(self._clock.push(stamps, rows[self._rows].T.astype(np.float32)))

    def _split(self, chunks: list[Chunk]) -> list[AuxiliaryChunk]:
        """Give each sensor its columns."""
        return [
            AuxiliaryChunk(info, data, chunk.timestamps, chunk.first)
            for chunk in chunks
            for info, data in split_columns(self.infos, chunk.data)
        ]


class SensorsInRows:
    """Sensors among the EEG's rows, of a board without presets for them.

    BrainFlow repeats a value in each row until the board sends another one, and gives 0 before the
    first; when a value was measured is not known more exactly. So one row in ``step`` is taken, by
    the EEG's numbering: a gap there is one here. The first values are left out until each axis has
    come.

    Parameters
    ----------
    step
        Samples of the EEG for each of a sensor's.
    sensors
        Facts about each sensor, with its rows.
    """

    def __init__(self, step: int, sensors: list[tuple[AuxiliaryInfo, list[int]]]) -> None:
        self.infos = [info for info, _ in sensors]
        self.rows = [row for _, rows in sensors for row in rows]
        self._step = step
        self._begins: dict[str, int] = {}  # by sensor: index in the EEG's numbering

    @classmethod
    def for_board(cls, number: int, rate: float | None) -> SensorsInRows | None:
        """Find them by the board's number; None if it has none, or has presets for them.

        ``rate`` is that of new values, Hz; None if each row has one.
        """
        facts = load_brainflow().BoardShim.get_board_descr(number)
        sfreq = float(facts["sampling_rate"])
        step = 1 if rate is None else max(1, round(sfreq / rate))
        elsewhere = {info.name for each in AuxiliaryPreset.for_board(number) for info in each.infos}
        sensors = [
            (info, rows)
            for info, rows in list_sensors(number, facts, sfreq / step)
            if info.name not in elsewhere
        ]
        return cls(step, sensors) if sensors else None

    def push(self, chunk: Chunk) -> list[AuxiliaryChunk]:
        """Process the next samples, with the columns of ``rows``."""
        taken = []
        for info, data in split_columns(self.infos, chunk.data):
            if info.name not in self._begins:
                (known,) = np.nonzero(data.any(axis=1))
                if not len(known):
                    continue
                self._begins[info.name] = chunk.first + int(known[0]) + self._step
            start = max(self._begins[info.name], chunk.first)
            number = -(-start // self._step)
            part = slice(number * self._step - chunk.first, None, self._step)
            if len(data[part]):
                stamps = chunk.timestamps[part].copy()
                taken.append(AuxiliaryChunk(info, data[part].copy(), stamps, number))
        return taken


def split_columns(
    infos: list[AuxiliaryInfo], data: Samples
) -> Iterator[tuple[AuxiliaryInfo, Samples]]:
    """Yield each sensor with its columns of (n_times, n_channels)."""
    at = 0
    for info in infos:
        yield info, data[:, at : at + len(info.ch_names)].copy()
        at += len(info.ch_names)


def list_sensors(
    number: int, facts: dict[str, Any], sfreq: float
) -> list[tuple[AuxiliaryInfo, list[int]]]:
    """List the sensors in a preset of a board, measured at ``sfreq``, Hz, with their rows."""
    sensors = []
    for name, rows in find_rows(facts).items():
        in_g = name == "acceleration" and number in OPENBCI
        scaled = name == "ppg" or number in MUSES or in_g
        labels = AXES if name != "ppg" else tuple(str(n + 1) for n in range(len(rows)))
        unit = UNITS[name] if scaled else "counts"
        sensors.append((AuxiliaryInfo(name, unit, sfreq, labels[: len(rows)]), rows))
    return sensors


def find_rows(facts: dict[str, Any]) -> dict[str, list[int]]:
    """Return the rows of each sensor in a preset."""
    found = {}
    for name, keys in ROWS.items():
        rows = next((facts[key] for key in keys if facts.get(key)), None)
        if rows:
            found[name] = list(rows)
    return found
