"""The driver, through the real bleak and a D-Bus of its own, at Muses made for each test."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.bluetooth_errors import ALLOW, START_BLUEZ, SWITCH_ON
from mimamba.drivers.driver import Chunk, Driver, HasAuxiliary, HasBattery, LinkChange
from mimamba.drivers.errors import BadChannels, BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.muse import search
from mimamba.drivers.muse.driver import MuseDriver
from mimamba.drivers.muse.headset_connection import (
    CONNECTION_TIMES,
    UPDATE,
    ConnectionTimes,
    HeadsetConnection,
)
from mimamba.drivers.muse.packets import ATHENA_UV_PER_BIT
from mimamba.drivers.open import open_driver, open_source
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import parse_source
from tests.drivers.discovery.bluez import Adapter, bluez, system_bus
from tests.drivers.discovery.test_bluetooth_scan import GANGLION, OTHERS, sentence
from tests.drivers.muse.notifications import RECORDED, Notification, classic, recorded
from tests.drivers.muse.peripheral import TABLES, MusePeripheral
from tests.drivers.muse.test_receiver import check_values, indices, receive

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="BlueZ is Linux's Bluetooth"
)
ADDRESS = "00:55:DA:B0:3F:2A"
LONG = 30.0
"""Seconds after which what should come is not awaited any more."""


def muse(name: str = "Muse-3F2A", **facts: object) -> MusePeripheral:
    """A Muse 2 that sends for half a minute, unless the test says otherwise."""
    made = MusePeripheral(ADDRESS, name)
    defaults: dict[str, object] = {"script": list(classic(LONG))}
    for key, value in (defaults | facts).items():
        setattr(made, key, value)
    made.__post_init__()
    return made


def read(driver: Driver, enough: Callable[[list[Chunk]], bool]) -> list[Chunk]:
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if enough(chunks):
            break
    return chunks


def samples(n: int) -> Callable[[list[Chunk]], bool]:
    return lambda chunks: chunks[-1].end >= n


NOT_LONG = "muse://?timeout=1"
"""For what is not heard; what is heard may take longer on a busy machine."""


PATIENT = f"muse://?timeout={LONG:g}"


def refused(url: str = PATIENT, times: ConnectionTimes = CONNECTION_TIMES) -> str:
    with pytest.raises(DeviceNotFound) as caught:
        MuseDriver(parse_source(url), times).__enter__()
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["muse://", "muse://Muse-3F2A", "muse://muse-3f2a", f"muse://?address={ADDRESS.lower()}"],
)
def test_a_muse_is_found_read_and_released(url: str) -> None:
    near = muse()
    other = replace(near, address="00:55:DA:B0:11:22", name="Muse-1122")
    others = [*OTHERS, GANGLION] + ([] if url == "muse://" else [other])
    with bluez(Adapter(devices=[*others, near])):
        with open_driver(url) as driver:
            assert driver.info.name == "Muse 2"
            assert driver.info.source_id == f"muse:Muse-3F2A:{ADDRESS}"
            assert driver.info.uv_per_bit == 125 / 256
            chunks = read(driver, samples(512))
            assert isinstance(driver, HasBattery)
            assert driver.battery == 75.0
        assert near.free.wait(LONG)
    check_values(chunks, 0)
    assert indices(chunks) == list(range(chunks[-1].end))
    assert abs(chunks[-1].timestamps[-1] - local_clock()) < LONG
    assert near.commands == ["v1", "s", "h", "p50", "d", "h"]
    assert other.connections == 0


@pytest.mark.parametrize("model", [model for model in TABLES if model != "too old"])
def test_each_model_is_known_by_its_characteristics(model: str, shared_data: Path) -> None:
    athena = model == "Muse S Athena"
    script = recorded(shared_data, "p20") if athena else list(classic(LONG))
    named = "MuseS-3F2A" if "S" in model else "Muse-3F2A"
    near = muse(named, model=model, script=script)
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        info = driver.info
        read(driver, samples(200))
    assert info.name == model
    presets = {"Muse 2016": "p21", "Muse 2": "p50", "Muse S": "p61", "Muse S Athena": "p1035"}
    assert presets[model] in near.commands
    assert ("dc001" in near.commands) == athena


def test_what_else_it_measures_comes_as_auxiliary_samples() -> None:
    with bluez(Adapter(devices=[muse()])), open_driver("muse://") as driver:
        assert isinstance(driver, HasAuxiliary)
        chunks = read(driver, samples(768))
        found = driver.take_auxiliary()
    assert {chunk.info.name for chunk in found} == {"ppg", "acceleration", "rotation"}
    for name in ("ppg", "acceleration", "rotation"):
        of_one = [chunk for chunk in found if chunk.info.name == name]
        assert indices(of_one) == list(range(len(indices(of_one))))
        stamps = np.concatenate([chunk.timestamps for chunk in of_one])
        assert abs(stamps[-1] - chunks[-1].timestamps[-1]) < 1.0


@pytest.mark.parametrize("preset", RECORDED)
def test_a_recorded_athena_comes_through_unchanged(shared_data: Path, preset: str) -> None:
    """Sample by sample what the decoder makes of the same notifications."""
    script = recorded(shared_data, preset)
    values = np.concatenate([chunk.data for chunk in receive(script)[0]])
    near = muse("MuseS-3F2A", model="Muse S Athena", script=script)
    with bluez(Adapter(devices=[near])), open_driver("muse://MuseS-3F2A") as driver:
        assert driver.info.uv_per_bit == ATHENA_UV_PER_BIT
        chunks = read(driver, samples(1024))
    for chunk in chunks:
        assert np.array_equal(chunk.data, values[chunk.first : chunk.end])
    assert indices(chunks) == list(range(chunks[-1].end))
    assert near.commands[:4] == ["v6", "s", "h", "p1035"]
    assert "k" not in near.commands


def bad_radio(seed: int) -> list[Notification]:
    """A Muse 2's notifications with losses, repeats, and some that are overtaken."""
    rng = np.random.default_rng(seed)
    sent: list[Notification] = []
    for k, each in enumerate(classic(LONG)):
        if k > 20 and rng.random() < 0.02:
            continue
        sent.append(each)
        if rng.random() < 0.05:
            sent.append(each)
        if k > 20 and rng.random() < 0.05:
            sent.append(replace(each, at=each.at + rng.uniform(0, 0.05)))
    return sorted(sent, key=lambda each: each.at)


