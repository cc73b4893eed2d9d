"""The compute loop: one thread that computes for all sessions, on whatever has arrived.

A headset's chunk has 12 samples, and a NumPy call costs nearly as much for one chunk as for those
of 60 headsets. So the threads that read sources only append chunks to one queue, and this thread
takes what waits: it logs the chunks, measures quality and band power, cuts hops and steps the
models, each for all sessions together. A chunk that completes a hop begins a round at once, or
after a rest that grows with the number of sessions, so that more hops are stepped together. All
other chunks wait for the next of the rounds with all sessions, 25 to 50 times a second, or for a
hop.

The results of a session do not depend on the other sessions, nor on how its chunks fall into
rounds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Generic, TypeAlias, TypeVar

import torch

from mimamba.drivers.driver import Chunk
from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.channel_meters import GROUP, measure_all
from mimamba.models.signal.hops import HopJob, HopResult, HopWork, run_jobs
from mimamba.models.signal.sliding_window import Window
from mimamba.service.engine.arrivals import ArrivedChunk
from mimamba.service.engine.engine import Engine, EngineStopped, Slot
from mimamba.service.engine.member import DueHop, Member
from mimamba.service.engine.round_pace import FEW, RoundPace, rest_of

log = logging.getLogger(__name__)

LONGEST_WAIT = 0.3
"""Seconds that a chunk may wait for a hop, in a session whose signal nobody watches, and that
windows may wait for others."""
UNATTENDED_WAIT = 0.6
"""Seconds that it may wait where nobody takes the signal in any other way, either: longer than from
hop to hop of the shipped model."""
TOGETHER = 2 * GROUP
"""Windows of unattended sessions that wait for each other: two of each of as many sessions as are
measured together."""
SENDING_SECONDS = 1.0
"""A session that has sent nothing for as long does not count as one that sends."""
AHEAD_SECONDS = 4.0
"""Signal of one recording that may wait; its reader waits for room."""
CLOSING_LOOK = 0.5
"""Seconds between two looks if the loop has ended, while somebody waits for a round."""
VISIT_SECONDS = 5e-4
"""Rest of the loop when other threads wait to change a session."""


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
    arrived
        Chunks that wait for a round.
    windows
        Windows that wait to be measured.
    epoch
        Epoch of its newest chunk in the loop.
    ended
        True once its source has ended.
    done
        Set once everything before the end is computed.
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
        self.arrived: deque[ArrivedChunk] = deque()
        self._arriving = threading.Lock()
        self.windows: deque[Window] = deque()
        self.epoch: int | None = None
        self.ended = False
        self.done = threading.Event()
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
        self._loop.add(self, ArrivedChunk(chunk, local_clock()))

    def hand_on(self, chunk: Chunk) -> None:
        """Add a chunk of a live source, from any thread; it is dropped if the session failed."""
        if self.failure is None:
            self._loop.add(self, ArrivedChunk(chunk, local_clock()))

    def receive(self, arrival: ArrivedChunk) -> bool:
        """Let a chunk wait for a round; return whether it is now the oldest one that waits."""
        with self._arriving:
            oldest = not self.arrived
            self.arrived.append(arrival)
        return oldest

    def take(self) -> list[ArrivedChunk]:
        """Remove all chunks that wait, in the loop's thread."""
        with self._arriving:
            taken = [*self.arrived]
            self.arrived.clear()
        return taken

    def waits_since(self, since: float) -> bool:
        """Return whether a chunk waits that came at this time or before."""
        return bool(self.arrived) and self.arrived[0].received <= since

    def release(self, arrivals: Sequence[ArrivedChunk]) -> None:
        """Note that chunks are computed, in the loop's thread."""
        if self._most is not None:
            with self._changed:
                self._waiting -= sum(each.chunk.n_times for each in arrivals)
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
        self._inflows: dict[Inflow[AnyMember], None] = {}
        self._prompt: deque[Inflow[AnyMember]] = deque()
        """Those that need not wait for the next round with all."""
        self._watched: deque[Inflow[AnyMember]] = deque()
        """Those with chunks that wait for that round alone."""
        self._unwatched: deque[tuple[float, Inflow[AnyMember]]] = deque()
        """Those whose chunks may wait for a hop, from when on they wait, the oldest first."""
        self._unattended: deque[tuple[float, Inflow[AnyMember]]] = deque()
        """Those of them whose chunks may wait even longer."""
        self._woken = threading.Event()
        self._lock = threading.Lock()
        """Held while a round computes."""
        self._joining = threading.Lock()
        self._visitors = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._sent: dict[Inflow[AnyMember], None] = {}
        """Those that have sent something since the last count."""
        self._sending, self._counted = 0, local_clock()
        """Number of those that sent at the last count, and its time."""
        self._windows_since: float | None = None
        """Time from which on windows wait."""
        self._asked: deque[tuple[Inflow[AnyMember], threading.Event]] = deque()
        """Those whose chunks somebody waits for."""
        self._grown: dict[AnyMember, None] = {}
        self._news: dict[AnyMember, None] = {}

    def join(
        self, member: AnyMember, is_due: Callable[[int], bool], recording_sfreq: float | None
    ) -> Inflow[AnyMember]:
        """Let a session take part; ``recording_sfreq`` (Hz) is None for a live source."""
        most = None if recording_sfreq is None else AHEAD_SECONDS * recording_sfreq
        inflow = Inflow(self, member, is_due, most)
        with self._joining:
            self._inflows = {**self._inflows, inflow: None}  # the loop may go through the old one
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="compute loop")
                self._thread.start()
        self._woken.set()  # it may wait for long, with few sessions
        return inflow

    def leave(self, inflow: Inflow[AnyMember]) -> None:
        """Wait until a session's chunks are computed; then it takes part no more."""
        inflow.ended = True
        self._prompt.append(inflow)
        self._woken.set()
        inflow.done.wait()
        with self._joining:
            self._inflows = {each: None for each in self._inflows if each is not inflow}

    @property
    def waiting(self) -> int:
        """Number of chunks that wait for the next round."""
        return sum(len(inflow.arrived) for inflow in self._inflows)

    def close(self) -> None:
        """End the thread, once all sessions have left."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def held(
        self,
        own: Inflow[AnyMember] | None = None,
        measured: Inflow[AnyMember] | None = None,
    ) -> Iterator[None]:
        """Keep the loop between two rounds: all chunks that it took are predicted and measured.

        Others may still wait for a round, but none that came before in the session ``own``. With
        ``measured``, only that session's windows are measured for certain.
        """
        with self._joining:
            self._visitors += 1
        try:
            if own is not None:
                self._compute_now(own)
            with self._lock:
                self._measure(self._inflows if measured is None else [measured])
                yield
        finally:
            with self._joining:
                self._visitors -= 1

    def _compute_now(self, inflow: Inflow[AnyMember]) -> None:
        """Wait for a round that takes the chunks of a session that have come."""
        if not inflow.arrived or self._thread is None:
            return
        computed = threading.Event()
        self._asked.append((inflow, computed))
        self._woken.set()
        while not computed.wait(CLOSING_LOOK) and self._thread.is_alive():
            pass

    def add(self, inflow: Inflow[AnyMember], arrival: ArrivedChunk) -> None:
        """Add a chunk; nobody waits for it to be computed, from any thread."""
        chunk = arrival.chunk
        prompt = (
            len(self._inflows) <= FEW
            or not inflow.live
            or bool(chunk.markers)
            or inflow.is_due(chunk.end)
        )
        oldest = inflow.receive(arrival)
        if prompt:
            self._prompt.append(inflow)
            if not self._woken.is_set():
                self._woken.set()
        elif inflow.member.watched:
            self._watched.append(inflow)
        elif oldest:
            self._unwatched.append((arrival.received, inflow))

    def hasten(self, inflow: Inflow[AnyMember]) -> None:
        """Let chunks that wait for a hop wait for the next round with all, from any thread."""
        if inflow.arrived:
            self._watched.append(inflow)

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
        pace = RoundPace(time.monotonic())
        while not self._closed:
            self._woken.wait(pace.wait(len(self._inflows), time.monotonic()))
            self._woken.clear()
            begun = time.monotonic()
            sending = self._count_sending(local_clock())
            everyone = pace.begin(len(self._inflows), sending, begun)
            with self._lock, COMPUTE_LOCK:
                self._round(everyone)
            rest = begun + rest_of(sending) - time.monotonic()
            rest = max(rest, VISIT_SECONDS if self._visitors else 0.0)
            if rest > 0:
                time.sleep(rest)

    def _count_sending(self, now: float) -> int:
        """Return how many sessions have sent something in about the last second."""
        if now - self._counted >= SENDING_SECONDS:
            self._sending, self._counted = len(self._sent), now
            self._sent.clear()
        return max(self._sending, len(self._sent))

    def _round(self, everyone: bool) -> None:
        """Compute what has arrived: of all sessions, or of those that need not wait."""
        prompt = [self._prompt.popleft() for _ in range(len(self._prompt))]
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        inflows = dict.fromkeys([*prompt, *(inflow for inflow, _ in asked)])
        now = local_clock()
        if everyone:
            inflows |= dict.fromkeys(self._take_ripe(now))
        ended = [inflow for inflow in prompt if inflow.ended]  # nothing arrives any more
        arrived = {
            inflow: inflow.take()
            for inflow in inflows
            if inflow.arrived and not inflow.done.is_set()  # else it came after the end
        }
        self._sent |= dict.fromkeys(arrived)
        try:
            self._compute(
                {inflow: each for inflow, each in arrived.items() if inflow.failure is None}
            )
            self._measure(self._ready_to_measure(now) if everyone else ended)
            self._report(everyone)
        except Exception as error:  # an error of ours; the loop goes on with other sessions
            log.exception("a round failed")
            for inflow in arrived:
                self._fail(inflow, error)
        finally:
            for inflow, arrivals in arrived.items():
                inflow.release(arrivals)
            for inflow in ended:
                inflow.done.set()
            for _, computed in asked:
                computed.set()

    def _take_ripe(self, now: float) -> list[Inflow[AnyMember]]:
        """Return those whose chunks wait for no hop: somebody watches, or the oldest waited long.

        Where a hop has taken the oldest one, a newer one has a place of its own.
        """
        ripe = [self._watched.popleft() for _ in range(len(self._watched))]
        while self._unwatched and self._unwatched[0][0] <= now - LONGEST_WAIT:
            since, inflow = self._unwatched.popleft()
            if inflow.waits_since(since):
                if inflow.member.unattended:
                    self._unattended.append((since, inflow))
                else:
                    ripe.append(inflow)
        while self._unattended and self._unattended[0][0] <= now - UNATTENDED_WAIT:
            since, inflow = self._unattended.popleft()
            if inflow.waits_since(since):
                ripe.append(inflow)
        return ripe

    def _report(self, everyone: bool) -> None:
        """Notify of what is new; of signal only in rounds with everyone."""
        grown: list[AnyMember] = []
        if everyone:
            grown, self._grown = [*self._grown], {}
        if grown or self._news:
            news, self._news = [*self._news], {}
            self._notify(grown, news)

    def _compute(self, arrived: dict[Inflow[AnyMember], list[ArrivedChunk]]) -> None:
        runs = {inflow: deque(split_epochs(arrivals)) for inflow, arrivals in arrived.items()}
        while runs:
            self._compute_runs({inflow: waiting.popleft() for inflow, waiting in runs.items()})
            runs = {inflow: rest for inflow, rest in runs.items() if rest}

    def _compute_runs(self, arrived: dict[Inflow[AnyMember], list[ArrivedChunk]]) -> None:
        chains: dict[Inflow[AnyMember], Chain] = {}
        for inflow, arrivals in arrived.items():
            try:
                works = self._log(inflow, arrivals) if inflow.failure is None else []
            except Exception as error:  # noqa: BLE001  raised in the session's own thread
                self._fail(inflow, error)
                continue
            if works:
                chains[inflow] = chain(works)
        due: dict[Inflow[AnyMember], deque[DueHop]] = {}
        for inflow, hops in self._cut(chains).items():
            try:
                if accepted := inflow.member.accept(hops) if hops else []:
                    due[inflow] = deque(accepted)
            except Exception as error:  # noqa: BLE001
                self._fail(inflow, error)
        self._step(due)

    def _log(
        self, inflow: Inflow[AnyMember], arrivals: Sequence[ArrivedChunk]
    ) -> list[tuple[HopWork, float]]:
        """Let a session log chunks of one epoch; return the work on their hops."""
        epoch = arrivals[0].chunk.epoch
        if epoch != inflow.epoch:
            self._measure([inflow])  # its windows belong to the logs of the epoch before
            inflow.epoch = epoch
        logged = inflow.member.log(arrivals)
        inflow.windows += logged.windows
        self._grown[inflow.member] = None
        return logged.works

    def _fail(self, inflow: Inflow[AnyMember], error: Exception) -> None:
        inflow.fail(error)
        inflow.member.stop()

    def _ready_to_measure(self, now: float) -> list[Inflow[AnyMember]]:
        """Return those whose windows are measured now: all, or none until more of them wait."""
        waiting = [inflow for inflow in self._inflows if inflow.windows]
        if waiting and self._may_wait(waiting, now):
            return []
        self._windows_since = None
        return waiting

    def _may_wait(self, waiting: Sequence[Inflow[AnyMember]], now: float) -> bool:
        """Return whether the windows of these wait for those of others."""
        n_windows = sum(len(inflow.windows) for inflow in waiting)
        if len(self._inflows) <= FEW or n_windows >= min(TOGETHER, len(self._inflows)):
            return False
        if self._windows_since is None:
            self._windows_since = now
        return now - self._windows_since < LONGEST_WAIT and all(
            each.member.unattended and not each.ended for each in waiting
        )

    def _measure(self, inflows: Iterable[Inflow[AnyMember]]) -> None:
        """Measure the windows that wait, the oldest of each session first."""
        while waiting := [inflow for inflow in inflows if inflow.windows]:
            windows = [(inflow.member.meters, inflow.windows.popleft()) for inflow in waiting]
            for inflow, measures in zip(waiting, measure_all(windows), strict=True):
                inflow.member.add_measures(measures)

    def _cut(self, chains: dict[Inflow[AnyMember], Chain]) -> dict[Inflow[AnyMember], list[DueHop]]:
        """Cut the hops of all members, computing together what they need at the same time."""
        hops: dict[Inflow[AnyMember], list[DueHop]] = {}
        jobs: dict[Inflow[AnyMember], HopJob] = {}

        def go_on(inflow: Inflow[AnyMember], result: HopResult | None) -> None:
            try:
                each = chains[inflow]
                jobs[inflow] = next(each) if result is None else each.send(result)
            except StopIteration as done:
                hops[inflow] = done.value
            except Exception as error:  # noqa: BLE001
                self._fail(inflow, error)

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
            try:
                inflow.member.publish(prediction, each.received, stepped)
            except Exception as error:  # noqa: BLE001
                self._fail(inflow, error)


def split_epochs(arrivals: list[ArrivedChunk]) -> list[list[ArrivedChunk]]:
    """Split chunks into runs of one epoch each; epochs only grow."""
    if arrivals[0].chunk.epoch == arrivals[-1].chunk.epoch:
        return [arrivals]
    return [[*run] for _, run in groupby(arrivals, lambda each: each.chunk.epoch)]


def chain(works: Sequence[tuple[HopWork, float]]) -> Chain:
    """Do the works of a session one after the other; return its hops."""
    hops: list[DueHop] = []
    for work, received in works:
        cut = yield from work
        hops += [DueHop(hop, received) for hop in cut]
    return hops
