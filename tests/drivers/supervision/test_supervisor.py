"""The supervisor against scripted devices: silent, failing, hanging and changed ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise, repeat
from typing import Self

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, Driver, LinkChange, Marker, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.supervision.device_connection import Timeouts
from mimamba.drivers.supervision.supervisor import Supervisor
from mimamba.drivers.timing.clock import local_clock

SFREQ = 100.0
INFO = StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9", "AF7"))
SHORT = Timeouts(
    silence=0.25,
    first_sample=0.4,
    connect=0.5,
    release=0.2,
    backoff=0.01,
    max_backoff=0.05,
)
EVENTUALLY = 60.0
GONE = StreamLost("samples", "an empty battery", "charge it")


class Clock:
    """Time that passes only while a device is scripted to say nothing: a machine that is held up
    looks like a silent device otherwise. It stands in for the module ``time``."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._since: float | None = None

    def monotonic(self) -> float:
        since = self._since
        return self._passed if since is None else self._passed + time.monotonic() - since

    def run(self) -> None:
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        self._passed, self._since = self.monotonic(), None


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _scripted_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in ("device_connection", "supervisor"):
        monkeypatch.setattr(f"mimamba.drivers.supervision.{module}.time", CLOCK)
    yield
    CLOCK.stop()


class Scripted:
    """A device that sends ``n_chunks`` of two samples and then does what its script says."""

    def __init__(
        self,
        n_chunks: int = 3,
        then: Exception | str = "silence",
        info: StreamInfo = INFO,
        on_enter: Exception | str | None = None,
        on_close: Exception | str | None = None,
        start: float | None = None,
    ) -> None:
        self.n_chunks = n_chunks
        self.then = then
        self.info = info
        self.on_enter = on_enter
        self.on_close = on_close
        self.start = start
        self.closed = threading.Event()
        self.stuck = threading.Event()
        self.released = False

    def __enter__(self) -> Self:
        if isinstance(self.on_enter, Exception):
            raise self.on_enter
        if self.on_enter == "hang":
            CLOCK.run()
            self.stuck.wait(EVENTUALLY)
        return self

    def __exit__(self, *exc: object) -> None:
        self.released = True
        self.close()

    def close(self) -> None:
        self.closed.set()
        if self.on_close == "hang":
            self.stuck.wait(EVENTUALLY)

    def __iter__(self) -> Iterator[Chunk]:
        start = local_clock() if self.start is None else self.start
        for n in range(self.n_chunks):
            if self.closed.is_set():
                return
            yield scripted_chunk(2 * n, start)
        if isinstance(self.then, Exception):
            raise self.then
        if self.then in ("silence", "hang"):
            CLOCK.run()
        if self.then == "silence":
            self.closed.wait(EVENTUALLY)
        if self.then == "hang":
            self.stuck.wait(EVENTUALLY)
        while self.then == "ignore close":
            time.sleep(0.001)
            yield scripted_chunk(2 * self.n_chunks, start)


class Patient(Scripted):
    """A device that is silent for ``pause`` s after its first chunk; its library has patience."""

    def __init__(self, pause: float, patience: float, n_chunks: int = 3) -> None:
        super().__init__(n_chunks, "end", start=10.0)
        self.pause = pause
        self.patience = patience
        self.remarks: list[str] = []

    def take_remarks(self) -> tuple[str, ...]:
        remarks, self.remarks = tuple(self.remarks), []
        return remarks

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in super().__iter__():
            yield chunk
            if chunk.first == 0:
                until = time.monotonic() + self.pause
                while time.monotonic() < until and not self.closed.wait(0.01):
                    CLOCK.run()  # also after it was stopped, as the loss was told
                CLOCK.stop()
                self.remarks = ["it was silent"]


def scripted_chunk(first: int, start: float) -> Chunk:
    index = first + np.arange(2)
    data = np.repeat(index[:, None], 2, axis=1).astype(np.float32)
    marker = Marker(start + first / SFREQ, first, "even", "script")
    return Chunk(data, start + index / SFREQ, first, markers=(marker,))


