"""The pacer: many sources, one thread, and none of them harms another."""

from __future__ import annotations

import math
import threading
from collections import Counter
from functools import partial

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk
from mimamba.drivers.errors import StreamLost
from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.simulator.driver import SimulateDriver
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.pacer_thread import Paced, Pacer
from mimamba.drivers.url import parse_source


class Scripted:
    """A source of chunks of one sample every 10 ms; from ``fails`` on it raises.

    With ``closing`` it is closed by then; ``begun`` (s) is how long ago the first one was due.
    """

    def __init__(self, fails: float = math.inf, closing: bool = False, begun: float = 0.0) -> None:
        self.closed = False
        self._closing = closing
        self._start = local_clock() - begun
        self._next = 0
        self._fails = fails

    def make(self, now: float) -> tuple[Chunk | None, float]:
        due = self._start + self._next / 100
        if due > now:
            return None, due
        if self._next >= self._fails:
            self.closed = self._closing
            raise StreamLost("a sample", "none", "begin again")
        self._next += 1
        chunk = Chunk(np.zeros((1, 1), np.float32), np.array([due]), self._next - 1)
        return chunk, self._start + self._next / 100

    def prepare(self) -> bool:
        return False


class Reader:
    """Follows a source in a thread until it has ``enough`` chunks; then it closes the source."""

    def __init__(self, pacer: Pacer, source: Scripted, enough: int) -> None:
        self.chunks: list[Chunk] = []
        self.threads: set[str] = set()
        self.error: Exception | None = None
        self._source, self._enough = source, enough
        self.thread = threading.Thread(target=partial(self._follow, pacer))
        self.thread.start()

    def _follow(self, pacer: Pacer) -> None:
        try:
            pacer.follow(self._source, self._take)
        except (StreamLost, ZeroDivisionError) as error:
            self.error = error

    def _take(self, chunk: Chunk) -> None:
        self.threads.add(threading.current_thread().name)
        self.chunks.append(chunk)
        if len(self.chunks) == self._enough:
            self._source.closed = True
        if len(self.chunks) > self._enough:
            raise ZeroDivisionError


def test_every_source_gets_its_chunks_in_order_and_the_thread_ends_with_the_last() -> None:
    pacer = Pacer()
    for _ in range(2):  # also a second time
        readers = [Reader(pacer, Scripted(), n) for n in (3, 30, 10)]
        for reader, enough in zip(readers, (3, 30, 10), strict=True):
            reader.thread.join()
            assert reader.error is None
            assert [chunk.first for chunk in reader.chunks] == list(range(enough))
            assert reader.threads == {"pacer"}
    for thread in threading.enumerate():
        if thread.name == "pacer":
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("begun", [0.0, 1.0], ids=["in time", "late"])
def test_a_source_that_fails_ends_alone_after_all_its_chunks(closing: bool, begun: float) -> None:
    pacer = Pacer()
    good, bad = Reader(pacer, Scripted(), 20), Reader(pacer, Scripted(5, closing, begun), 20)
    bad.thread.join()
    assert isinstance(bad.error, StreamLost)
    assert len(bad.chunks) == 5
    good.thread.join()
    assert good.error is None
    assert len(good.chunks) == 20


def test_a_reader_that_fails_ends_alone() -> None:
    pacer = Pacer()
    bad = Reader(pacer, Scripted(), -1)  # it has enough before the first
    good = Reader(pacer, Scripted(), 10)
    bad.thread.join()
    assert isinstance(bad.error, ZeroDivisionError)
    good.thread.join()
    assert good.error is None


class Busy:
    """A source that is due in every pass; it ends after ``most`` of them, or one with ``enough``.

    ``passes`` counts the sources that were asked in each.
    """

    def __init__(self, passes: Counter[float], enough: float, most: float) -> None:
        self.closed = False
        self._passes, self._enough, self._most = passes, enough, most

    def make(self, now: float) -> tuple[None, float]:
        self._passes[now] += 1
        if max(self._passes.values()) >= self._enough or len(self._passes) >= self._most:
            self.closed = True
        return None, now + 1e-6

    def prepare(self) -> bool:
        return False


class Silent:
    """A source of which nothing comes any more."""

    def __init__(self) -> None:
        self.closed = False
        self.asked = threading.Event()

    def make(self, now: float) -> tuple[None, float]:  # noqa: ARG002
        self.asked.set()
        return None, math.inf

    def prepare(self) -> bool:
        return False


