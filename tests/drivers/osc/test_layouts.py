"""The content of each app's messages."""

from __future__ import annotations

import pytest

from mimamba.drivers.osc.datagrams import parse_datagram
from mimamba.drivers.osc.layouts import (
    ACCELERATION,
    LAYOUTS,
    PPG,
    ROTATION,
    AppEvent,
    Charge,
    ContactGrades,
    SensorSample,
    recognise_layout,
)
from tests.drivers.osc.apps import message

MIND_MONITOR, PETAL = LAYOUTS["mindmonitor"], LAYOUTS["petal"]
HEAD = (17, 1_700_000_000, 0.5, 100, 0.25)


@pytest.mark.parametrize(
    ("address", "values", "expected"),
    [
        ("/muse/eeg", (1.0, 2.0, 3.0, 4.0), SensorSample(None, (1.0, 2.0, 3.0, 4.0))),
        ("/Person1/eeg", (1.0,) * 6, SensorSample(None, (1.0,) * 6)),
        ("/muse/eeg", (1.0, 2.0), None),
        ("/muse/acc", (0.0, 0.5, 1.0), SensorSample(ACCELERATION, (0.0, 0.5, 1.0))),
        ("/muse/gyro", (1.0, 2.0, 4.0), SensorSample(ROTATION, (1.0, 2.0, 4.0))),
        ("/muse/ppg", (1.0, 2.0, 4.0), SensorSample(PPG, (1.0, 2.0, 4.0))),
        ("/muse/batt", (9450, 3900, 3900, 24), Charge(94.5)),
        ("/muse/batt", (94.5,), Charge(94.5)),
        ("/muse/elements/blink", (1,), AppEvent("/muse/elements/blink")),
        ("/muse/elements/jaw_clench", (0,), None),
        ("/Marker/3", (), AppEvent("/Marker/3")),
        ("/muse/elements/horseshoe", (1.0, 1.0, 2.0, 4.0), ContactGrades((1.0, 1.0, 2.0, 4.0))),
        ("/muse/elements/horseshoe", (1.0, 1.0), None),
        ("/muse/eeg", ("a", "b", "c", "d"), None),
        ("/PetalStream/eeg", (*HEAD, 1.0, 2.0, 3.0, 4.0), None),
    ],
)
def test_mind_monitor(address: str, values: tuple[float | str, ...], expected: object) -> None:
    (made,) = parse_datagram(message(address, *values))
    assert MIND_MONITOR.decode(made) == expected


@pytest.mark.parametrize(
    ("address", "values", "expected"),
    [
        ("/PetalStream/eeg", (1.0, 2.0, 3.0, 4.0), SensorSample(None, (1.0, 2.0, 3.0, 4.0), 17)),
        ("/PetalStream/acceleration", (0.0, 0.5, 1.0), SensorSample(ACCELERATION, (0, 0.5, 1), 17)),
        ("/PetalStream/telemetry", (80.0, 25.0, 3.5), Charge(80.0)),
        ("/PetalStream/connection_status", (1,), None),
    ],
)
def test_petal(address: str, values: tuple[float, ...], expected: object) -> None:
    (made,) = parse_datagram(message(address, *HEAD, *values))
    assert PETAL.decode(made) == expected


def test_each_layout_is_told_from_the_other() -> None:
    (plain,) = parse_datagram(message("/muse/eeg", 1.0, 2.0, 3.0, 4.0))
    (numbered,) = parse_datagram(message("/PetalStream/eeg", *HEAD, 1.0, 2.0, 3.0, 4.0))
    (other,) = parse_datagram(message("/muse/acc", 1.0, 2.0, 3.0))
    found = [recognise_layout(each) for each in (plain, numbered, other)]
    assert found == [MIND_MONITOR, PETAL, None]
