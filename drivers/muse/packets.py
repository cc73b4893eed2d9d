"""Decoder of a Muse's notifications: bytes in, blocks of one sensor's samples out.

A Muse 2016, 2 or S has a characteristic for each electrode and sensor. A notification has 20 bytes:
a number of 16 bits, then samples, big-endian (muse-lsl, muse.py; BrainFlow, muse.cpp).

A Muse S Athena multiplexes. A notification holds packets, each with a header of 14 bytes: its
length; its number, 8 bits; the device's time, 32 bits little-endian, in 1/256000 s; three bytes;
the tag of the first block; that block's number; three bytes. The first block's data follow, and
then blocks with a header of five bytes: tag, number, three bytes. Each tag has numbers of its own,
8 bits, with no regard to the packet that carries it. Values are packed from the lowest bit up
(OpenMuse, decode.py; BrainFlow, muse_athena.cpp). That the first block's number is byte 10 of the
header shows in recorded packets: with it the numbers of each tag go up by one throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.muse.protocol import (
    ACCELEROMETER,
    ATHENA,
    EEG,
    ELECTRODES,
    GYROSCOPE,
    PPG,
    TELEMETRY,
)

Values = NDArray[np.float32]
AXES = ("X", "Y", "Z")
G_PER_BIT = 1 / 16384
"""± 2 g in 16 bits (BrainFlow, muse.cpp)."""
DEGREES_PER_BIT = 0.007476806640625
"""± 245 °/s in 16 bits (BrainFlow, muse_athena_constants.h). The Athena's sign is the opposite."""
PERCENT_PER_BIT = 1 / 512
"""muse-lsl, muse.py; BrainFlow, muse_athena_constants.h. OpenMuse takes 1/256 for the Athena; then
a recorded minute would have used 1.5 % of its battery, which lasts longer than an hour."""


@dataclass(frozen=True)
class Sensor:
    """Quantity that a headset measures in several channels, at one rate.

    Parameters
    ----------
    name
        ``eeg``, ``ppg``, ``acceleration`` or ``rotation``.
    unit
        Unit of its values; ``counts`` where the scale is unknown.
    sfreq
        Nominal sampling frequency, Hz.
    ch_names
        Names of its channels.
    n_numbers
        Number of block numbers: they run from 0 to ``n_numbers - 1`` and start again.
    n_times
        Samples in a block.
    n_parts
        Parts, each with some of the channels, that make a block with the same number.
    whole
        True if a block that lacks a part is lost; otherwise its missing channels are NaN.
    """

    name: str
    unit: str
    sfreq: float
    ch_names: tuple[str, ...]
    n_numbers: int
    n_times: int
    n_parts: int = 1
    whole: bool = True

    @property
    def block_seconds(self) -> float:
        """Duration of a block, s."""
        return self.n_times / self.sfreq


@dataclass(frozen=True, eq=False)
class SensorBlock:
    """Samples with one number.

    Parameters
    ----------
    sensor
        What they belong to.
    part
        Which of the sensor's parts this is.
    number
        The device's number.
    values
        (n_times, number of the part's channels).
    """

    sensor: Sensor
    part: int
    number: int
    values: Values


@dataclass(frozen=True)
class Battery:
    """The battery's charge, percent."""

    charge: float


UV_PER_BIT, RANGE_UV = 125 / 256, 1000.0
"""12 bits around 2048 (BrainFlow, muse.cpp)."""
ATHENA_UV_PER_BIT, ATHENA_RANGE_UV = 1450 / 16383, 725.0
"""14 bits around 8192 (BrainFlow, muse_athena_constants.h; muse-lsl, athena.py)."""

