"""Causes that keep Bluetooth from working, and what a person can do about it."""

from __future__ import annotations

import sys

from mimamba.drivers.errors import DeviceNotFound

ADAPTER = "an adapter "
"""Prefix of what was found if there is an adapter that cannot be used."""
NO_ANSWER = "no answer from the system's Bluetooth"

SWITCH_ON = "switch Bluetooth on" + (
    " (bluetoothctl power on; where that fails: rfkill unblock bluetooth)"
    if sys.platform.startswith("linux")
    else ""
)
ALLOW = {
    "darwin": "allow Bluetooth for the terminal in the system's privacy settings",
    "win32": "allow Bluetooth for programs in the system's privacy settings",
}.get(
    sys.platform,
    "join the group bluetooth (sudo usermod -aG bluetooth $USER) and log in again; "
    "a container's user must be known to the host's D-Bus",
)
START_BLUEZ = "start BlueZ: sudo systemctl start bluetooth"
SWITCH_OFF_AND_ON = "switch Bluetooth off and on"

UNAVAILABLE = {
    "NO_BLUETOOTH": ("no adapter", "plug in an adapter, or use the board's own dongle"),
    "NO_BLE_CENTRAL_ROLE": (
        ADAPTER + "without Bluetooth Low Energy",
        "plug in another one, or use the board's own dongle",
    ),
    "POWERED_OFF": (ADAPTER + "that is off", SWITCH_ON),
    "DENIED_BY_USER": ("no permission", ALLOW),
    "DENIED_BY_SYSTEM": ("no permission", ALLOW),
    "DENIED_BY_UNKNOWN": ("no permission", ALLOW),
}
"""Found and remedy for each of bleak's reasons."""
DBUS_ERRORS = {
    "AccessDenied": ("no permission", ALLOW),
    "AuthFailed": ("no permission", ALLOW),
    "NotAuthorized": ("no permission", ALLOW),
    "NotPermitted": ("no permission", ALLOW),
    "NotReady": (ADAPTER + "that is off", SWITCH_ON),
    "ServiceUnknown": ("no BlueZ, Linux's Bluetooth service", START_BLUEZ),
    "NameHasNoOwner": ("no BlueZ, Linux's Bluetooth service", START_BLUEZ),
    "NoSuchUnit": ("no BlueZ, Linux's Bluetooth service", "install the package bluez"),
}
"""Found and remedy by the last part of an error's name, of D-Bus, systemd and BlueZ."""


def explain_error(error: Exception, expected: str) -> DeviceNotFound:
    """Describe why Bluetooth failed; ``expected`` is what was wanted of it."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError

    if isinstance(error, DeviceNotFound):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError):
        known = UNAVAILABLE.get(error.reason.name)
    elif isinstance(error, BleakDBusError):
        known = DBUS_ERRORS.get(error.dbus_error.rpartition(".")[2])
    elif isinstance(error, OSError) and sys.platform.startswith("linux"):
        known = (
            f"no system D-Bus ({error.strerror or error})",
            "install and start dbus and bluez; in a container, mount /run/dbus",
        )
    else:
        known = None
    found, remedy = known or (f"{type(error).__name__}: {error}", SWITCH_OFF_AND_ON)
    return DeviceNotFound(expected, found, remedy)


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors with which bleak may fail; raises ImportError."""
    from bleak.exc import BleakError

    expected = (BleakError, OSError, EOFError, DeviceNotFound)
    if not sys.platform.startswith("linux"):
        return expected
    from dbus_fast.errors import DBusFastError  # bleak uses it for BlueZ

    return (*expected, DBusFastError)