class Clock:
    """A clock that goes on only with sleeps and with work, once ``n_sources`` have begun."""

    def __init__(self, n_sources: int) -> None:
        self.time = 0.0
        self.sources: set[object] = set()
        self._n_sources = n_sources

    @property
    def begun(self) -> bool:
        return len(self.sources) == self._n_sources

    def now(self) -> float:
        return self.time

    def work(self, seconds: float) -> None:
        self.time += seconds if self.begun else 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep for 200 ms longer, as if rounds of the compute loop held the lock."""
        self.work(seconds + 0.2)


class Costly:
    """A source with chunks every 40 ms, from ``begin`` to ``end``, s.

    Each takes 1 ms to make. ``late`` is how late the last one was made, s; ``prepared`` are the
    times at which it has prepared something, also 1 ms long.
    """

    def __init__(self, clock: Clock, begin: float, end: float, fails: bool = False) -> None:
        self.closed = False
        self.late = math.inf
        self.prepared: list[float] = []
        self._clock, self._due, self._end, self._fails = clock, begin, end, fails
        self._made = 0

    def make(self, now: float) -> tuple[Chunk | None, float]:
        self._clock.sources.add(self)
        if not self._clock.begun:
            return None, now + 1e-9
        if self._due > now:
            return None, self._due
        self._clock.work(0.001)
        self.late = self._clock.time - self._due
        self.closed = self._due >= self._end
        self._due += 0.04
        self._made += 1
        chunk = Chunk(np.zeros((1, 1), np.float32), np.array([self._due]), self._made - 1)
        return chunk, self._due

    def prepare(self) -> bool:
        if not self._clock.begun:
            return False
        if self._fails:
            raise ZeroDivisionError
        self._clock.work(0.001)
        self.prepared.append(self._clock.time)
        return True


def follow_all(pacer: Pacer, sources: list[Costly]) -> list[type[BaseException] | None]:
    """Follow sources until they are closed; return their errors."""
    errors: dict[Costly, type[BaseException] | None] = {}

    def follow(source: Costly) -> None:
        try:
            pacer.follow(source, lambda _: None)
            errors[source] = None
        except ZeroDivisionError as error:
            errors[source] = type(error)

    followers = [threading.Thread(target=follow, args=(source,)) for source in sources]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    return [errors[source] for source in sources]


def test_sources_that_are_late_catch_up_though_they_take_most_of_the_time() -> None:
    clock = Clock(30)
    sources = [Costly(clock, -3.0, 20.0) for _ in range(30)]  # as after a pause of three seconds
    follow_all(Pacer(clock.now, clock.sleep), sources)
    assert max(source.late for source in sources) < 1.5


def test_sources_prepare_in_turn_for_a_few_milliseconds_while_nothing_is_late() -> None:
    clock = Clock(12)
    sources = [Costly(clock, 0.0, 2.0) for _ in range(12)]
    follow_all(Pacer(clock.now, clock.work), sources)
    prepared = sorted((time, n) for n, source in enumerate(sources) for time in source.prepared)
    pauses = np.flatnonzero(np.diff([time for time, _ in prepared]) > 0.0015) + 1
    rows = np.diff(pauses)  # of sources that prepare one after the other
    assert len(rows) > 30
    assert set(rows.tolist()) <= {5, 6}  # of 1 ms each: after 5 ms no more begins
    assert all(len({n for _, n in prepared[at : at + 12]}) == 12 for at in range(0, 60, 12))


def test_a_source_that_fails_to_prepare_ends_alone() -> None:
    clock = Clock(2)
    sources = [Costly(clock, 0.0, 2.0, fails) for fails in (True, False)]
    assert follow_all(Pacer(clock.now, clock.work), sources) == [ZeroDivisionError, None]
    assert sources[1].closed


def test_the_wait_for_the_lock_takes_no_time_from_what_is_due() -> None:
    clock = 0.0

    def now() -> float:
        """Return a time; 10 ms pass until the next one where the lock is not held."""
        nonlocal clock
        time = clock
        clock += 0.0 if COMPUTE_LOCK.locked() else 0.01
        return time

    pacer, passes = Pacer(now), Counter[float]()
    sources = [Busy(passes, 4, 2000) for _ in range(4)]
    followers = [
        threading.Thread(target=pacer.follow, args=(source, lambda _: None)) for source in sources
    ]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    assert max(passes.values()) == 4


def test_a_closed_source_that_is_never_due_ends_while_others_take_all_the_time() -> None:
    clock = 0.0

    def now() -> float:
        """Return a time; each is later than the pacer may hold the lock from the one before."""
        nonlocal clock
        clock += 0.01
        return clock

    pacer, silent, busy = Pacer(now), Silent(), Busy(Counter(), math.inf, math.inf)
    followers = [
        threading.Thread(target=pacer.follow, args=(source, lambda _: None), daemon=True)
        for source in (silent, busy)
    ]
    for follower in followers:
        follower.start()
    assert silent.asked.wait(30)
    silent.closed = True
    followers[0].join(30)
    ended = not followers[0].is_alive()
    busy.closed = True
    assert ended


def test_a_simulated_headset_is_paced_and_gives_the_same_as_when_it_is_iterated() -> None:
    url = "simulate://?seed=3&loss=1,0.25"
    paced: list[Chunk] = []
    with SimulateDriver(parse_source(url)) as driver:
        assert isinstance(driver, Paced)

        def take(chunk: Chunk) -> None:
            paced.append(chunk)
            if chunk.end > 300:
                driver.close()

        Pacer().follow(driver, take)
    iterated: list[Chunk] = []
    with SimulateDriver(parse_source(url)) as driver:
        for chunk in driver:
            iterated.append(chunk)
            if chunk.end > 300:
                break

    def samples(chunks: list[Chunk]) -> dict[int, bytes]:
        return {
            chunk.first + n: row.tobytes() for chunk in chunks for n, row in enumerate(chunk.data)
        }

    one, other = samples(paced), samples(iterated)
    shared = one.keys() & other.keys()
    assert len(shared) >= 200
    assert all(one[n] == other[n] for n in shared)
    with pytest.raises(RuntimeError, match="enter the driver"):
        SimulateDriver(parse_source(url)).make(0.0)