_WORD, _BYTE = 2**16, 2**8
EEG_SENSOR = Sensor("eeg", "µV", 256.0, ELECTRODES, _WORD, 12, n_parts=4)
PPG_SENSOR = Sensor(
    "ppg", "counts", 64.0, ("ambient", "infrared", "red"), _WORD, 6, n_parts=3, whole=False
)
ACCELERATION_SENSOR = Sensor("acceleration", "g", 52.0, AXES, _WORD, 3)
ROTATION_SENSOR = Sensor("rotation", "°/s", 52.0, AXES, _WORD, 3)


def decode_notification(characteristic: str, data: bytes) -> list[SensorBlock | Battery]:
    """Decode a notification of any model; what is damaged or unknown gives nothing."""
    if characteristic in ATHENA:
        return _decode_packets(bytes(data))
    decode = _DECODERS.get(characteristic)
    return [] if decode is None or len(data) != 20 else [decode(bytes(data))]


def unpack_12_bits(data: bytes) -> NDArray[np.int32]:
    """Unpack values of 12 bits, two in three bytes, the highest bit first."""
    three = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    first = (three[:, 0] << 4) | (three[:, 1] >> 4)
    second = ((three[:, 1] & 0xF) << 8) | three[:, 2]
    return np.stack([first, second], axis=1).ravel()


def unpack_24_bits(data: bytes) -> NDArray[np.int32]:
    """Unpack values of three bytes, the highest first."""
    three = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    unpacked: NDArray[np.int32] = (three[:, 0] << 16) | (three[:, 1] << 8) | three[:, 2]
    return unpacked


def unpack_low_bits(data: bytes, width: int) -> NDArray[np.int32]:
    """Unpack values of ``width`` bits, the lowest bit of the first byte first."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").astype(np.int32)
    rows = bits[: len(bits) // width * width].reshape(-1, width)
    unpacked: NDArray[np.int32] = rows @ (1 << np.arange(width, dtype=np.int32))
    return unpacked


def _number(data: bytes) -> int:
    return int.from_bytes(data[:2], "big")


def _electrode(part: int) -> Callable[[bytes], SensorBlock]:
    def decode(data: bytes) -> SensorBlock:
        values = (unpack_12_bits(data[2:]) - 2048) * np.float32(UV_PER_BIT)
        return SensorBlock(EEG_SENSOR, part, _number(data), values[:, None].astype(np.float32))

    return decode


def _pulse(part: int) -> Callable[[bytes], SensorBlock]:
    def decode(data: bytes) -> SensorBlock:
        values = unpack_24_bits(data[2:]).astype(np.float32)
        return SensorBlock(PPG_SENSOR, part, _number(data), values[:, None])

    return decode


def _motion(sensor: Sensor, scale: float) -> Callable[[bytes], SensorBlock]:
    def decode(data: bytes) -> SensorBlock:
        values = np.frombuffer(data, ">i2", offset=2).reshape(3, 3) * np.float32(scale)
        return SensorBlock(sensor, 0, _number(data), values.astype(np.float32))

    return decode


def _telemetry(data: bytes) -> Battery:
    return Battery(_charge(int.from_bytes(data[2:4], "big")))


def _charge(bits: int) -> float:
    return min(bits * PERCENT_PER_BIT, 100.0)


_DECODERS: dict[str, Callable[[bytes], SensorBlock | Battery]] = {
    **{name: _electrode(part) for part, name in enumerate(EEG)},
    **{name: _pulse(part) for part, name in enumerate(PPG)},
    ACCELEROMETER: _motion(ACCELERATION_SENSOR, G_PER_BIT),
    GYROSCOPE: _motion(ROTATION_SENSOR, DEGREES_PER_BIT),
    TELEMETRY: _telemetry,
}


OPTICS = tuple(
    f"{side} {light}"
    for half in (("730 nm", "850 nm"), ("red", "ambient"))
    for place in ("outer", "inner")
    for light in half
    for side in (f"left {place}", f"right {place}")
)
"""The Athena's 16 optical channels (OpenMuse, decode.py)."""
_HEADER, _BLOCK_HEADER = 14, 5
_REST = 0
"""Length of a block that fills its packet."""
_SKIPPED = {0x53: 24}
"""Reference electrode, of older firmware: known by its length only."""
_CHARGE_TAGS = {0x98: 20, 0x88: _REST}
"""Of older and newer firmware (OpenMuse, summary of firmware versions); the charge comes first."""
_ACCELERATION = Sensor("acceleration", "g", 52.0, AXES, _BYTE, 3)
_ROTATION = Sensor("rotation", "°/s", 52.0, AXES, _BYTE, 3)
_MOTION_TAG, _MOTION_LENGTH = 0x47, 36
_EEG_TAGS = {
    tag: Sensor("eeg", "µV", 256.0, ELECTRODES, _BYTE, n_times)
    for tag, n_times in ((0x11, 4), (0x12, 2))
}
"""16 values in a block. With 0x12 four more channels follow the electrodes; they are left out."""
_OPTICS_TAGS = {
    # Four channels are those of the inner sensors (OpenMuse, decode.py).
    0x34: Sensor("ppg", "counts", 64.0, OPTICS[4:8], _BYTE, 3),
    0x35: Sensor("ppg", "counts", 64.0, OPTICS[:8], _BYTE, 2),
    0x36: Sensor("ppg", "counts", 64.0, OPTICS, _BYTE, 1),
}
_LENGTHS = {
    **_SKIPPED,
    **_CHARGE_TAGS,
    _MOTION_TAG: _MOTION_LENGTH,
    **dict.fromkeys(_EEG_TAGS, 28),
    0x34: 30,
    0x35: 40,
    0x36: 40,
}


