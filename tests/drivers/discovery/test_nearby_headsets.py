"""Which headset a name, a service or a USB chip stands for, and the URL that opens it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mimamba.drivers.discovery.nearby_headsets import (
    DONGLES,
    NAME_PREFIXES,
    Advertisement,
    find_dongles,
    find_headsets,
    match_kinds,
)
from mimamba.drivers.muse.protocol import MUSE_SERVICE
from mimamba.drivers.open import open_driver

ADDRESS = "00:55:DA:B0:3F:2A"


@dataclass
class USBPort:
    """A serial port, with what pyserial tells of it."""

    device: str
    vid: int | None = None
    pid: int | None = None


@pytest.mark.parametrize(
    ("name", "services", "boards"),
    [
        ("Muse-3F2A", (MUSE_SERVICE,), [None, "muse_2"]),
        ("Muse-3f2a", (), [None, "muse_2"]),
        ("MuseS-3F2A", (), [None, "muse_s", "muse_s_athena"]),
        ("MuseS-3F2A", (MUSE_SERVICE,), [None, "muse_s", "muse_s_athena"]),
        (None, (MUSE_SERVICE,), [None, "muse_2", "muse_s", "muse_s_athena"]),
        ("my band", (MUSE_SERVICE,), [None, "muse_2", "muse_s", "muse_s_athena"]),
        ("Ganglion-1a2b", (), ["ganglion_native"]),
        ("Simblee", (), ["ganglion_native"]),
        ("AAVAAv3-7", (), ["aavaa_v3"]),
        ("BrainAlive", (), ["brainalive"]),
        ("Museum guide", (), []),
        ("Muse", (), []),
        ("Muse-3F2A's phone", (), []),
        ("Anna's Ganglion", (), []),
        (None, (), []),
        ("", ("0000180d-0000-1000-8000-00805f9b34fb",), []),
    ],
)
def test_only_headsets_are_recognised(
    name: str | None, services: tuple[str, ...], boards: list[str | None]
) -> None:
    assert [kind.board for kind in match_kinds(name, services)] == boards


def test_what_a_name_leaves_open_is_said() -> None:
    own, two = find_headsets([Advertisement(ADDRESS, "Muse-3F2A", (), -50)])
    assert (own.url, own.title) == (f"muse://?address={ADDRESS}", "Muse")
    assert "brainflow://" in (own.note or "")
    assert "2016" in (two.note or "")
    _, older, athena = find_headsets([Advertisement(ADDRESS, "MuseS-3F2A", (), -50)])
    assert "Athena" in (older.note or "")
    assert "older" in (athena.note or "")


def test_the_strongest_comes_first_and_an_unknown_strength_last() -> None:
    seen = [
        Advertisement(f"00:00:00:00:00:0{n}", f"Ganglion-000{n}", (), rssi)
        for n, rssi in enumerate((-90, None, -40))
    ]
    assert [each.rssi for each in find_headsets(seen)] == [-40, -90, None]


def test_it_is_reached_by_what_brainflow_compares() -> None:
    named = [Advertisement(ADDRESS, "Ganglion-1a2b", (), -50)]
    urls = {
        system: find_headsets(named, system)[0].url.partition("?")[2]
        for system in ("linux", "darwin", "win32")
    }
    assert urls["linux"] == f"mac_address={ADDRESS}"
    assert urls["darwin"] == urls["win32"] == "serial_number=Ganglion-1a2b"
    nameless = [Advertisement(ADDRESS, None, (MUSE_SERVICE,), -50)]
    assert find_headsets(nameless, "darwin")[0].url == f"muse://?address={ADDRESS}"
    assert find_headsets(nameless, "win32")[1].url == f"brainflow://muse_2?mac_address={ADDRESS}"


def test_dongles_are_found_by_their_chip() -> None:
    ports = [
        USBPort("/dev/ttyUSB1", 0x1A86, 0x7523),
        USBPort("/dev/ttyUSB0", 0x0403, 0x6015),
        USBPort("/dev/ttyS0"),
        USBPort("/dev/ttyACM0", 0x2458, 0x0001),
    ]
    found = find_dongles(ports)
    assert [(each.name, each.title, each.way) for each in found] == [
        ("/dev/ttyACM0", "OpenBCI Ganglion", "serial"),
        ("/dev/ttyUSB0", "OpenBCI Cyton", "serial"),
        ("/dev/ttyUSB0", "OpenBCI Cyton Daisy", "serial"),
    ]
    assert found[1].url == "brainflow://cyton?serial_port=/dev/ttyUSB0"
    assert all(each.rssi is None and each.note for each in found)


def test_the_ports_of_this_machine_can_be_asked() -> None:
    assert all(each.way == "serial" for each in find_dongles())


def test_each_kind_has_a_url_that_opens_it() -> None:
    seen = [
        *(
            Advertisement(ADDRESS, f"{name}-1234", (), None)
            for name in (*NAME_PREFIXES, "Muse", "MuseS")
        ),
        Advertisement(ADDRESS, None, (MUSE_SERVICE,), None),
    ]
    ports = [USBPort("/dev/port", vid, pid) for vid, pid in DONGLES]
    found = [*find_headsets(seen, "linux"), *find_headsets(seen, "darwin"), *find_dongles(ports)]
    assert len(found) > 20
    for headset in found:
        info = open_driver(headset.url).info
        assert info.name == headset.title
        assert headset.url.rpartition("=")[2] in info.source_id