def test_a_bad_radio_gives_gaps_and_never_shifts() -> None:
    near = muse(script=bad_radio(14))
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        chunks = read(driver, samples(256 * 4))
    check_values(chunks, 0)
    found = indices(chunks)
    assert len(found) < found[-1]
    assert all(
        index % 12 == 0
        for index, before in zip(found[1:], found, strict=False)
        if index != before + 1
    )


def test_slow_notifications_are_the_same_samples() -> None:
    """All that came in a second, at once, after it."""
    stalled = [replace(each, at=2.0) if 1.0 < each.at < 2.0 else each for each in classic(LONG)]
    with bluez(Adapter(devices=[muse(script=stalled)])), open_driver("muse://") as driver:
        chunks = read(driver, samples(256 * 4))
    check_values(chunks, 0)
    assert indices(chunks) == list(range(chunks[-1].end))


def test_channels_are_chosen_and_named() -> None:
    url = "muse://?channels=TP10,AF7&names=T8,Fp1"
    with bluez(Adapter(devices=[muse()])), open_driver(url) as driver:
        assert driver.info.ch_names == ("T8", "Fp1")
        (chunk,) = read(driver, samples(12))[:1]
    assert chunk.data.shape[1] == 2
    assert chunk.data[0, 0] > chunk.data[0, 1]  # part 3 before part 1


def test_a_disconnection_is_reported() -> None:
    with (
        bluez(Adapter(devices=[muse(drop_after=300)])),
        open_driver("muse://") as driver,
        pytest.raises(StreamLost, match="disconnection"),
    ):
        read(driver, lambda _: False)


def test_the_supervisor_connects_again() -> None:
    near = muse(drop_after=300)
    changes: list[LinkChange] = []
    with bluez(Adapter(devices=[near])), open_source("muse://", changes.append) as driver:
        chunks = read(driver, lambda _: near.connections == 2 and changes[-1].state == "connected")
        chunks += read(driver, samples(chunks[-1].end + 256))
        assert isinstance(driver, HasAuxiliary)
        moved = [each for each in driver.take_auxiliary() if each.info.name == "acceleration"]
    # Of both connections: the numbers start anew, the timestamps go on.
    assert [each.first for each in moved].count(0) == 2
    assert (np.diff(np.concatenate([each.timestamps for each in moved])) > 0).all()
    states = [change.state for change in changes]
    assert states[0] == states[-1] == "connected"
    assert states[1] == "lost"
    assert "Muse-3F2A" in changes[1].detail
    jumps = [after.first - before.end for before, after in pairwise(chunks)]
    assert max(jumps) > 12


