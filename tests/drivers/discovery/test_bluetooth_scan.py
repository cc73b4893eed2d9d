"""Searches by Bluetooth: bleak itself, over a bus of its own, at a BlueZ made for each test."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mimamba.drivers.bluetooth_errors import ALLOW, START_BLUEZ, SWITCH_ON
from mimamba.drivers.discovery.bluetooth_scan import (
    GRACE_SECONDS,
    MIN_SECONDS,
    BluetoothScan,
    ScanResult,
    scan_bluetooth,
)
from mimamba.drivers.discovery.nearby_headsets import Advertisement, find_headsets
from mimamba.drivers.muse.protocol import MUSE_SERVICE
from tests.drivers.discovery.bluez import Adapter, Device, bluez, system_bus

MUSE = Device("00:55:DA:B0:3F:2A", "Muse-3F2A", -52, (MUSE_SERVICE,))
LATE = Device("00:55:DA:B0:11:22", "MuseS-1122", -71, (MUSE_SERVICE,), late=True)
GANGLION = Device("E0:12:34:56:1A:2B", "Ganglion-1a2b", -80)
OTHERS = [
    Device("AA:00:00:00:00:01", "Anna's Phone", -40),
    Device("AA:00:00:00:00:02", None, -40),
    Device("AA:00:00:00:00:03", "Museum guide", -40),
]
ROOT = Path(__file__).parents[3]
LONG = 30.0
"""Seconds after which what should come is not awaited any more; searches are broken off before."""


def sentence(remedy: str) -> str:
    return f"{remedy[:1].upper()}{remedy[1:]}."


def heard_once(enough: Callable[[ScanResult], bool], search: BluetoothScan) -> ScanResult:
    """What was heard once it is enough, or once the search has ended."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        heard = search.result(time.monotonic() + 0.05)
        if heard.error or enough(heard):
            return heard
    raise AssertionError(f"not heard: {heard}")


def search_for(enough: Callable[[ScanResult], bool]) -> ScanResult:
    search = BluetoothScan(time.monotonic() + LONG)
    try:
        return heard_once(enough, search)
    finally:
        search.close()


def trouble(seconds: float = LONG, python: str | None = None, grace: float = GRACE_SECONDS) -> str:
    """What a search says that cannot be."""
    with scan_bluetooth(seconds, python, grace) as heard:
        found = heard().error
    assert found is not None
    return str(found)


def test_headsets_are_found_and_nothing_else() -> None:
    adapter = Adapter(devices=[*OTHERS, LATE, GANGLION, MUSE])
    with bluez(adapter):
        names = {MUSE.name, LATE.name, GANGLION.name}
        heard = search_for(lambda heard: {each.name for each in heard.advertisements} == names)
        assert adapter.idle.wait(LONG)
    assert heard.error is None
    assert len(heard.advertisements) == 3
    found = find_headsets(heard.advertisements, "linux")
    assert [(each.name, each.title) for each in found] == [
        ("Muse-3F2A", "Muse"),
        ("Muse-3F2A", "Muse 2"),
        ("MuseS-1122", "Muse"),
        ("MuseS-1122", "Muse S"),
        ("MuseS-1122", "Muse S Athena"),
        ("Ganglion-1a2b", "OpenBCI Ganglion"),
    ]
    own, first = found[:2]
    assert own.url == f"muse://?address={MUSE.address}"
    assert first.rssi in (MUSE.rssi, MUSE.rssi - 1)
    assert first.url == f"brainflow://muse_2?mac_address={MUSE.address}"


def test_a_search_that_is_broken_off_scans_no_more() -> None:
    adapter = Adapter(devices=[MUSE])
    with bluez(adapter):
        with suppress(KeyboardInterrupt), scan_bluetooth(100 * LONG):
            assert adapter.busy.wait(LONG)
            raise KeyboardInterrupt
        assert adapter.idle.wait(LONG)
        assert adapter.scanning == set()


