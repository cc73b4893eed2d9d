"""What another decoder makes of the recorded notifications: muse-lsl 2.5.3, ``athena.py``.

muse-lsl is not installed for the tests, as it brings many packages of its own. To make the table
again, install it elsewhere, and run this file there with the folder of the recordings:

    python tests/drivers/muse/reference.py ../shared/data/formats/muse_ble
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Reference(NamedTuple):
    """All codes of one sensor in a recording: shape, first and last sample, digest of <i4."""

    shape: tuple[int, int]
    first: tuple[int, ...]
    last: tuple[int, ...]
    digest: str


REFERENCE = {
    ("p1041", "acceleration"): Reference(
        (3153, 3),
        (-2806, -235, 16398),
        (-598, -273, 16661),
        "93bfd31c0496aca5aa07e7434ad5fe80de9a72dd41333b9d326936649509af54",
    ),
    ("p1041", "eeg"): Reference(
        (15568, 4),
        (16383, 16383, 0, 0),
        (16383, 16383, 0, 0),
        "6477dbfd79cff2ee5928b54a341af3542d15744ac5ba20915f5737416a27304c",
    ),
    ("p1041", "ppg"): Reference(
        (3881, 16),
        (
            149141,
            102657,
            4118,
            4430,
            398878,
            391545,
            503881,
            465331,
            46998,
            34226,
            385246,
            412944,
            60935,
            46510,
            378080,
            411830,
        ),
        (
            122267,
            84159,
            3247,
            3217,
            394261,
            387245,
            490702,
            452174,
            31778,
            22791,
            368110,
            385546,
            40279,
            30406,
            235120,
            258878,
        ),
        "1fcb00d753abadf2934d5a9c2db3eac461b159f02648bdebadbe74c4c3ff18ed",
    ),
    ("p1041", "rotation"): Reference(
        (3153, 3),
        (64, 71, 1),
        (78, 71, -2),
        "2d5a40cff63f76e79d9b317bf41cbf4778505bb5efaf2213a7f8d05ac8ef10ef",
    ),
    ("p20", "acceleration"): Reference(
        (3150, 3),
        (-15961, -355, -2958),
        (10284, -4512, 12708),
        "f2e6b282fd2efffc6a0e650a26e6b7778124b69d837561dc0a791a26464adea8",
    ),
    ("p20", "eeg"): Reference(
        (15548, 4),
        (16383, 11174, 2760, 6862),
        (16383, 2044, 8858, 0),
        "d800fb7f5fb305806a89a9d7a11edc2d209e1b2d3bed9699ff4adf9dc2a716c8",
    ),
    ("p20", "rotation"): Reference(
        (3150, 3),
        (152, 251, 151),
        (1492, 2622, 17586),
        "d7d352a3013a942fabfe6f1a96ec90b53b797f1c66f015fc2f6a413cff3ac59a",
    ),
}


def main(folder: str) -> None:
    """Print the table."""
    athena = importlib.import_module("muselsl.athena")
    for path in sorted(Path(folder).glob("*_raw_packets.txt")):
        codes: dict[str, list[Any]] = {}
        for line in path.read_text().splitlines():
            for packet in athena.split_packets(bytes.fromhex(line.split("\t")[2])):
                for tag, _, data in athena.iter_sensor_blocks(packet):
                    take(athena, codes, tag, data)
        for name, blocks in codes.items():
            values = np.concatenate(blocks).astype("<i4")
            digest = hashlib.sha256(values.tobytes()).hexdigest()
            first, last = tuple(values[0].tolist()), tuple(values[-1].tolist())
            shape = (int(values.shape[0]), int(values.shape[1]))
            preset = path.name.split("_")[2]
            sys.stdout.write(f"    {(preset, name)}: {Reference(shape, first, last, digest)},\n")


def take(athena: Any, codes: dict[str, list[Any]], tag: int, data: bytes) -> None:
    """Decode one block, and undo the scale, so that codes are compared."""
    kind, n_channels, n_times, *_ = athena.get_sensor_config(tag)
    if kind == "eeg":
        values = athena.decode_eeg(data, n_channels, n_times)[:4].T / athena.MUSE_ATHENA_EEG_SCALE
        codes.setdefault("eeg", []).append(np.round(values) + athena.EEG_MIDPOINT)
    elif kind == "optics":
        values = athena.decode_optics(data, tag, n_channels, n_times).T
        codes.setdefault("ppg", []).append(np.round(values / athena.MUSE_ATHENA_OPTICS_SCALE))
    elif kind == "acc_gyro":
        moved, turned = athena.decode_acc_gyro(data, n_times)
        moved = moved.T.astype(float) / athena.MUSE_ATHENA_ACCELEROMETER_SCALE
        turned = turned.T.astype(float) / athena.MUSE_ATHENA_GYRO_SCALE
        codes.setdefault("acceleration", []).append(np.round(moved))
        codes.setdefault("rotation", []).append(np.round(turned))


if __name__ == "__main__":
    main(*sys.argv[1:])
