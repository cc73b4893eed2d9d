"""Samples of remote sensors as they are read from messages, of old and new programs."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import BadSamples
from mimamba.service.protocol.messages import encode
from mimamba.service.protocol.push import Samples, SensorSamples
from mimamba.service.sessions.remote_sources import read_packet

INFO = StreamInfo("Far", "far-1", 256.0, ("TP9", "AF7"))
STAMPS, DATA = np.array([5.0, 5.1], "<f8").tobytes(), np.arange(4, dtype="<f4").tobytes()
LIGHT = SensorSamples("ppg", "counts", 64.0, ["infrared", "red"], 7, STAMPS, DATA)


def samples(**changes: Any) -> Samples:
    return Samples("far", 3, 5, STAMPS, DATA, 0.0, **changes)


def test_sensors_and_battery_are_read() -> None:
    packet = read_packet(samples(sensors=[LIGHT], battery=83.5), INFO)
    assert packet.battery == 83.5
    [chunk] = packet.auxiliary
    assert (chunk.info.name, chunk.info.ch_names, chunk.first) == ("ppg", ("infrared", "red"), 7)
    assert chunk.data.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert chunk.timestamps.tolist() == [5.0, 5.1]


def test_an_older_acquirer_sends_neither() -> None:
    packet = read_packet(samples(), INFO)
    assert (packet.auxiliary, packet.battery) == ((), None)
    assert b"sensors" not in encode(samples(), binary=False)


def test_an_older_service_ignores_them() -> None:
    class OldSamples(msgspec.Struct, frozen=True, tag="samples"):
        session: str
        seq: int
        first: int

    sent = encode(samples(sensors=[LIGHT], battery=83.5), binary=True)
    assert msgspec.msgpack.decode(sent, type=OldSamples) == OldSamples("far", 3, 5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": DATA[:8]}, "8 bytes of timestamps and 8 of data"),
        ({"timestamps": STAMPS[:9]}, "8 bytes of timestamps and 8 of data"),
        ({"name": "mind"}, "ppg, acceleration, rotation"),
        ({"sfreq": 0.0}, "1 to 2000 Hz"),
        ({"sfreq": float("nan")}, "1 to 2000 Hz"),
        ({"unit": "x" * 1000}, "texts of up to 100 characters"),
    ],
)
def test_sensors_that_are_none_are_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadSamples, match=expected):
        read_packet(samples(sensors=[msgspec.structs.replace(LIGHT, **changes)]), INFO)


@pytest.mark.parametrize("battery", [-1.0, 101.0, float("nan")])
def test_a_charge_that_is_none_is_ignored(battery: float) -> None:
    assert read_packet(samples(battery=battery), INFO).battery is None


def test_sensors_without_samples_are_left_out() -> None:
    empty = msgspec.structs.replace(LIGHT, timestamps=b"", data=b"")
    assert read_packet(samples(sensors=[empty]), INFO).auxiliary == ()
