"""The driver with apps that send real datagrams on the loopback interface."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, HasAuxiliary, HasBattery, LinkChange
from mimamba.drivers.errors import BadChannels, BadSource, DeviceNotFound, DriverError
from mimamba.drivers.open import open_driver, open_source
from mimamba.drivers.osc.driver import OSCDriver
from mimamba.drivers.url import parse_source
from tests.drivers.osc.apps import bundle, message, mind_monitor, petal, sending
from tests.ports import kept_udp_port
from tests.service.live import live

LONG = 60.0


@pytest.fixture
def port() -> Iterator[int]:
    """A UDP port that nothing else takes."""
    with kept_udp_port() as port:
        yield port


def url(port: int, rest: str = "", host: str = "127.0.0.1") -> str:
    return f"osc://{host}:{port}?timeout=60{rest}"


def send_all(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in datagrams:
            sender.sendto(each, ("127.0.0.1", port))


def take(driver: OSCDriver, count: int) -> list[Chunk]:
    """At least this many samples."""
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if sum(each.n_times for each in chunks) >= count:
            break
    return chunks


def opened(port: int, rest: str = "") -> OSCDriver:
    return OSCDriver(parse_source(url(port, rest)))


@pytest.mark.parametrize(("name", "make"), [("mindmonitor", mind_monitor), ("petal", petal)])
def test_the_samples_come_whole_and_in_order(
    port: int, name: str, make: Callable[[int], bytes]
) -> None:
    with sending(port, make), opened(port, f"&from={name}") as driver:
        chunks = take(driver, 600)
        assert driver.info.sfreq == 256
        assert driver.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
        assert driver.info.live
        assert not any("network" in each for each in driver.info.notices)
    data = np.concatenate([each.data for each in chunks])
    assert (np.diff(np.round(data[:, 0]).astype(int)) % 200 == 1).all()
    assert all(after.first == before.end for before, after in pairwise(chunks))


def test_every_address_says_so_and_battery_and_motion_are_read(port: int) -> None:
    with sending(port), OSCDriver(parse_source(url(port, host=""))) as driver:
        assert isinstance(driver, HasBattery)
        assert isinstance(driver, HasAuxiliary)
        assert driver.has_auxiliary
        assert any("Anyone on the network" in each for each in driver.info.notices)
        assert any("offset" in each for each in driver.info.notices)
        send_all(port, message("/muse/batt", 7700, 1, 1, 1), b"no OSC")
        for _ in range(60):
            send_all(port, message("/muse/gyro", 1.0, 2.0, 3.0))
        take(driver, 600)
        assert driver.battery == 77
        (info,) = {each.info for each in driver.take_auxiliary()}
        assert (info.name, info.unit) == ("rotation", "°/s")
        assert any("no OSC" in each for each in driver.take_remarks())


def test_the_first_sender_is_taken_and_the_others_are_named(port: int) -> None:
    with (
        sending(port),
        opened(port) as driver,
        sending(port, lambda _: message("/x/eeg", *[0.0] * 4)),
    ):
        chunks = take(driver, 700)
        remarks = driver.take_remarks()
    assert [each for each in remarks if "another sender at 127.0.0.1:" in each]
    data = np.concatenate([each.data for each in chunks])
    assert (np.diff(np.round(data[:, 0]).astype(int)) % 200 == 1).all()


def test_another_sender_follows_one_that_is_silent(port: int) -> None:
    with sending(port) as first, opened(port) as driver:
        first.stop()
        with sending(port):
            chunks = take(driver, 900)
        assert any("the samples come from" in each for each in driver.take_remarks())
    assert sum(each.n_times for each in chunks) >= 900


@pytest.mark.parametrize(
    ("rest", "make", "every", "expected", "remedy"),
    [
        ("", petal, 1, "layout of Mind Monitor", "Use from=petal"),
        ("&from=petal", mind_monitor, 1, "layout of Petal", "Use from=mindmonitor"),
        ("", lambda _: message("/muse/eeg", 1.0, 2.0), 1, "/muse/eeg with float, float", "from="),
        ("", lambda _: message("/muse/acc", 1.0, 2.0, 3.0), 1, "only /muse/acc", "raw EEG"),
        ("", lambda _: b"HTTP/1.1 200 OK\r\n", 1, "no OSC at UDP port", "another port"),
        ("", mind_monitor, 12, "about 256 samples per second", "every sample"),
        ("&sender=192.0.2.1", mind_monitor, 1, "none within", "firewall"),
        ("&channels=AUXR", mind_monitor, 1, "AUXR", ""),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_remedy(
    port: int, rest: str, make: Callable[[int], bytes], every: int, expected: str, remedy: str
) -> None:
    driver = OSCDriver(parse_source(f"osc://127.0.0.1:{port}?timeout=2{rest}"))
    with sending(port, make, every), pytest.raises(DriverError) as raised:
        driver.__enter__()
    text = str(raised.value)
    assert expected in text
    assert remedy in text
    assert "\n" not in text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))  # the port is free again


@pytest.mark.parametrize(
    "source",
    ["osc://nowhere:port", "osc://a@b:5000", "osc://:99999", "osc://?from=muse", "osc://?name=x"],
)
def test_a_wrong_url_is_refused(source: str) -> None:
    with pytest.raises(BadSource):
        open_driver(source)
    with pytest.raises(BadChannels):
        open_driver("osc://?channels=Cz")


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        driver = opened(taken.getsockname()[1])
        with pytest.raises(BadSource, match="cannot be used"):
            driver.__enter__()


def test_closing_ends_the_search_and_the_iteration(port: int) -> None:
    driver = OSCDriver(parse_source(f"osc://127.0.0.1:{port}?timeout=600"))
    threading.Timer(0.2, driver.close).start()
    with pytest.raises(DeviceNotFound):
        driver.__enter__()
    with sending(port), opened(port) as driver:
        assert next(iter(driver)).n_times
        threading.Timer(0.2, driver.close).start()
        for _ in driver:
            """What comes until then."""
        assert list(driver) == []


def test_a_silence_is_a_lost_link_that_mends_itself(port: int) -> None:
    changes: list[LinkChange] = []
    with sending(port) as app, open_source(url(port), changes.append) as driver:
        chunks: list[Chunk] = []
        end = time.monotonic() + LONG

        def read(condition: Callable[[], bool]) -> None:
            for chunk in driver:
                chunks.append(chunk)
                if condition():
                    return
                assert time.monotonic() < end, changes

        read(lambda: len(chunks) > 5)
        app.silent = True
        threading.Timer(4.0, lambda: setattr(app, "silent", False)).start()
        read(lambda: [each.state for each in changes] == ["connected", "lost", "connected"])
        read(lambda: chunks[-1].timestamps[-1] > changes[-1].timestamp + 0.5)
    gaps = [after.first - before.end for before, after in pairwise(chunks)]
    (gap,) = [each for each in gaps if each]
    assert gap > 2 * 256


def test_a_session_that_is_opened_over_the_api_has_motion_and_battery_of_an_app(port: int) -> None:
    acceleration = message("/muse/acc", 0.0, 0.0, 1.0)

    def sample(k: int) -> bytes:
        return bundle([mind_monitor(k), *([acceleration] if k % 5 == 0 else [])])

    with sending(port, sample), live(model="none") as service:
        made = service.http.post("/v1/sessions", json={"source": url(port), "model": "none"})
        assert made.status_code == 201
        (name,) = service.sessions()
        send_all(port, message("/muse/batt", 5000, 1, 1, 1))
        session = service.server._app.state.running.sessions.get(name)
        service.until(lambda: session.logs.log("motion").next > 0)
        service.until(lambda: session.battery == 50)
        assert service.sessions()[name]["info"]["name"] == "Mind Monitor"