class Bench:
    """A supervisor over devices that come one after the other, and what it told."""

    forwards = False
    """True to have chunks handed on instead of yielded."""

    def __init__(self, devices: Sequence[Scripted], timeouts: Timeouts = SHORT) -> None:
        self.devices = devices
        self.waiting = iter(devices)
        self.changes: list[LinkChange] = []
        self.supervisor = Supervisor(self.connect, self.tell, timeouts)

    def tell(self, change: LinkChange) -> None:
        if change.state != "connected":  # it was silent for long enough
            CLOCK.stop()
        self.changes.append(change)

    def connect(self) -> Driver:
        return next(self.waiting)

    def take(self, n_chunks: int) -> list[Chunk]:
        """That many chunks; then it closes."""
        chunks: list[Chunk] = []

        def take(chunk: Chunk) -> None:
            if len(chunks) < n_chunks:
                chunks.append(chunk)
            if len(chunks) == n_chunks:
                self.supervisor.close()

        with self.supervisor as supervisor:
            if self.forwards:
                supervisor.forward(take)
            for chunk in supervisor:
                take(chunk)
        for device in self.devices:
            device.stuck.set()
        return chunks

    @property
    def states(self) -> list[str]:
        return [change.state for change in self.changes]


@pytest.fixture(params=[False, True], ids=["yielded", "handed on"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "forwards", request.param)


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + EVENTUALLY
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return holds()


@pytest.mark.usefixtures("_both_ways")
def test_passes_chunks_on_as_they_are() -> None:
    bench = Bench([Scripted(n_chunks=4, start=50.0)])
    chunks = bench.take(4)
    assert [chunk.first for chunk in chunks] == [0, 2, 4, 6]
    np.testing.assert_array_equal(chunks[2].timestamps, [50.04, 50.05])
    np.testing.assert_array_equal(chunks[2].data, [[4, 4], [5, 5]])
    assert bench.states == ["connected"]
    assert bench.supervisor.info is INFO
    assert eventually(lambda: bench.devices[0].released)


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("silence", "no sample within 0.25 s"),
        ("hang", "no sample within 0.25 s"),
        ("end", "samples ended"),
        (GONE, "an empty battery"),
        (ValueError("a slip"), "ValueError: a slip (test_supervisor.py:"),
    ],
)
def test_a_lost_link_is_reported_and_reconnected(then: Exception | str, said: str) -> None:
    bench = Bench([Scripted(3, then), Scripted(2)])
    chunks = bench.take(5)
    assert bench.states == ["connected", "lost", "retrying", "connected"]
    assert said in bench.changes[1].detail
    assert said in bench.changes[2].detail
    assert bench.devices[0].closed.wait(EVENTUALLY)
    assert [change.timestamp for change in bench.changes] == sorted(
        change.timestamp for change in bench.changes
    )
    assert len(chunks) == 5


@pytest.mark.usefixtures("_both_ways")
def test_what_a_silent_connection_held_back_is_taken_as_it_was() -> None:
    device = Patient(pause=3 * SHORT.silence, patience=EVENTUALLY)
    bench = Bench([device])
    chunks = bench.take(3)
    assert bench.states == ["connected", "lost", "connected", "connected"]
    assert "no sample within 0.25 s" in bench.changes[1].detail
    assert [chunk.first for chunk in chunks] == [0, 2, 4]  # by the device's own numbers
    np.testing.assert_allclose(chunks[2].timestamps, [10.04, 10.05])
    assert {bench.changes[2].detail, bench.changes[3].detail} == {"Scripted", "it was silent"}


@pytest.mark.usefixtures("_both_ways")
def test_patience_ends() -> None:
    device = Patient(pause=EVENTUALLY, patience=2 * SHORT.silence)
    bench = Bench([device, Scripted(1)])
    chunks = bench.take(2)
    assert bench.states == ["connected", "lost", "retrying", "connected"]
    assert len(chunks) == 2
    assert device.closed.is_set()


@pytest.mark.usefixtures("_both_ways")
def test_a_source_that_cannot_be_used_as_it_was_opened_ends_it() -> None:
    wrong = BadSource("256 Hz", "200 Hz", "add sfreq=200")
    bench = Bench([Scripted(2, wrong), Scripted(2)])
    with pytest.raises(BadSource, match="sfreq=200"):
        bench.take(4)
    assert bench.states == ["connected"]


