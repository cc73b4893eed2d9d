"""Layouts of the apps' messages: addresses, arguments, units.

Mind Monitor: https://mind-monitor.com/FAQ.php#oscspec. One sample per ``/muse/eeg``: TP9, AF7, AF8,
TP10 and up to two auxiliary channels as floats, µV from 0 to about 1682; no number, no time.
``/muse/acc`` in g and ``/muse/gyro`` in °/s with three floats, ``/muse/ppg`` with three,
``/muse/batt`` with the charge in hundredths of a percent and three more integers (those of MuseIO,
whose addresses Mind Monitor kept), ``/muse/elements/blink`` and ``/muse/elements/jaw_clench`` with
1, ``/Marker/1`` to ``/Marker/5``. The first part of an address is a setting of the app. The present
version of Petal Metrics sends the same (https://docs.petal.tech/features/osc-streaming), with µV
around 0 and the charge in percent.

Petal's older layout: https://docs.petal.tech/receive-data-streams/receive-an-osc-stream. Addresses
are ``/PetalStream/eeg``, ``acceleration``, ``gyroscope``, ``ppg`` and ``telemetry``. All begin with
the sample's number and two times, each as a whole number and a fraction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mimamba.drivers.driver import AuxiliaryInfo
from mimamba.drivers.osc.datagrams import OSCMessage

ELECTRODES = ("TP9", "AF7", "AF8", "TP10", "AUXR", "AUXL")
"""Labels of the values; the auxiliary ones may be missing."""
N_ELECTRODES = 4
PORT = 5000
"""The port that Mind Monitor sends to unless it is told otherwise."""
SFREQ = 256.0
"""Rate of a Muse of 2016 or later, Hz."""
AXES = ("x", "y", "z")
PPG = AuxiliaryInfo("ppg", "counts", 64.0, ("ambient", "infrared", "red"))
ACCELERATION = AuxiliaryInfo("acceleration", "g", 52.0, AXES)
ROTATION = AuxiliaryInfo("rotation", "°/s", 52.0, AXES)
SENSORS = {
    **dict.fromkeys(("acc", "acceleration"), ACCELERATION),
    **dict.fromkeys(("gyro", "gyroscope"), ROTATION),
    "ppg": PPG,
}
"""What the last part of an address stands for."""
PREFIX = (int, int, float, int, float)
"""Types at the beginning of each message of Petal's older layout."""
NUMBERS = 1 << 31
"""Petal's numbers of samples are integers of 32 bits."""


@dataclass(frozen=True)
class SensorSample:
    """One sample.

    Parameters
    ----------
    info
        Sensor; None for EEG.
    values
        One per channel.
    number
        Of the sample, where the app numbers them.
    """

    info: AuxiliaryInfo | None
    values: tuple[float, ...]
    number: int | None = None


@dataclass(frozen=True)
class AppEvent:
    """An event that the app reports, or a person who presses its marker's button."""

    label: str


@dataclass(frozen=True)
class Charge:
    """Charge of the headset's battery, percent."""

    percent: float


@dataclass(frozen=True)
class ContactGrades:
    """The app's grade of contact for each of the four electrodes: 1 good, 2 medium, 4 bad."""

    grades: tuple[float, ...]


Decoded: TypeAlias = SensorSample | AppEvent | Charge | ContactGrades | None


@dataclass(frozen=True)
class AppLayout:
    """An app's layout.

    Parameters
    ----------
    name
        Value of ``from=``.
    title
        Name of the app, for people.
    eeg
        Its messages of EEG, for people.
    decode
        Returns the content of a message; None if nothing in it is used.
    """

    name: str
    title: str
    eeg: str
    decode: Callable[[OSCMessage], Decoded]


def decode_mind_monitor(message: OSCMessage) -> Decoded:
    """Decode a message of Mind Monitor, or of Petal Metrics in its present version."""
    parts = message.address.strip("/").split("/")
    values = _numbers(message.arguments)
    if parts[0] == "Marker":
        return AppEvent(message.address)
    if len(parts) == 3 and parts[1] == "elements" and parts[2] in ("blink", "jaw_clench"):
        return AppEvent(message.address) if values and values[0] == 1 else None
    if len(parts) == 3 and parts[1:] == ["elements", "horseshoe"]:
        return ContactGrades(values) if values and len(values) == N_ELECTRODES else None
    if len(parts) != 2 or values is None or _is_numbered(message):
        return None
    if parts[1] == "batt" and values:
        hundredths = len(values) > 1 or values[0] > 100
        return Charge(values[0] / 100 if hundredths else values[0])
    return _sample(parts[1], values, None)


def decode_petal(message: OSCMessage) -> Decoded:
    """Decode a message of Petal's older layout."""
    if not _is_numbered(message):
        return None
    values = _numbers(message.arguments[len(PREFIX) :])
    number = message.arguments[0]
    assert isinstance(number, int)
    kind = message.address.strip("/").rpartition("/")[2]
    if values is None or not 0 <= number < NUMBERS:
        return None
    if kind == "telemetry" and values:
        return Charge(values[0])
    return _sample(kind, values, number)


LAYOUTS = {
    "mindmonitor": AppLayout(
        "mindmonitor", "Mind Monitor", "/muse/eeg with 4 to 6 numbers", decode_mind_monitor
    ),
    "petal": AppLayout(
        "petal", "Petal", "/PetalStream/eeg with a number, 2 times and 4 to 6 values", decode_petal
    ),
}


def recognise_layout(message: OSCMessage) -> AppLayout | None:
    """Return the layout in which a message is EEG; None if it is in none."""
    for layout in LAYOUTS.values():
        found = layout.decode(message)
        if isinstance(found, SensorSample) and found.info is None:
            return layout
    return None


def _sample(kind: str, values: tuple[float, ...], number: int | None) -> SensorSample | None:
    if kind == "eeg" and N_ELECTRODES <= len(values) <= len(ELECTRODES):
        return SensorSample(None, values, number)
    info = SENSORS.get(kind)
    if info is None or len(values) != len(info.ch_names):
        return None
    return SensorSample(info, values, number)


def _is_numbered(message: OSCMessage) -> bool:
    types = tuple(type(each) for each in message.arguments)
    return types[: len(PREFIX)] == PREFIX and len(types) > len(PREFIX)


def _numbers(arguments: tuple[object, ...]) -> tuple[float, ...] | None:
    """Return arguments as numbers; None if one is none."""
    numbers = [float(each) for each in arguments if isinstance(each, int | float)]
    return tuple(numbers) if len(numbers) == len(arguments) else None
