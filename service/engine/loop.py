"""The compute loop: one thread that computes for all sessions, on whatever has arrived.

A headset's chunk has 12 samples, and a NumPy call costs nearly as much for one chunk as for those
of 60 headsets. So the threads that read sources only append chunks to one queue, and this thread
takes all that waits: it logs the chunks, measures quality and band power, cuts hops and steps the
models, each for all sessions together. Between two rounds it rests for a time that grows with the
number of sessions, so that more waits for the next round.

The results of a session do not depend on the other sessions, nor on how its chunks fall into
rounds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Protocol, TypeAlias, TypeVar

import torch

from mimamba.drivers.driver import Chunk
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.prediction import Prediction
from mimamba.models.signal.channel_meters import ChannelMeters, measure_all
from mimamba.models.signal.hops import Hop, HopJob, HopResult, HopWork, run_jobs
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import Window
from mimamba.service.engine.engine import Engine, EngineStopped, Slot

log = logging.getLogger(__name__)

REST_PER_SESSION = 5e-5
"""Seconds from a round's start to the next one's, for each session."""
LONGEST_REST = 0.02
"""Seconds from a round's start to the next one's, with many sessions."""
LONGEST_WAIT = 0.025
"""Seconds that a chunk waits if it completes no hop, with more than ``FEW`` sessions."""
FEW = 8
"""Number of sessions up to which every chunk begins a round: that costs less than to wake often."""
IDLE_WAIT = 1.0
"""Seconds between two looks at the queue with few sessions, in case that their number has changed
while a chunk came."""
AHEAD_SECONDS = 4.0
"""Signal of one recording that may wait; its reader waits for room."""
VISIT_SECONDS = 5e-4
"""Rest of the loop when other threads wait to change a session."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """A chunk, and the time at which it came, s."""

    chunk: Chunk
    received: float


@dataclass(frozen=True, eq=False)
class DueHop:
    """A hop for the model, and the time at which its last samples came, s."""

    hop: Hop
    received: float


@dataclass(frozen=True, eq=False)
class Logged:
    """Work that logged chunks leave.

    Parameters
    ----------
    windows
        The windows to measure, oldest first.
    works
        For each chunk the work on its hops, and the time at which it came; empty without a model.
    """

    windows: list[Window]
    works: list[tuple[HopWork, float]]


class Member(Protocol):
    """A session, as the loop sees it. All of this is called in the loop's thread."""

    @property
    def meters(self) -> ChannelMeters:
        """Meters of the present epoch."""
        ...

    @property
    def stepping(self) -> tuple[Engine, Slot]:
        """Engine and slot of its model; called only if hops were accepted."""
        ...

    def log(self, arrivals: Sequence[Arrival]) -> Logged:
        """Log chunks of one epoch."""
        ...

    def add_measures(self, measures: Sequence[BandPower | Quality]) -> None:
        """Log measures of its signal."""
        ...

    def accept(self, hops: Sequence[DueHop]) -> list[DueHop]:
        """Return those of these hops that are to be stepped, aligned."""
        ...

    def publish(self, prediction: Prediction, received: float, stepped: float) -> None:
        """Log a prediction."""
        ...

    def stop(self) -> None:
        """Stop to read the source: the session has failed, and its thread raises the error."""
        ...


AnyMember = TypeVar("AnyMember", bound=Member)
Chain: TypeAlias = Generator[HopJob, HopResult, list[DueHop]]


class Inflow(Generic[AnyMember]):
    """The way of one session's chunks to the loop; used by the thread that reads its source.

    Parameters
    ----------
    loop
        The loop.
    member
        The session.
    is_due
        Returns whether a hop is complete with the samples before an index; from any thread.
    most
        Samples that may wait, for a recording; None for a live source, which waits for nobody.

    Attributes
    ----------
    failure
        The error that ended the session in the loop.
    """

    def __init__(
        self,
        loop: ComputeLoop[AnyMember],
        member: AnyMember,
        is_due: Callable[[int], bool],
        most: float | None,
    ) -> None:
        self.member, self.is_due = member, is_due
        self.failure: Exception | None = None
        self.done = threading.Event()
        """Set once everything before the end is computed."""
        self._loop = loop
        self._most = most
        self._waiting = 0
        self._changed = threading.Condition()

    @property
    def live(self) -> bool:
        """True for a source that waits for nobody."""
        return self._most is None

    def put(self, chunk: Chunk) -> None:
        """Add a chunk; that of a recording waits for room. Raises the session's failure."""
        if self._most is not None:
            self._wait_for_room(chunk.n_times, self._most)
        if self.failure is not None:
            raise self.failure
        self._loop.add(self, Arrival(chunk, local_clock()))

    def release(self, n_times: int) -> None:
        """Note that samples are computed, in the loop's thread."""
        if self._most is not None:
            with self._changed:
                self._waiting -= n_times
                self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Note that the session has failed, in the loop's thread."""
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _wait_for_room(self, n_times: int, most: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self.failure or not self._waiting or self._waiting + n_times <= most
            )
            self._waiting += n_times