def test_the_right_device_need_not_wait_for_long_after_wrong_ones() -> None:
    other = StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9", "AF8"))
    wrong = [Scripted(1, info=other) for _ in range(6)]
    bench = Bench([Scripted(1, GONE), *wrong, Scripted(1)], replace(SHORT, max_wrong_backoff=0.02))
    bench.take(2)
    attempts = [change.detail for change in bench.changes if change.state == "retrying"]
    assert "in 0.02 s" in attempts[-1]


def test_a_rate_that_was_measured_again_is_the_same() -> None:
    again = StreamInfo("Scripted", "scripted:1", SFREQ * 1.001, ("TP9", "AF7"))
    bench = Bench([Scripted(1, GONE), Scripted(1, info=again)])
    bench.take(2)
    assert bench.states == ["connected", "lost", "retrying", "connected"]


@pytest.mark.usefixtures("_both_ways")
def test_the_numbering_goes_on_by_the_time_lost() -> None:
    bench = Bench([Scripted(3, GONE, start=10.0), Scripted(2, GONE, start=12.0), Scripted(1)])
    chunks = bench.take(5)
    # The last sample before the loss is number 5 at 10.05 s; the next comes 1.95 s later.
    assert [chunk.first for chunk in chunks] == [0, 2, 4, 200, 202]
    assert [chunk.markers[0].index for chunk in chunks] == [0, 2, 4, 200, 202]
    assert {chunk.epoch for chunk in chunks} == {0}


@pytest.mark.usefixtures("_both_ways")
def test_the_numbering_never_goes_back() -> None:
    bench = Bench([Scripted(2, GONE, start=10.0), Scripted(2, start=9.0)])
    assert [chunk.first for chunk in bench.take(4)] == [0, 2, 4, 6]


@pytest.mark.usefixtures("_both_ways")
def test_the_numbering_is_continued_over_many_losses() -> None:
    starts = [10.0, 11.5, 14.25, 14.5]
    bench = Bench([Scripted(1, GONE, start=start) for start in starts])
    chunks = bench.take(4)
    assert [chunk.first for chunk in chunks] == [round((s - 10) * SFREQ) for s in starts]


def test_each_failed_attempt_is_reported_with_its_reason() -> None:
    missing = DeviceNotFound("a headset", "none", "switch it on")
    bench = Bench(
        [
            Scripted(1, GONE),
            Scripted(on_enter=missing),
            Scripted(on_enter=ZeroDivisionError("a slip")),
            Scripted(n_chunks=0),
            Scripted(on_enter="hang"),
            Scripted(2),
        ]
    )
    bench.take(3)
    assert bench.states == ["connected", "lost", *["retrying"] * 5, "connected"]
    details = [change.detail for change in bench.changes if change.state == "retrying"]
    for detail, said in zip(
        details,
        ["battery", "Switch it on", "ZeroDivisionError", "no sample within 0.4 s", "no connection"],
        strict=True,
    ):
        assert said in detail
    assert details[1].startswith("attempt 2 in 0.02 s")
    assert details[4].startswith("attempt 5 in 0.05 s")  # the longest pause


@pytest.mark.parametrize(
    "other",
    [
        StreamInfo("Scripted", "scripted:1", SFREQ, ("TP9", "AF8")),
        StreamInfo("Scripted", "scripted:1", 2 * SFREQ, ("TP9", "AF7")),
    ],
)
def test_another_device_is_not_taken_for_the_first(other: StreamInfo) -> None:
    bench = Bench([Scripted(1, GONE), Scripted(5, info=other), Scripted(2)])
    chunks = bench.take(3)
    assert bench.states == ["connected", "lost", "retrying", "retrying", "connected"]
    assert "100 Hz of TP9,AF7" in bench.changes[3].detail
    assert ",".join(other.ch_names) in bench.changes[3].detail
    assert len(chunks) == 3
    assert eventually(lambda: bench.devices[1].released)


def test_the_first_connection_is_not_retried() -> None:
    error = DeviceNotFound("a headset", "none", "switch it on")
    bench = Bench([Scripted(on_enter=error)])
    with pytest.raises(DeviceNotFound, match="Switch it on"):
        bench.take(1)
    assert bench.changes == []


