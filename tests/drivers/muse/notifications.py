"""Notifications of a Muse: recorded ones, and made ones whose values tell where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mimamba.drivers.muse.protocol import ACCELEROMETER, EEG, GYROSCOPE, PPG, TELEMETRY

RECORDED = ("p20", "p1041")
"""Presets of the Athena whose notifications are recorded, a minute each."""


@dataclass(frozen=True)
class Notification:
    """Bytes of a characteristic, and when they came, s since the first."""

    characteristic: str
    data: bytes
    at: float


def recorded(folder: Path, preset: str) -> list[Notification]:
    """Real ones of an Athena."""
    path = folder / "formats" / "muse_ble" / f"openmuse_athena_{preset}_raw_packets.txt"
    found = []
    for line in path.read_text().splitlines():
        time, characteristic, data = line.split("\t")
        at = datetime.fromisoformat(time).timestamp()
        found.append(Notification(characteristic, bytes.fromhex(data), at))
    return [Notification(each.characteristic, each.data, each.at - found[0].at) for each in found]


def pack(values: list[int], width: int) -> bytes:
    """Values of ``width`` bits, the highest bit first."""
    bits = "".join(f"{value:0{width}b}" for value in values)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def eeg_code(count: int, part: int, sample: int) -> int:
    """12 bits that tell packet, electrode and sample, for 85 packets."""
    return (count * 12 + sample) % 1020 * 4 + part


def electrode(count: int, part: int) -> bytes:
    """One electrode's notification; ``count`` is the packet's number before it wraps."""
    return pack([count % 2**16], 16) + pack([eeg_code(count, part, i) for i in range(12)], 12)


def pulse(count: int, part: int) -> bytes:
    return pack([count % 2**16], 16) + pack([count * 6 + i + 7 * part for i in range(6)], 24)


def motion(count: int, scale: int = 1) -> bytes:
    values = [(scale * (count * 3 + i) + axis) % 2**16 for i in range(3) for axis in range(3)]
    return pack([count % 2**16], 16) + pack(values, 16)


def telemetry(count: int, percent: float) -> bytes:
    return pack([count % 2**16, round(percent * 512), 0, 0, 0], 16) + bytes(10)


def classic(seconds: float, first: int = 0, percent: float = 75.0) -> Iterator[Notification]:
    """What a Muse 2 sends, from packet number ``first`` on, in order of time."""
    found = []
    for k in range(int(seconds * 256 / 12)):
        for part, name in enumerate(EEG):
            found.append(
                Notification(name, electrode(first + k, part), (k + 1) * 12 / 256 + part * 1e-3)
            )
    for k in range(int(seconds * 64 / 6)):
        for part, name in enumerate(PPG):
            found.append(Notification(name, pulse(k, part), (k + 1) * 6 / 64 + part * 1e-3))
    for k in range(int(seconds * 52 / 3)):
        found.append(Notification(ACCELEROMETER, motion(k), (k + 1) * 3 / 52))
        found.append(Notification(GYROSCOPE, motion(k, 2), (k + 1) * 3 / 52))
    found.append(Notification(TELEMETRY, telemetry(0, percent), 0.01))
    return iter(sorted(found, key=lambda each: each.at))