def test_a_headset_that_does_not_follow_is_told_again() -> None:
    near = muse(deaf=1)
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        read(driver, samples(100))
    assert near.commands.count("d") == 2


def test_a_headset_that_answers_no_command_is_read_all_the_same() -> None:
    near = muse(answers_commands=False)
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        read(driver, samples(100))


def test_it_is_kept_awake() -> None:
    near = muse()
    often = MuseDriver(parse_source("muse://"), ConnectionTimes(keep_alive=0.2))
    with bluez(Adapter(devices=[near])), often as driver:
        read(driver, lambda _: near.commands.count("k") >= 2)


def test_closing_ends_the_iteration_from_another_thread() -> None:
    near = muse(script=list(classic(1.0)))  # silent afterwards
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        timer = threading.Timer(0.3, driver.close)
        timer.start()
        read(driver, lambda _: False)
        timer.join()
        driver.close()
    assert near.commands[-1] == "h"


def test_a_system_that_does_not_disconnect_holds_nobody_up() -> None:
    near = muse(answers_disconnect=False)
    with bluez(Adapter(devices=[near])):
        with open_driver("muse://") as driver:
            read(driver, samples(24))
        assert near.commands[-1] == "h"
        assert not near.free.is_set()


def test_two_headsets_are_read_at_once() -> None:
    names = ("Muse-3F2A", "Muse-1122")
    near = muse(names[0])
    other = replace(near, address="00:55:DA:B0:11:22", name=names[1])
    found: dict[str, list[Chunk]] = {}

    def follow(name: str) -> None:
        with open_driver(f"muse://{name}?timeout={2 * LONG:g}") as driver:
            assert name in driver.info.source_id
            found[name] = read(driver, samples(300))

    with bluez(Adapter(devices=[near, other])):
        threads = [threading.Thread(target=follow, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in names:
        check_values(found[name], 0)


def test_no_thread_and_no_descriptor_is_left() -> None:
    descriptors = Path("/proc/self/fd")
    with bluez(Adapter(devices=[muse()])):
        counts = []
        for _ in range(4):
            with open_driver("muse://") as driver:
                read(driver, samples(24))
            gc.collect()
            counts.append(len(list(descriptors.iterdir())))
        assert not [each for each in threading.enumerate() if each.name == "muse"]
    assert counts[-1] <= counts[1]


def test_none_near_is_reported() -> None:
    with bluez(Adapter(devices=[*OTHERS, GANGLION])):
        assert (
            refused(NOT_LONG)
            == f"Expected a Muse, but found none within 1 s. {sentence(search.NEAR)}"
        )
    with bluez(Adapter(devices=[muse()])):
        assert refused("muse://Muse-0000?timeout=1").startswith(
            "Expected the headset Muse-0000, but found none within 1 s."
        )
        assert "the Muse at 00:11" in refused("muse://?address=00:11&timeout=1")


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        (None, "but found no adapter. Plug in an adapter"),
        (Adapter(powered=False), f"but found an adapter that is off. {sentence(SWITCH_ON)}"),
        (
            Adapter(refusal="org.bluez.Error.NotAuthorized"),
            f"but found no permission. {sentence(ALLOW)}",
        ),
    ],
    ids=["no adapter", "off", "not allowed"],
)
def test_what_keeps_bluetooth_from_working_is_reported(adapter: Adapter | None, words: str) -> None:
    with bluez(adapter):
        assert words in refused()


def test_a_bus_without_bluez_is_reported() -> None:
    with system_bus():
        assert sentence(START_BLUEZ) in refused()


def test_a_bus_that_allows_nothing_is_reported() -> None:
    with system_bus(calls="deny"):
        assert f"found no permission. {sentence(ALLOW)}" in refused()


def test_no_bus_is_reported() -> None:
    assert "found no system D-Bus (No such file or directory). Install" in refused()


