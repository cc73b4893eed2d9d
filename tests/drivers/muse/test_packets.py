"""Values in notifications: those made here, and recorded ones against another decoder's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.muse.packets import (
    ACCELERATION_SENSOR,
    ATHENA_UV_PER_BIT,
    DEGREES_PER_BIT,
    EEG_SENSOR,
    G_PER_BIT,
    PPG_SENSOR,
    ROTATION_SENSOR,
    UV_PER_BIT,
    Battery,
    SensorBlock,
    decode_notification,
    unpack_low_bits,
)
from mimamba.drivers.muse.protocol import ACCELEROMETER, ATHENA, EEG, GYROSCOPE, PPG, TELEMETRY
from tests.drivers.muse.notifications import RECORDED, motion, pack, pulse, recorded, telemetry
from tests.drivers.muse.reference import REFERENCE


def only(characteristic: str, data: bytes) -> SensorBlock:
    (block,) = decode_notification(characteristic, data)
    assert isinstance(block, SensorBlock)
    return block


@given(
    st.sampled_from(range(4)),
    st.integers(0, 2**16 - 1),
    st.lists(st.integers(0, 2**12 - 1), min_size=12, max_size=12),
)
def test_an_electrode_has_twelve_values_around_2048(
    part: int, number: int, codes: list[int]
) -> None:
    block = only(EEG[part], pack([number], 16) + pack(codes, 12))
    assert (block.sensor, block.part, block.number) == (EEG_SENSOR, part, number)
    assert np.array_equal(block.values[:, 0], (np.array(codes) - 2048) * UV_PER_BIT)


def test_the_scale_is_that_of_published_recordings() -> None:
    """Muse files of others hold 12-bit codes times 0.48828 µV, from -1000 µV on."""
    low = only(EEG[0], pack([0], 16) + pack([0] * 12, 12)).values
    high = only(EEG[0], pack([0], 16) + pack([4095] * 12, 12)).values
    assert low.min() == -1000.0
    assert high.max() == pytest.approx(999.51, abs=0.01)


def test_the_pulse_has_six_values_of_24_bits() -> None:
    block = only(PPG[2], pulse(70000, 2))
    assert (block.sensor, block.part, block.number) == (PPG_SENSOR, 2, 70000 % 2**16)
    assert block.values[:, 0].tolist() == [420014 + i for i in range(6)]


def test_motion_has_three_samples_of_three_axes() -> None:
    block = only(ACCELEROMETER, pack([5], 16) + pack([16384, 0, 2**16 - 16384] * 3, 16))
    assert (block.sensor, block.number) == (ACCELERATION_SENSOR, 5)
    assert block.values.tolist() == [[1.0, 0.0, -1.0]] * 3
    turned = only(GYROSCOPE, motion(4))
    assert turned.sensor == ROTATION_SENSOR
    expected = np.arange(3)[:, None] + 12 + np.arange(3)
    assert np.allclose(turned.values, expected * DEGREES_PER_BIT)


def test_the_charge_is_in_the_telemetry() -> None:
    assert decode_notification(TELEMETRY, telemetry(3, 62.5)) == [Battery(62.5)]


@given(
    st.sampled_from([*EEG, *PPG, ACCELEROMETER, GYROSCOPE, TELEMETRY, *ATHENA, "unknown"]),
    st.binary(max_size=250),
)
def test_any_bytes_give_blocks_of_the_right_shape_or_nothing(name: str, data: bytes) -> None:
    for found in decode_notification(name, data):
        if isinstance(found, Battery):
            assert 0 <= found.charge <= 100
        else:
            width = len(found.sensor.ch_names) // found.sensor.n_parts
            assert found.values.shape == (found.sensor.n_times, width)
            assert found.values.dtype == np.float32
            assert 0 <= found.number < found.sensor.n_numbers


@given(st.sampled_from([14, 20]), st.data())
def test_low_bits_come_first(width: int, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, 2**width - 1), min_size=8, max_size=8))
    whole = sum(code << (i * width) for i, code in enumerate(codes))
    assert unpack_low_bits(whole.to_bytes(width, "little"), width).tolist() == codes


def athena_blocks(folder: Path, preset: str) -> dict[str, list[SensorBlock]]:
    blocks: dict[str, list[SensorBlock]] = {}
    for each in recorded(folder, preset):
        for found in decode_notification(each.characteristic, each.data):
            if isinstance(found, SensorBlock):
                blocks.setdefault(found.sensor.name, []).append(found)
    return blocks


SCALES = {
    "eeg": (ATHENA_UV_PER_BIT, 8192),
    "ppg": (1.0, 0),
    "acceleration": (G_PER_BIT, 0),
    "rotation": (-DEGREES_PER_BIT, 0),
}


@pytest.mark.parametrize("preset", RECORDED)
def test_recorded_values_are_those_of_another_decoder(shared_data: Path, preset: str) -> None:
    """Every value of both recordings, as codes: equal to muse-lsl's."""
    for name, blocks in athena_blocks(shared_data, preset).items():
        scale, middle = SCALES[name]
        values = np.concatenate([block.values for block in blocks]).astype(np.float64)
        codes = np.round(values / scale).astype(np.int32) + middle
        reference = REFERENCE[preset, name]
        assert codes.shape == reference.shape, name
        assert tuple(codes[0].tolist()) == reference.first, name
        assert tuple(codes[-1].tolist()) == reference.last, name
        assert hashlib.sha256(codes.astype("<i4").tobytes()).hexdigest() == reference.digest, name


@pytest.mark.parametrize("preset", RECORDED)
def test_each_sensor_of_a_recording_counts_by_itself(shared_data: Path, preset: str) -> None:
    for name, blocks in athena_blocks(shared_data, preset).items():
        numbers = np.array([block.number for block in blocks])
        assert set(np.diff(numbers) % 256) == {1}, name


@pytest.mark.parametrize("preset", RECORDED)
def test_a_head_at_rest_weighs_one_g(shared_data: Path, preset: str) -> None:
    blocks = athena_blocks(shared_data, preset)["acceleration"]
    values = np.concatenate([block.values for block in blocks])
    assert np.median(np.linalg.norm(values, axis=1)) == pytest.approx(1.0, abs=0.05)


def test_what_follows_an_unknown_block_is_left_out() -> None:
    eeg = bytes([0x11, 9, 0, 0, 0]) + bytes(28)
    header = bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 0])

    def packet(*blocks: bytes) -> bytes:
        data = header + bytes(24) + b"".join(blocks)
        return bytes([len(data)]) + data[1:]

    numbers = [
        block.number
        for block in decode_notification(ATHENA[0], packet(eeg) + packet(b"\x77" * 9, eeg))
        if isinstance(block, SensorBlock)
    ]
    assert numbers == [9]


def test_the_charge_of_newer_firmware_fills_its_packet() -> None:
    data = bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0, 0, 0, 0]) + (512 * 50).to_bytes(2, "little")
    data += bytes(180)
    data = bytes([len(data)]) + data[1:]
    assert decode_notification(ATHENA[1], data) == [Battery(50.0)]
