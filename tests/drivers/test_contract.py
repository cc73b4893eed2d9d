"""What ``drivers.driver.Driver`` promises, asked of every driver that needs no hardware."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, Driver
from mimamba.drivers.errors import BadChannels, BadSource, DriverError
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock
from tests.drivers.brainflow.cyton import Cyton
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.formats.files import FORMATS
from tests.drivers.formats.xdf import xdffile
from tests.drivers.muse.notifications import classic
from tests.drivers.muse.peripheral import MusePeripheral
from tests.drivers.osc.apps import sending
from tests.ports import kept_udp_port

SFREQ = 256.0
EVENTUALLY = 60.0
SOURCES = (
    "simulate",
    "simulate with losses",
    "replay of a muse-lsl CSV",
    "replay of an XDF",
    "replay of an XDF with losses",
    "replay as fast as taken",
    *(f"format: {name}" for name in FORMATS),
    "brainflow",
    "a Cyton on a pseudo-terminal",
    "a Muse at a BlueZ of its own",
    "an app that sends OSC",
    "lsl",
)


@contextmanager
def outlet() -> Iterator[str]:
    """A sender of four channels at 256 Hz, and its URL."""
    lsl = pytest.importorskip("pylsl", exc_type=ImportError)
    source_id = str(uuid4())
    sender = lsl.StreamOutlet(
        lsl.StreamInfo("Contract", "EEG", 4, SFREQ, "float32", source_id), chunk_size=12
    )
    ended = threading.Event()

    def send() -> None:
        start, sent = local_clock(), 0
        while not ended.wait(0.02):
            due = int((local_clock() - start) * SFREQ)
            for k in range(sent, due):
                sender.push_sample([float(k % 100)] * 4, start + k / SFREQ)
            sent = max(sent, due)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"lsl://?source_id={source_id}"
    finally:
        ended.set()
        thread.join()


@contextmanager
def app() -> Iterator[str]:
    """A sender of OSC, and its URL."""
    with kept_udp_port() as port, sending(port):
        yield f"osc://127.0.0.1:{port}?from=mindmonitor"


SENDERS = {"lsl": outlet, "an app that sends OSC": app}


def write_csv(path: Path) -> Path:
    rows = [f"{7 + k / SFREQ:.3f},{k % 9},{k % 8},{k % 7},{k % 6},0" for k in range(3000)]
    path.write_text("\n".join(["timestamps,TP9,AF7,AF8,TP10,Right AUX", *rows, ""]))
    return path


def write_xdf(path: Path, lost: range) -> Path:
    stamps = [7 + k / SFREQ for k in range(3000) if k not in lost]
    path.write_bytes(xdffile.recording(stamps))
    return path


@contextmanager
def source(name: str, folder: Path) -> Iterator[str]:
    """The URL of a source, with what it needs."""
    if name in SENDERS:
        with SENDERS[name]() as url:
            yield url
    elif "Cyton" in name:
        if sys.platform == "win32":
            pytest.skip("pseudo-terminals are a thing of Unix")
        with Cyton() as cyton:
            yield f"brainflow://cyton?serial_port={cyton.port}"
    elif "Muse" in name:
        if not sys.platform.startswith("linux"):
            pytest.skip("BlueZ is Linux's Bluetooth")
        muse = MusePeripheral("00:55:DA:B0:3F:2A", "Muse-3F2A", script=list(classic(60.0)))
        with bluez(Adapter(devices=[muse])):
            yield "muse://?timeout=30"
    elif name.startswith("format: "):
        path = FORMATS[name.removeprefix("format: ")](folder, 1500)
        yield f"replay://{quote(str(path))}?speed=max"
    elif name == "brainflow":
        pytest.importorskip("brainflow")
        yield "brainflow://synthetic?"
    elif name.startswith("simulate"):
        yield "simulate://?loss=0.3,0.12" if "losses" in name else "simulate://?"
    elif "CSV" in name:
        yield f"replay://{write_csv(folder / 'muse.csv')}?speed=1"
    else:
        lost = range(60, 100) if "losses" in name else range(0)
        speed = "max" if "fast" in name else "1"
        yield f"replay://{write_xdf(folder / 'muse.xdf', lost)}?speed={speed}"


@pytest.fixture(scope="module", params=SOURCES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def url(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with source(name, tmp_path_factory.mktemp("source")) as url:
        yield url


def take(driver: Driver, n_times: int) -> list[Chunk]:
    """Chunks with at least so many samples."""
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if sum(chunk.n_times for chunk in chunks) >= n_times:
            break
    return chunks


def test_info_is_complete_on_entry(url: str) -> None:
    with open_driver(url) as driver:
        info = driver.info
        assert info.name
        assert info.source_id
        assert info.sfreq > 0
        assert len(set(info.ch_names)) == info.n_channels > 0
        assert all(info.ch_names)
        take(driver, 12)
        assert driver.info == info


def test_what_comes(name: str, url: str) -> None:
    with open_driver(url) as driver:
        info = driver.info
        chunks = take(driver, 180)
        now = local_clock()
    for chunk in chunks:
        assert chunk.data.dtype == np.float32
        assert chunk.data.shape == (chunk.n_times, info.n_channels)
        assert chunk.n_times > 0
        assert chunk.data.flags.c_contiguous
        assert np.isfinite(chunk.data).all()
        assert chunk.timestamps.dtype == np.float64
        assert chunk.timestamps.shape == (chunk.n_times,)
    assert chunks[0].first == 0
    assert {chunk.epoch for chunk in chunks} == {0}
    jumps = [after.first - before.end for before, after in pairwise(chunks)]
    assert min(jumps) >= 0
    assert (max(jumps) > 0) == ("losses" in name)
    timestamps = np.concatenate([chunk.timestamps for chunk in chunks])
    index = np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])
    steps = np.diff(timestamps)
    assert np.all(steps > 0)
    assert np.median(steps) == pytest.approx(1 / info.sfreq, rel=0.1)
    late = np.diff(index) - steps * info.sfreq  # a jump of first is one of the timestamps
    assert np.all(late[np.diff(index) > 1] < 2)
    assert abs(timestamps[-1] - now) < 60  # on the LSL clock


def test_markers_lie_in_their_chunk_or_before_it(url: str) -> None:
    with open_driver(url) as driver:
        chunks = take(driver, 150)
    end = 0
    for chunk in chunks:
        for marker in chunk.markers:
            assert end <= marker.index < chunk.end
        end = chunk.end


def test_arrays_are_not_written_again(url: str) -> None:
    with open_driver(url) as driver:
        kept = [(chunk, chunk.data.copy(), chunk.timestamps.copy()) for chunk in take(driver, 24)]
        take(driver, 48)
    for chunk, data, timestamps in kept:
        np.testing.assert_array_equal(chunk.data, data)
        np.testing.assert_array_equal(chunk.timestamps, timestamps)


def test_close_twice_and_nothing_comes_after(url: str) -> None:
    with open_driver(url) as driver:
        take(driver, 12)
        driver.close()
        driver.close()
        assert list(driver) == []
    driver.close()


def test_close_from_another_thread_ends_the_iteration(url: str) -> None:
    started = threading.Event()

    def read(driver: Driver) -> None:
        for _ in driver:
            started.set()

    with open_driver(url) as driver:
        reader = threading.Thread(target=read, args=(driver,))
        reader.start()
        assert started.wait(EVENTUALLY)
        driver.close()
        reader.join(EVENTUALLY)
        assert not reader.is_alive()


def test_a_source_can_be_opened_again_even_after_an_error(url: str) -> None:
    with pytest.raises(ZeroDivisionError), open_driver(url) as driver:
        raise ZeroDivisionError(len(take(driver, 12)))
    with open_driver(url) as driver:
        (chunk, *_) = take(driver, 12)
    assert (chunk.first, chunk.epoch) == (0, 0)


def test_channels_and_names(url: str) -> None:
    with open_driver(f"{url}&channels=2,1&names=left,right") as driver:
        assert driver.info.ch_names == ("left", "right")
        (chunk, *_) = take(driver, 12)
        assert chunk.data.shape[1] == 2
    with pytest.raises(BadChannels), open_driver(f"{url}&channels=no such channel"):
        pass


def test_unknown_parameters_are_refused(url: str) -> None:
    with pytest.raises(BadSource, match="no_such_parameter") as caught:
        open_driver(f"{url}&no_such_parameter=1")
    assert "\n" not in str(caught.value)


def test_it_must_be_entered_first(url: str) -> None:
    driver = open_driver(url)
    with pytest.raises((RuntimeError, DriverError)):
        next(iter(driver))