def test_a_bluez_that_does_not_answer_is_reported() -> None:
    with bluez(Adapter(silent=True)):
        silent = refused(times=ConnectionTimes(answer=0.3))
    assert "found no answer from the system's Bluetooth" in silent


TAKEN = f"another program that uses it. {sentence(search.RELEASE)}"


@pytest.mark.parametrize("url", [NOT_LONG, "muse://Muse-3F2A"])
def test_a_headset_that_another_program_reads_is_reported(url: str) -> None:
    with bluez(Adapter(devices=[muse(held_by=":1.99")])):
        assert TAKEN in refused(url)


def test_two_drivers_do_not_share_a_headset() -> None:
    with bluez(Adapter(devices=[muse()])), open_driver("muse://") as driver:
        read(driver, samples(24))
        # The double says at each look what is notified now.
        assert TAKEN in refused("muse://Muse-3F2A")
        read(driver, samples(48))


def test_the_connection_of_a_program_that_crashed_is_taken_over() -> None:
    near = muse(held_by="")
    with bluez(Adapter(devices=[near])), open_driver("muse://") as driver:
        read(driver, samples(24))
    assert near.connections == 0


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (("org.bluez.Error.InProgress", "Operation already in progress"), TAKEN),
        (("org.bluez.Error.Failed", "le-connection-busy"), TAKEN),
        (("org.bluez.Error.Failed", "Software caused"), "Software caused"),
        (("org.bluez.Error.NotReady", "Resource Not Ready"), sentence(SWITCH_ON)),
    ],
)
def test_a_connection_that_fails_is_reported(refusal: tuple[str, str], words: str) -> None:
    with bluez(Adapter(devices=[muse(refusal=refusal)])):
        found = refused()
    assert found.startswith("Expected Muse-3F2A, but found ")
    assert words in found


def test_a_headset_that_does_not_answer_is_reported() -> None:
    with bluez(Adapter(devices=[muse(answers_connect=False)])):
        assert "found no answer to connecting." in refused(times=ConnectionTimes(connect=0.3))


def test_an_old_firmware_is_reported() -> None:
    update = sentence(UPDATE)
    with bluez(Adapter(devices=[muse(model="too old", firmware="0.9.1")])):
        assert refused() == (
            f"Expected EEG from Muse-3F2A, but found a firmware 0.9.1 that offers none. {update}"
        )
    near = muse(deaf=99)
    with bluez(Adapter(devices=[near])):
        assert refused(times=ConnectionTimes(first=0.4)) == (
            f"Expected EEG from Muse-3F2A, but found none within 0.4 s (firmware 1.2.13). {update}"
        )
        assert near.free.wait(LONG)


def test_a_headset_in_its_bootloader_is_restarted_and_reported() -> None:
    near = muse(bootloader=True)
    with bluez(Adapter(devices=[near])):
        assert "waited in its bootloader and restarts now. Connect again" in refused()
    assert near.commands == ["v1", "*1"]


def test_breaking_off_a_search_leaves_no_scan() -> None:
    adapter = Adapter(devices=[])
    with bluez(adapter):
        connection = HeadsetConnection(search.WantedHeadset(), 100 * LONG)

        def close() -> None:
            assert adapter.busy.wait(LONG)
            connection.close()

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(DeviceNotFound):
            connection.open()
        closer.join()
        assert adapter.idle.wait(LONG)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("muse://muse_2", BadSource),
        ("muse://Muse-3F2A?address=00:11", BadSource),
        ("muse://?address=", BadSource),
        ("muse://?mac_address=00:11", BadSource),
        ("muse://?timeout=0", BadSource),
        ("muse://?channels=Fp1", BadChannels),
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_driver(url)


def test_a_word_without_a_scheme_is_hinted_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSource, match="Write muse://"):
        open_driver("muse")


@contextmanager
def opened() -> Iterator[Driver]:
    with bluez(Adapter(devices=[muse()])), open_driver("muse://") as driver:
        yield driver


def test_it_keeps_the_contract() -> None:
    with pytest.raises(RuntimeError, match="enter"):
        next(iter(open_driver("muse://")))
    with opened() as driver:
        chunks = read(driver, samples(200))
        driver.close()
        assert list(driver) == []
    stamps = np.concatenate([chunk.timestamps for chunk in chunks])
    assert (np.diff(stamps) > 0).all()
    assert all(chunk.data.dtype == np.float32 for chunk in chunks)