def test_a_search_ends_by_itself_even_if_nobody_is_left() -> None:
    adapter = Adapter(devices=[MUSE])
    with bluez(adapter):
        for seconds in (4.0, LONG):  # a busy machine may need all of the first ones to start it
            search = BluetoothScan(time.monotonic() + seconds)
            heard = search.result(time.monotonic() + LONG)
            if heard.error is None:
                break
            search.close()
        assert heard.error is None
        assert adapter.idle.wait(LONG)
        search.close()


def test_a_search_ends_with_who_is_killed() -> None:
    adapter = Adapter(devices=[MUSE])
    code = (
        "import time; from mimamba.drivers.discovery.bluetooth_scan import scan_bluetooth\n"
        f"with scan_bluetooth({100 * LONG}): time.sleep({LONG})"
    )
    with bluez(adapter), subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        assert adapter.busy.wait(LONG)
        process.kill()
        assert adapter.idle.wait(LONG)


def test_who_asks_meanwhile_shares_the_search() -> None:
    adapter = Adapter(devices=[MUSE])
    with bluez(adapter), scan_bluetooth(LONG):
        assert adapter.busy.wait(LONG)
        told: list[ScanResult] = []

        def ask() -> None:
            end = time.monotonic() + LONG
            advertisements: tuple[Advertisement, ...] = ()
            while not advertisements and time.monotonic() < end:  # it may be told late who is there
                with scan_bluetooth(MIN_SECONDS) as heard:
                    found = heard()
                advertisements = found.advertisements
            told.append(found)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[each.name for each in heard.advertisements] for heard in told] == 3 * [[MUSE.name]]
        assert adapter.scanning  # who shares it does not end it
    assert (adapter.starts, adapter.most) == (1, 1)


def test_an_adapter_that_is_off_is_reported() -> None:
    with bluez(Adapter(powered=False)):
        assert (
            trouble()
            == "Expected Bluetooth headsets, but found an adapter that is off. "
            + sentence(SWITCH_ON)
        )


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        (None, "found no adapter. Plug in an adapter"),
        (Adapter(roles=("peripheral",)), "found an adapter without Bluetooth Low Energy"),
        (
            Adapter(refusal="org.bluez.Error.NotReady"),
            f"an adapter that is off. {sentence(SWITCH_ON)}",
        ),
        (Adapter(refusal="org.bluez.Error.NotAuthorized"), f"no permission. {sentence(ALLOW)}"),
        (Adapter(refusal="org.bluez.Error.Failed"), "org.bluez.Error.Failed] it is so"),
    ],
    ids=["none", "no low energy", "not ready", "not allowed", "fails"],
)
def test_what_keeps_bluez_from_scanning_is_reported(adapter: Adapter | None, words: str) -> None:
    with bluez(adapter):
        assert words in trouble()


def test_a_bus_without_bluez_is_reported() -> None:
    with system_bus():
        assert f"found no BlueZ, Linux's Bluetooth service. {sentence(START_BLUEZ)}" in trouble()


def test_a_bus_that_allows_nothing_is_reported() -> None:
    with system_bus(calls="deny"):
        assert f"found no permission. {sentence(ALLOW)}" in trouble()


def test_no_bus_is_reported() -> None:
    assert "found no system D-Bus (No such file or directory). Install" in trouble()


def test_an_address_that_is_none_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "nonsense")
    assert "InvalidAddressError" in trouble()


def test_a_bluez_that_does_not_answer_is_reported() -> None:
    with bluez(Adapter(silent=True)):
        assert "found no answer from the system's Bluetooth" in trouble(1.0)


def test_a_program_that_breaks_is_reported() -> None:
    assert "found a scan that ended early (1)" in trouble(python="/bin/false")
    missing = trouble(python="/nowhere/python")
    assert "found a scanner that does not start (No such file or directory)" in missing


def test_a_program_that_starts_too_late_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "late"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    late = trouble(MIN_SECONDS, str(program), grace=0.1)
    assert "found no answer from the system's Bluetooth" in late


def test_too_short_a_time_is_reported() -> None:
    assert trouble(0.1) == (
        "Expected 1 s or more to scan for Bluetooth headsets, but found 0.1 s. Scan for longer."
    )