class ComputeLoop(Generic[AnyMember]):
    """A thread that computes for all sessions; it starts with the first one.

    Parameters
    ----------
    notify
        Called in the loop's thread at the end of a round, with the members whose signal has grown,
        and those with other news.
    """

    def __init__(self, notify: Callable[[Sequence[AnyMember], Sequence[AnyMember]], None]) -> None:
        self._notify = notify
        self._arrived: deque[tuple[Inflow[AnyMember], Arrival | None]] = deque()
        """Chunks in the order of their arrival; None is a source's end."""
        self._woken = threading.Event()
        self._lock = threading.Lock()
        """Held while a round computes."""
        self._joining = threading.Lock()
        self._members = 0
        self._visitors = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._news: dict[AnyMember, None] = {}

    def join(
        self, member: AnyMember, is_due: Callable[[int], bool], recording_sfreq: float | None
    ) -> Inflow[AnyMember]:
        """Let a session take part; ``recording_sfreq`` (Hz) is None for a live source."""
        most = None if recording_sfreq is None else AHEAD_SECONDS * recording_sfreq
        with self._joining:
            self._members += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="compute loop")
                self._thread.start()
        return Inflow(self, member, is_due, most)

    def leave(self, inflow: Inflow[AnyMember]) -> None:
        """Wait until a session's chunks are computed; then it takes part no more."""
        self._arrived.append((inflow, None))
        self._woken.set()
        inflow.done.wait()
        with self._joining:
            self._members -= 1

    @property
    def waiting(self) -> int:
        """Number of chunks that wait for the next round."""
        return len(self._arrived)

    def close(self) -> None:
        """End the thread, once all sessions have left."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the loop between two rounds: all hops so far are predicted then."""
        with self._joining:
            self._visitors += 1
        try:
            with self._lock:
                yield
        finally:
            with self._joining:
                self._visitors -= 1

    def add(self, inflow: Inflow[AnyMember], arrival: Arrival) -> None:
        """Add a chunk; nobody waits for it to be computed, from any thread."""
        self._arrived.append((inflow, arrival))
        prompt = self._members <= FEW or not inflow.live or inflow.is_due(arrival.chunk.end)
        if prompt and not self._woken.is_set():
            self._woken.set()

    def note(self, member: AnyMember) -> bool:
        """Notify of a member's news at the round's end; False in any other thread."""
        if self._thread is not threading.current_thread():
            return False
        self._news[member] = None
        return True

    # In the loop's thread ------------------------------------------------------------------------

    def _run(self) -> None:
        # One thread steps a small batch fastest, and leaves the other cores to acquisition. With
        # two threads on two busy cores, a step had to wait for both: 500 ms instead of 5.
        torch.set_num_threads(1)
        while not self._closed:
            self._woken.wait(LONGEST_WAIT if self._members > FEW else IDLE_WAIT)
            self._woken.clear()
            begun = time.monotonic()
            with self._lock:
                self._take_all()
            rest = min(REST_PER_SESSION * self._members, LONGEST_REST)
            rest = max(begun + rest - time.monotonic(), VISIT_SECONDS if self._visitors else 0.0)
            if rest > 0:
                time.sleep(rest)

    def _take_all(self) -> None:
        """Compute all that has arrived: the chunks of one epoch of each session at a time."""
        arrived: dict[Inflow[AnyMember], list[Arrival]] = {}
        ended: list[Inflow[AnyMember]] = []
        for _ in range(len(self._arrived)):
            inflow, arrival = self._arrived.popleft()
            if arrival is None:
                ended.append(inflow)
            elif inflow.failure is None:
                arrived.setdefault(inflow, []).append(arrival)
        try:
            self._compute(arrived)
        except Exception as error:  # an error of ours; the loop goes on with other sessions
            log.exception("a round failed")
            for inflow in arrived:
                self._fail(inflow, error)
        finally:
            for inflow, arrivals in arrived.items():
                inflow.release(sum(each.chunk.n_times for each in arrivals))
            for inflow in ended:
                inflow.done.set()

    def _compute(self, arrived: dict[Inflow[AnyMember], list[Arrival]]) -> None:
        runs = {
            inflow: deque([*run] for _, run in groupby(arrivals, lambda each: each.chunk.epoch))
            for inflow, arrivals in arrived.items()
        }
        while runs:
            self._compute_runs({inflow: waiting.popleft() for inflow, waiting in runs.items()})
            runs = {inflow: rest for inflow, rest in runs.items() if rest}
        if arrived or self._news:
            news, self._news = [*self._news], {}
            self._notify([inflow.member for inflow in arrived], news)

    def _compute_runs(self, arrived: dict[Inflow[AnyMember], list[Arrival]]) -> None:
        logged: dict[Inflow[AnyMember], Logged] = {}
        for inflow, arrivals in arrived.items():
            with self._blamed(inflow):
                if inflow.failure is None:
                    logged[inflow] = inflow.member.log(arrivals)
        self._measure(logged)
        hops = self._cut({inflow: chain(each.works) for inflow, each in logged.items()})
        due: dict[Inflow[AnyMember], deque[DueHop]] = {}
        for inflow, cut in hops.items():
            with self._blamed(inflow):
                if accepted := inflow.member.accept(cut) if cut else []:
                    due[inflow] = deque(accepted)
        self._step(due)

    @contextmanager
    def _blamed(self, inflow: Inflow[AnyMember]) -> Iterator[None]:
        """Let an error end this session alone."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  raised in the session's own thread
            self._fail(inflow, error)

    def _fail(self, inflow: Inflow[AnyMember], error: Exception) -> None:
        inflow.fail(error)
        inflow.member.stop()

    def _measure(self, logged: dict[Inflow[AnyMember], Logged]) -> None:
        """Measure the windows of all members, the oldest of each first."""
        waiting = {inflow: deque(each.windows) for inflow, each in logged.items() if each.windows}
        while waiting:
            windows = [(inflow.member.meters, each.popleft()) for inflow, each in waiting.items()]
            for inflow, measures in zip(waiting, measure_all(windows), strict=True):
                inflow.member.add_measures(measures)
            waiting = {inflow: each for inflow, each in waiting.items() if each}

    def _cut(self, chains: dict[Inflow[AnyMember], Chain]) -> dict[Inflow[AnyMember], list[DueHop]]:
        """Cut the hops of all members, computing together what they need at the same time."""
        hops: dict[Inflow[AnyMember], list[DueHop]] = {}
        jobs: dict[Inflow[AnyMember], HopJob] = {}

        def go_on(inflow: Inflow[AnyMember], result: HopResult | None) -> None:
            with self._blamed(inflow):
                try:
                    each = chains[inflow]
                    jobs[inflow] = next(each) if result is None else each.send(result)
                except StopIteration as done:
                    hops[inflow] = done.value

        for inflow in chains:
            go_on(inflow, None)
        while jobs:
            now, jobs = jobs, {}
            for inflow, result in zip(now, run_jobs([*now.values()]), strict=True):
                go_on(inflow, result)
        return hops

    def _step(self, due: dict[Inflow[AnyMember], deque[DueHop]]) -> None:
        """Step the hops of all members in batches, the oldest of each first."""
        while due:
            by_engine: defaultdict[Engine, list[tuple[Inflow[AnyMember], Slot, DueHop]]]
            by_engine = defaultdict(list)
            for inflow, hops in due.items():
                engine, slot = inflow.member.stepping
                by_engine[engine].append((inflow, slot, hops.popleft()))
            for engine, batch in by_engine.items():
                for start in range(0, len(batch), engine.max_batch):
                    self._step_batch(engine, batch[start : start + engine.max_batch])
            due = {inflow: hops for inflow, hops in due.items() if hops and inflow.failure is None}

    def _step_batch(
        self, engine: Engine, batch: Sequence[tuple[Inflow[AnyMember], Slot, DueHop]]
    ) -> None:
        try:
            predictions = engine.step([(slot, each.hop) for _, slot, each in batch])
        except EngineStopped as error:
            for inflow, *_ in batch:
                self._fail(inflow, error)
            return
        stepped = local_clock()
        for (inflow, _, each), prediction in zip(batch, predictions, strict=True):
            with self._blamed(inflow):
                inflow.member.publish(prediction, each.received, stepped)


def chain(works: Sequence[tuple[HopWork, float]]) -> Chain:
    """Do the works of a session one after the other; return its hops."""
    hops: list[DueHop] = []
    for work, received in works:
        cut = yield from work
        hops += [DueHop(hop, received) for hop in cut]
    return hops
