"""Outlets as other programs see them: found, described, recorded."""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import Any, Self
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Marker, StreamInfo
from mimamba.drivers.lsl.description import read_description
from mimamba.drivers.lsl.outlet import SignalOutlet
from mimamba.drivers.open import open_driver
from mimamba.drivers.timing.clock import local_clock

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

SFREQ = 256.0
INFO = StreamInfo(
    "A headset", "/home/somebody/a.csv", SFREQ, ("TP9", "AF7", "AF8", "TP10"), 0.5, 1000.0
)
EVENTUALLY = 60.0
OFFSET = 0.01
"""How wrong a clock's offset may be, s: see tests/conftest.py."""


def chunk(first: int, n_times: int, start: float, *markers: Marker) -> Chunk:
    index = first + np.arange(n_times)
    data = (index[:, None] * [1, -1, 0.5, 100]).astype(np.float32)
    return Chunk(data, start + index / SFREQ, first, markers=markers)


class Reader:
    """An inlet on a stream of some name, as any LSL program would open it."""

    def __init__(self, name: str) -> None:
        (self.info,) = pylsl.resolve_byprop("name", name, 1, EVENTUALLY)
        self.inlet = pylsl.StreamInlet(self.info, recover=False)
        self.inlet.open_stream(EVENTUALLY)
        self.rows: list[list[Any]] = []
        self.stamps: list[float] = []
        self.thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Read to the stream's end."""
        self.thread.join()

    def _read(self) -> None:
        until = time.monotonic() + EVENTUALLY
        with suppress(pylsl.util.LostError):
            while time.monotonic() < until:
                rows, stamps = self.inlet.pull_chunk(0.05)
                self.rows += rows
                self.stamps += stamps


def wait_for_rows(signal: Reader, n_rows: int, markers: Reader, n_markers: int) -> None:
    end = time.monotonic() + EVENTUALLY
    while len(signal.stamps) < n_rows or len(markers.stamps) < n_markers:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_samples_stamps_and_markers_come_as_they_were_pushed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"outlet {uuid4()}"
    start = local_clock()
    go = Marker(start + 30.4 / SFREQ, 30, "go ö", "a program")
    chunks = [chunk(0, 24, start), chunk(24, 12, start, go), chunk(500, 12, start)]
    with ExitStack() as readers, SignalOutlet(INFO, name) as outlet:
        signal = readers.enter_context(Reader(name))
        markers = readers.enter_context(Reader(f"{name} markers"))
        for each in chunks:
            outlet.push(each)
        # Nothing is lost although the streams end at once: they linger, here until all is read.
        lingers = SimpleNamespace(sleep=lambda _: wait_for_rows(signal, 48, markers, 1))
        monkeypatch.setattr("mimamba.drivers.lsl.outlet.time", lingers)
    np.testing.assert_array_equal(signal.rows, np.concatenate([each.data for each in chunks]))
    np.testing.assert_array_equal(
        signal.stamps, np.concatenate([each.timestamps for each in chunks])
    )
    assert markers.rows == [["go ö"]]
    assert markers.stamps == [go.timestamp]


def test_the_streams_describe_themselves_as_a_headset() -> None:
    name = f"outlet {uuid4()}"
    with SignalOutlet(INFO, name):
        signal, markers = Reader(name), Reader(f"{name} markers")
        xml, marker_info = signal.inlet.info(EVENTUALLY).as_xml(), markers.info
    info = signal.info
    assert (info.type(), info.nominal_srate(), info.channel_count()) == ("EEG", SFREQ, 4)
    assert info.channel_format() == pylsl.cf_float32
    described = read_description(xml, 4)
    assert described.labels == INFO.ch_names
    assert described.factors == (1.0,) * 4
    assert described.notices == ()
    assert {each.text for each in ET.fromstring(xml).iterfind("desc/channels/channel/type")} == {
        "EEG"
    }
    acquisition = ET.fromstring(xml).find("desc/acquisition")
    assert acquisition is not None
    assert {each.tag: each.text for each in acquisition} == {
        "model": "A headset",
        "simulated": "0",
        "uv_per_bit": "0.5",
        "range_uv": "1000.0",
    }
    assert marker_info.type() == "Markers"
    assert marker_info.channel_format() == pylsl.cf_string
    assert marker_info.nominal_srate() == 0
    assert info.source_id() != marker_info.source_id()
    assert "somebody" not in xml


def test_a_restart_is_the_same_stream() -> None:
    ids = []
    name = f"outlet {uuid4()}"
    for _ in range(2):
        with SignalOutlet(INFO, name):
            ids.append(Reader(name).info.source_id())
    assert ids[0] == ids[1]
    with SignalOutlet(INFO, f"{name} 2"):
        assert Reader(f"{name} 2").info.source_id() != ids[0]


def test_our_own_driver_reads_what_it_sends() -> None:
    name = f"outlet {uuid4()}"
    stop = threading.Event()
    sent: list[Chunk] = []

    def send() -> None:
        url = "simulate://?scenario=tour&seed=3"
        with open_driver(url) as driver, SignalOutlet(driver.info, name) as outlet:
            ready.set()
            for each in driver:
                if stop.is_set():
                    return
                sent.append(each)
                outlet.push(each)

    ready = threading.Event()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert ready.wait(EVENTUALLY)
        seen: list[Chunk] = []
        url = f"lsl://?name={name}&markers=1&timeout={EVENTUALLY:g}"
        with open_driver(url) as driver:
            assert driver.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
            assert driver.info.notices == ()
            for each in driver:
                seen.append(each)
                if each.end > 256:
                    break
    finally:
        stop.set()
        sender.join()
    data, stamps, index = joined(seen)
    sent_data, sent_stamps, sent_index = joined(sent)
    (start,) = np.flatnonzero((sent_data == data[0]).all(axis=1))
    rows = slice(start, start + len(data))
    np.testing.assert_array_equal(data, sent_data[rows])
    np.testing.assert_array_equal(index, sent_index[rows] - sent_index[start])
    np.testing.assert_allclose(stamps, sent_stamps[rows], atol=OFFSET)


def joined(
    chunks: list[Chunk],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    return (
        np.concatenate([each.data for each in chunks]),
        np.concatenate([each.timestamps for each in chunks]),
        np.concatenate([np.arange(each.first, each.end) for each in chunks]),
    )
