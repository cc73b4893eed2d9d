"""What is found from here: real outlets on loopback, a BlueZ and a sysfs made for the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from mimamba.drivers.discovery.bluetooth_scan import ScanResult
from mimamba.drivers.discovery.discover import (
    BluetoothStatus,
    FoundStream,
    Sources,
    bluetooth_status,
    discover_sources,
    find_adapters,
    find_streams,
    list_boards,
    list_simulations,
)
from mimamba.drivers.errors import DeviceNotFound
from mimamba.drivers.open import open_driver
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.discovery.test_bluetooth_scan import GANGLION, MUSE, OTHERS
from tests.drivers.lsl.test_driver import not_found

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux lists its adapters")


LONGER = (5.0, 20.0)
"""Seconds to look for where a busy machine needed all of fewer to start looking."""


def scan_until(enough: Callable[[Sources], bool], seconds: float) -> Sources:
    """What the first scan finds that finds enough, or else the last and longest."""
    for each in (seconds, *LONGER):
        found = discover_sources(each)
        if enough(found):
            break
    return found


def ids_of(streams: Iterable[FoundStream]) -> set[str]:
    return {stream.source_id for stream in streams}


@linux
def test_a_scan_finds_headsets_and_streams_at_once() -> None:
    source_id = str(uuid4())
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("near", "EEG", 4, 256, "float32", source_id))
    names = [MUSE.name, MUSE.name, GANGLION.name]
    with bluez(Adapter(devices=[*OTHERS, GANGLION, MUSE])):
        found = scan_until(
            lambda found: len(found.headsets) == len(names) and source_id in ids_of(found.streams),
            2.5,
        )
    assert [each.name for each in found.headsets] == names
    assert source_id in ids_of(found.streams)
    assert (found.bluetooth.present, found.bluetooth.problem) == (True, None)
    assert found.missing == ()
    del outlet


def test_a_scan_finds_a_stream_and_gives_its_url() -> None:
    name, source_id = f"a & b {uuid4()}", f"id {uuid4()}"
    eeg = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 4, 256, "float32", source_id))
    found = scan_until(lambda found: source_id in ids_of(found.streams), 1.0)
    (stream,) = [stream for stream in found.streams if stream.source_id == source_id]
    assert (stream.name, stream.type, stream.sfreq, stream.n_channels) == (name, "EEG", 256, 4)
    assert stream.hostname
    assert stream.url is not None
    assert found.missing == ()
    assert found.boards == list_boards()
    assert found.bluetooth.problem is not None  # there is no bus, but only that is harmed
    assert found.simulations == list_simulations()
    eeg.push_sample([0.0] * 4)
    not_found(f"{stream.url}&timeout=0.3", f"samples of the LSL stream {name}")  # it does not send


def test_a_library_that_does_not_load_leaves_the_rest(tmp_path: Path) -> None:
    broken = tmp_path / "liblsl.so"
    broken.write_text("no library")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mimamba.drivers.discovery.discover import discover_sources\n"
            "found = discover_sources(0.1)\n"
            "print(len(found.boards) > 20, found.streams, found.missing)",
        ],
        env={"PYLSL_LIB": str(broken), "PATH": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("True ()")
    assert "conda install" in done.stdout


def test_streams_that_are_no_signal_have_no_url() -> None:
    ids = [str(uuid4()) for _ in range(3)]
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo("words", "Markers", 1, 0, "string", ids[0])),
        pylsl.StreamOutlet(pylsl.StreamInfo("events", "Markers", 1, 0, "int32", ids[1])),
        pylsl.StreamOutlet(pylsl.StreamInfo("pulse", "PPG", 3, 64, "float32", ids[2])),
    ]
    for seconds in (1.0, *LONGER):
        urls = {stream.source_id: stream.url for stream in find_streams(seconds)}
        if urls.keys() >= set(ids):
            break
    assert urls[ids[0]] is None
    assert urls[ids[1]] is None
    assert urls[ids[2]] == f"lsl://?name=pulse&source_id={ids[2]}&type=PPG"
    outlets.clear()


def test_each_board_has_a_url_that_opens_it() -> None:
    boards = list_boards()
    urls = {board.name: board.url for board in boards}
    assert urls["muse_2"] == "brainflow://muse_2"
    assert urls["cyton"] == "brainflow://cyton?serial_port=.."
    assert boards[0].title is not None
    for board in boards:
        if board.title is not None and "master_board" not in board.url:
            assert open_driver(board.url).info.name == board.title


def test_each_scenario_has_a_url_that_opens_it() -> None:
    for simulation in list_simulations():
        assert open_driver(simulation.url).info.simulated
        assert simulation.summary


@linux
def test_the_bluetooth_adapter_is_found_by_linux_own_list(tmp_path: Path) -> None:
    assert find_adapters(tmp_path).present is False
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    (tmp_path / "bluetooth" / "hci0:64").mkdir()
    assert find_adapters(tmp_path).present is True
    assert find_adapters(tmp_path).detail == "hci0"


@linux
@pytest.mark.parametrize(("soft", "hard", "blocked"), [(1, 0, True), (0, 1, True), (0, 0, False)])
def test_a_kill_switch_is_reported(tmp_path: Path, soft: int, hard: int, blocked: bool) -> None:
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    for name, kind, values in [
        ("rfkill0", "wlan", (1, 1)),
        ("rfkill1", "bluetooth", (soft, hard)),
    ]:
        switch = tmp_path / "rfkill" / name
        switch.mkdir(parents=True)
        (switch / "type").write_text(f"{kind}\n")
        (switch / "soft").write_text(f"{values[0]}\n")
        (switch / "hard").write_text(f"{values[1]}\n")
    assert ("rfkill unblock" in find_adapters(tmp_path).detail) is blocked


NO_BUS = DeviceNotFound("Bluetooth headsets", "no system D-Bus", "start it")
OFF = DeviceNotFound("Bluetooth headsets", "an adapter that is off", "switch it on")
NONE = BluetoothStatus(False, "no adapter; plug one in")
THERE = BluetoothStatus(True, "hci0")
BLOCKED = BluetoothStatus(True, "hci0, blocked; run: rfkill unblock bluetooth")
WANTED = "Expected Bluetooth headsets, but found"


@pytest.mark.parametrize(
    ("adapter", "trouble", "told"),
    [
        (THERE, None, THERE),
        (NONE, None, BluetoothStatus(True, "scanned for headsets")),
        (THERE, OFF, replace(THERE, problem=str(OFF))),
        (THERE, NO_BUS, replace(THERE, problem=str(NO_BUS))),
        # What the system's own list says is the cause of what the search met,
        (NONE, NO_BUS, replace(NONE, problem=f"{WANTED} no adapter; plug one in.")),
        (BLOCKED, OFF, replace(BLOCKED, problem=f"{WANTED} {BLOCKED.detail}.")),
        # but a container's list may lack what its BlueZ has.
        (NONE, OFF, BluetoothStatus(True, "an adapter that is off", str(OFF))),
    ],
)
def test_one_cause_is_reported(
    adapter: BluetoothStatus, trouble: DeviceNotFound | None, told: BluetoothStatus
) -> None:
    assert bluetooth_status(adapter, ScanResult((), trouble)) == told