def _decode_packets(data: bytes) -> list[SensorBlock | Battery]:
    """Decode the packets in a notification of an Athena."""
    found: list[SensorBlock | Battery] = []
    while len(data) >= _HEADER and _HEADER <= data[0] <= len(data):
        packet, data = data[: data[0]], data[data[0] :]
        found += _decode_blocks(packet[9:11], packet[_HEADER:])
    return found


def _decode_blocks(head: bytes, rest: bytes) -> list[SensorBlock | Battery]:
    """Decode a packet's blocks; those after an unknown one cannot be found."""
    found: list[SensorBlock | Battery] = []
    while True:
        length = _LENGTHS.get(head[0])
        if length is None or len(rest) < length:
            return found
        block, rest = (rest, b"") if length == _REST else (rest[:length], rest[length:])
        found += _decode_block(head[0], head[1], block)
        if len(rest) < _BLOCK_HEADER:
            return found
        head, rest = rest[:2], rest[_BLOCK_HEADER:]


def _decode_block(tag: int, number: int, data: bytes) -> list[SensorBlock | Battery]:
    if tag in _EEG_TAGS:
        sensor = _EEG_TAGS[tag]
        bits = unpack_low_bits(data, 14).reshape(sensor.n_times, -1)[:, : len(ELECTRODES)]
        values = (bits - 8192) * np.float32(ATHENA_UV_PER_BIT)
        return [SensorBlock(sensor, 0, number, values.astype(np.float32))]
    if tag in _OPTICS_TAGS:
        sensor = _OPTICS_TAGS[tag]
        counts = unpack_low_bits(data, 20).reshape(sensor.n_times, -1).astype(np.float32)
        return [SensorBlock(sensor, 0, number, counts)]
    if tag == _MOTION_TAG:
        six = np.frombuffer(data, "<i2").reshape(3, 6).astype(np.float32)
        return [
            SensorBlock(_ACCELERATION, 0, number, six[:, :3] * np.float32(G_PER_BIT)),
            SensorBlock(_ROTATION, 0, number, six[:, 3:] * np.float32(-DEGREES_PER_BIT)),
        ]
    if tag in _CHARGE_TAGS and len(data) >= 2:
        return [Battery(_charge(int.from_bytes(data[:2], "little")))]
    return []