@pytest.mark.usefixtures("_both_ways")
def test_a_first_connection_without_samples_is_lost() -> None:
    bench = Bench([Scripted(n_chunks=0), Scripted(1, start=3.0)])
    assert [chunk.first for chunk in bench.take(1)] == [0]
    assert bench.states == ["lost", "retrying", "connected"]


def test_a_close_that_hangs_does_not_hold_up_the_next_attempt() -> None:
    bench = Bench([Scripted(1, "hang", on_close="hang"), Scripted(1)])
    assert len(bench.take(2)) == 2
    assert bench.devices[0].closed.wait(EVENTUALLY)


@pytest.mark.parametrize(
    "devices",
    [
        [Scripted(1, "silence")],
        [Scripted(1, GONE), Scripted(on_enter="hang")],
        [Scripted(1, "hang")],
    ],
    ids=["reading", "connecting", "hanging"],
)
def test_close_ends_a_blocked_iteration(devices: list[Scripted]) -> None:
    bench = Bench(devices, Timeouts(backoff=0.01, release=0.05))
    blocked = threading.Event()
    ended = threading.Event()

    def read() -> None:
        for _ in bench.supervisor:
            blocked.set()
        ended.set()

    with bench.supervisor as supervisor:
        reader = threading.Thread(target=read)
        reader.start()
        assert blocked.wait(EVENTUALLY)
        if len(devices) == 2:
            assert eventually(lambda: "retrying" in bench.states)
        supervisor.close()
        supervisor.close()
        assert ended.wait(EVENTUALLY)
    reader.join()
    for device in devices:
        device.stuck.set()
    assert eventually(lambda: not live_threads())


def test_a_driver_that_ignores_its_close_is_left() -> None:
    device = Scripted(1, "ignore close")
    Bench([device]).take(1)
    assert eventually(lambda: device.released)


def test_close_ends_the_first_connection() -> None:
    device = Scripted(on_enter="hang")
    bench = Bench([device])
    closer = threading.Timer(0.05, bench.supervisor.close)
    closer.start()
    with pytest.raises(StreamLost, match="closed while connecting"):
        bench.take(1)
    closer.join()
    device.stuck.set()
    assert eventually(lambda: device.released)  # a connection that comes too late is given back


def test_a_slow_reader_loses_the_oldest_samples_but_no_marker() -> None:
    held = Timeouts(queue=4 / SFREQ, release=1.0)
    device = Scripted(10, "end", start=5.0)
    bench = Bench([device], held)
    with bench.supervisor as supervisor:
        assert eventually(lambda: device.released)
        chunk = next(iter(supervisor))
    assert chunk.first == 16
    assert [marker.index for marker in chunk.markers] == list(range(0, 18, 2))


def test_nothing_runs_after_it() -> None:
    bench = Bench([Scripted(1, GONE), Scripted(1, ValueError("a slip")), Scripted(2)])
    bench.take(4)
    assert eventually(lambda: not live_threads())
    assert all(device.closed.is_set() and device.released for device in bench.devices)


def test_attempts_pause_between_each_other() -> None:
    missing = DeviceNotFound("a headset", "none", "switch it on")
    failing = [Scripted(on_enter=missing) for _ in range(3)]
    bench = Bench([Scripted(1, GONE), *failing, Scripted(1)])
    bench.take(2)
    told = [change.timestamp for change in bench.changes if change.state == "retrying"]
    pauses = [later - earlier for earlier, later in pairwise(told)]
    assert all(pause >= least for pause, least in zip(pauses, (0.01, 0.02, 0.04), strict=True))


@pytest.mark.usefixtures("_both_ways")
def test_a_flapping_link_keeps_its_numbering() -> None:
    start = local_clock()
    devices = chain((Scripted(1, GONE, start=start + n) for n in range(20)), repeat(Scripted()))
    supervisor = Supervisor(lambda: next(devices), lambda _: None, SHORT)
    with supervisor:
        chunks = supervisor.__iter__()
        firsts = [next(chunks).first for _ in range(20)]
    assert firsts == [n * int(SFREQ) for n in range(20)]


def live_threads() -> list[threading.Thread]:
    names = {"live driver", "driver's close"}
    return [thread for thread in threading.enumerate() if thread.name in names]
