"""LSL for real: outlets of this process, found and read over loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Driver, StreamInfo
from mimamba.drivers.errors import BadChannels, BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.lsl.description import read_description
from mimamba.drivers.open import open_driver
from mimamba.drivers.supervision.device_connection import Timeouts
from mimamba.drivers.supervision.supervisor import Supervisor
from mimamba.drivers.timing.clock import local_clock

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

SFREQ = 250.0
EVENTUALLY = 60.0
OFFSET = 0.01
"""How wrong a clock's offset may be, s: half of the longest round trip that is waited for, as
tests/conftest.py sets it."""


class Sender:
    """An outlet that starts to send once somebody listens."""

    def __init__(
        self,
        n_channels: int = 4,
        labels: tuple[str, ...] = ("TP9", "AF7", "AF8", "TP10"),
        unit: str | None = "microvolts",
        kind: str = "EEG",
        sfreq: float = SFREQ,
        sample_format: str = "float32",
        name: str | None = None,
        source_id: str | None = None,
    ) -> None:
        self.name = name or f"sender {uuid4()}"
        self.source_id = source_id or str(uuid4())
        info = pylsl.StreamInfo(self.name, kind, n_channels, sfreq, sample_format, self.source_id)
        channels = info.desc().append_child("channels")
        for label in labels:
            channel = channels.append_child("channel").append_child_value("label", label)
            if unit is not None:
                channel.append_child_value("unit", unit)
        self.outlet: Any = pylsl.StreamOutlet(info)
        self.threads: list[threading.Thread] = []

    @property
    def impatient(self) -> str:
        """Its URL without a timeout."""
        return f"lsl://?source_id={self.source_id}"

    @property
    def url(self) -> str:
        return f"{self.impatient}&timeout={EVENTUALLY:g}"

    def send(self, data: NDArray[Any], stamps: NDArray[np.float64]) -> None:
        """In the background, as soon as there is a listener."""
        thread = threading.Thread(target=self._send, args=(self.outlet, data, stamps))
        self.threads.append(thread)
        thread.start()

    @staticmethod
    def _send(outlet: Any, data: NDArray[Any], stamps: NDArray[np.float64]) -> None:
        if outlet.wait_for_consumers(EVENTUALLY):
            for row, stamp in zip(data.tolist(), stamps.tolist(), strict=True):
                outlet.push_sample(row, stamp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join()
        self.outlet = None


@contextmanager
def sending(
    n_times: int = 500, edit: Callable[[NDArray[np.float64]], object] = len, **facts: Any
) -> Iterator[tuple[Sender, NDArray[Any], NDArray[np.float64]]]:
    """A sender of ramps, stamped up to now; ``edit`` changes the stamps."""
    with Sender(**facts) as sender:
        n_channels = facts.get("n_channels", 4)
        data = np.arange(n_times)[:, None] % 100 + 100 * np.arange(n_channels)
        stamps = local_clock() + (np.arange(n_times) - n_times) / SFREQ
        edit(stamps)
        sender.send(data, stamps)
        yield sender, data, stamps


def take(driver: Driver, n_times: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if sum(chunk.n_times for chunk in chunks) >= n_times:
            break
    return chunks


def read_to(chunks: Iterator[Chunk], end: int) -> Chunk:
    """The chunk that ends with the sample before ``end``."""
    while (chunk := next(chunks)).end < end:
        pass
    assert chunk.end == end
    return chunk


def values(chunks: list[Chunk]) -> NDArray[np.float32]:
    return np.concatenate([chunk.data for chunk in chunks])


def times(chunks: list[Chunk]) -> NDArray[np.float64]:
    return np.concatenate([chunk.timestamps for chunk in chunks])


def test_a_stream_comes_as_it_was_sent() -> None:
    with sending() as (sender, data, stamps), open_driver(sender.url) as driver:
        info = driver.info
        chunks = take(driver, 500)
    assert info.name == sender.name
    assert info.source_id == f"lsl:{sender.source_id}"
    assert info.sfreq == SFREQ
    assert info.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert info.live
    assert info.notices == ()
    assert chunks[0].first == 0
    assert chunks[-1].end == 500
    assert chunks[0].data.dtype == np.float32
    np.testing.assert_array_equal(values(chunks), data)
    np.testing.assert_allclose(times(chunks), stamps, atol=OFFSET)


def test_a_drop_out_is_a_jump_in_first() -> None:
    def lose_a_second(stamps: NDArray[np.float64]) -> None:
        stamps[:200] -= 1.0

    with sending(edit=lose_a_second) as (sender, _, stamps), open_driver(sender.url) as driver:
        chunks = take(driver, 500)
    starts = [b.first for a, b in pairwise(chunks) if a.end != b.first]
    assert starts == [450]
    np.testing.assert_allclose(times(chunks), stamps, atol=OFFSET)


def test_unix_stamps_are_moved_with_a_notice() -> None:
    def as_unix(stamps: NDArray[np.float64]) -> None:
        stamps += time.time() - local_clock()

    with sending(edit=as_unix) as (sender, _, stamps), open_driver(sender.url) as driver:
        chunks = take(driver, 500)
        assert any("UNIX time" in notice for notice in driver.info.notices)
    assert abs(times(chunks)[-1] - local_clock()) < 60
    np.testing.assert_allclose(np.diff(times(chunks)), np.diff(stamps), atol=OFFSET)


def test_stamps_of_another_clock_are_moved_too() -> None:
    def from_elsewhere(stamps: NDArray[np.float64]) -> None:
        stamps += 5e6

    with sending(edit=from_elsewhere) as (sender, _, _), open_driver(sender.url) as driver:
        assert any("another clock's" in notice for notice in driver.info.notices)
        assert abs(times(take(driver, 500))[-1] - local_clock()) < 60


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e6), ("mV", 1e3), ("\N{MICRO SIGN}V", 1.0)])
def test_units_are_scaled_to_microvolts(unit: str, factor: float) -> None:
    with sending(50, unit=unit) as (sender, data, _), open_driver(sender.url) as driver:
        chunks = take(driver, 50)
    np.testing.assert_allclose(values(chunks), data * factor, rtol=1e-6)


@pytest.mark.parametrize("sample_format", ["double64", "int32", "int16"])
def test_other_formats_are_converted(sample_format: str) -> None:
    with (
        sending(50, sample_format=sample_format) as (sender, data, _),
        open_driver(sender.url) as driver,
    ):
        chunks = take(driver, 50)
    assert chunks[0].data.dtype == np.float32
    np.testing.assert_array_equal(values(chunks), data)


def test_channels_are_picked_and_named() -> None:
    labels = ("TP9", "AF7", "AF8", "TP10", "Right AUX")
    with sending(50, n_channels=5, labels=labels) as (sender, data, _):
        url = f"{sender.url}&channels=af8,1&names=x,y"
        with open_driver(url) as driver:
            assert driver.info.ch_names == ("x", "y")
            np.testing.assert_array_equal(values(take(driver, 50)), data[:, [2, 0]])
        with pytest.raises(BadChannels, match="Right AUX"):
            open_driver(f"{sender.url}&channels=Oz").__enter__()


def not_found(url: str, reason: str) -> str:
    """What is said of a stream once the reason is this: a busy machine may answer too late."""
    end = time.monotonic() + EVENTUALLY
    while True:
        with pytest.raises(DeviceNotFound) as caught:
            open_driver(url).__enter__()
        if reason in str(caught.value):
            return str(caught.value)
        assert time.monotonic() < end, str(caught.value)


def test_a_missing_stream_is_reported_with_those_that_are_there() -> None:
    with Sender() as sender:
        told = not_found("lsl://?name=nobody&timeout=0.3", sender.name)
    assert "type='EEG' and name='nobody'" in told
    assert f"source_id {sender.source_id}" in told
    assert "firewall" not in told  # the network is open: a stream was found


@pytest.mark.parametrize("also", ["type=PPG", "type="])
def test_only_eeg_is_taken_unless_asked_for_otherwise(also: str) -> None:
    with sending(50, kind="PPG") as (sender, _, _):
        not_found(
            f"{sender.impatient}&timeout=0.3", f"{sender.name} (PPG, source_id {sender.source_id}"
        )
        with open_driver(f"{sender.url}&{also}") as driver:
            assert driver.info.name == sender.name


def test_a_predicate_finds_what_it_describes() -> None:
    with sending(50) as (sender, _, _):
        url = f"lsl://?predicate=starts-with(source_id,'{sender.source_id[:20]}')"
        with open_driver(f"{url}&timeout={EVENTUALLY:g}") as driver:
            assert driver.info.name == sender.name


def open_twins(name: str) -> StreamInfo | None:
    """The facts of one of two; None where a busy machine answered too late for the other."""
    with (
        suppress(DeviceNotFound),
        Sender(name=name, source_id=f"b {name}"),
        sending(50, name=name, source_id=f"a {name}"),
        open_driver(f"lsl://?name={name}") as driver,
    ):
        return driver.info if driver.info.notices else None
    return None


def test_the_first_of_several_is_taken_with_a_notice() -> None:
    name = f"twins {uuid4()}"
    info = next(filter(None, (open_twins(name) for _ in range(3))))
    assert info.source_id == f"lsl:a {name}"
    assert f"b {name}" in info.notices[0]


def test_an_irregular_stream_is_opened_at_the_rate_that_is_given() -> None:
    with (
        sending(50, sfreq=0.0) as (sender, _, _),
        open_driver(f"{sender.url}&sfreq=250") as driver,
    ):
        assert driver.info.sfreq == 250
        assert take(driver, 50)[-1].end == 50


def test_an_irregular_stream_is_opened_at_the_rate_of_its_stamps() -> None:
    with sending(1000, sfreq=0.0) as (sender, data, _), open_driver(sender.url) as driver:
        assert driver.info.sfreq == 250
        assert any("250 Hz" in notice for notice in driver.info.notices)
        np.testing.assert_array_equal(values(take(driver, 1000)), data)


def test_an_irregular_stream_without_even_stamps_needs_its_rate() -> None:
    def uneven(stamps: NDArray[np.float64]) -> None:
        stamps[:] = stamps[-1] - np.cumsum(np.random.default_rng(1).exponential(0.01, 1000))[::-1]

    with (
        sending(1000, uneven, sfreq=0.0) as (sender, _, _),
        pytest.raises(BadSource, match="sfreq="),
    ):
        open_driver(sender.url).__enter__()


def test_a_stream_of_text_is_refused() -> None:
    with Sender(sample_format="string") as sender, pytest.raises(BadSource, match="of text"):
        open_driver(sender.url).__enter__()


def test_a_silent_stream_is_not_found() -> None:
    with Sender() as sender:
        not_found(f"{sender.impatient}&timeout=0.5", "samples of the LSL stream")


def test_a_sender_that_goes_is_a_lost_stream() -> None:
    with sending(50) as (sender, _, _), open_driver(sender.url) as driver:
        chunks = iter(driver)
        read_to(chunks, 50)  # what is under way when a sender goes is lost
        for thread in sender.threads:
            thread.join()
        sender.outlet = None
        with pytest.raises(StreamLost, match=sender.name):
            next(chunks)


def test_the_supervisor_finds_a_sender_that_came_back() -> None:
    states: list[str] = []
    source_id = str(uuid4())
    quick = Timeouts(backoff=0.05)

    def later(stamps: NDArray[np.float64]) -> None:
        stamps += 1.0

    with (
        sending(50, source_id=source_id) as (sender, _, _),
        Supervisor(
            lambda: open_driver(sender.url), lambda change: states.append(change.state), quick
        ) as driver,
    ):
        chunks = iter(driver)
        last = read_to(chunks, 50)
        for thread in sender.threads:
            thread.join()
        sender.outlet = None
        with sending(50, later, source_id=source_id):
            found = next(chunks)
    assert states[0] == "connected"
    assert states[1:3] == ["lost", "retrying"]
    assert states[-1] == "connected"
    assert found.first > last.end


def test_close_from_another_thread_ends_the_iteration() -> None:
    with sending(50) as (sender, _, _), open_driver(sender.url) as driver:
        chunks = iter(driver)
        read_to(chunks, 50)
        closer = threading.Timer(0.05, driver.close)
        closer.start()
        assert list(chunks) == []
        closer.join()
        assert list(driver) == []


@pytest.mark.parametrize(
    "url", ["lsl://a-name", "lsl://?nam=x", "lsl://?name=a'b\"c", "lsl://?sfreq=-1"]
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(BadSource):
        open_driver(url)


def test_labels_and_units_are_guessed_only_with_a_notice() -> None:
    def xml(*channels: str) -> str:
        inner = "".join(f"<channel>{channel}</channel>" for channel in channels)
        return f"<info><desc><channels>{inner}</channels></desc></info>"

    named = read_description(xml("<label>C3</label>", "<label> C4 </label><unit>uV</unit>"), 2)
    assert named.labels == ("C3", "C4")
    assert named.factors == (1.0, 1.0)
    assert "no unit" in named.notices[0]
    for channels in [(), ("<label>C3</label>",), ("<label>C3</label>",) * 2, ("<label/>",) * 2]:
        numbered = read_description(xml(*channels), 2)
        assert numbered.labels == ("1", "2")
        assert "numbered" in numbered.notices[0]
    odd = read_description(xml("<label>C3</label><unit>raw</unit>"), 1)
    assert "'raw'" in odd.notices[0]
    kelvin = "<label>C4</label><unit>kelvin</unit>"
    assert read_description(xml("<label>C3</label><unit>uV</unit>", kelvin), 2).eeg.rows == (0,)


def test_a_liblsl_that_does_not_load_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "liblsl.so"
    broken.write_text("no library")
    program = (
        "from mimamba.drivers.open import open_driver\n"
        "from mimamba.drivers.errors import LibraryMissing\n"
        "try:\n    open_driver('lsl://?name=x').__enter__()\n"
        "except LibraryMissing as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYLSL_LIB": str(broken), "PATH": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "conda install -c conda-forge liblsl" in done.stdout
    assert str(broken) in done.stdout


def test_liblsl_logs_warnings_alone_without_a_configuration(tmp_path: Path) -> None:
    program = (
        "from mimamba.drivers.lsl.discovery import load_pylsl\n"
        "load_pylsl().StreamOutlet(load_pylsl().StreamInfo('quiet', 'Tests', 1, 0))\n"
    )
    (tmp_path / "own.cfg").write_text("[log]\nlevel = 0\n")
    for config, logs in (("", False), (str(tmp_path / "own.cfg"), True)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "LSLAPICFG": config},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("INFO" in done.stderr) == logs, done.stderr
