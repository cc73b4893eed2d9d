"""One engine owns a model and steps every hop that is due, of all sessions, in one batch.

There is no timer: the engine takes whatever waits, so one session alone is stepped at once and
under load the batch grows by itself. The state of each session is a row of the pool. A session's
hops stay in order, those that abstain included, and outputs never depend on batch mates.

Nothing here walks over all sessions: whoever has a hop that waits stands in one queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch

from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import gate, make_prediction
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.ssm import States
from mimamba.models.prediction import Outputs, Prediction
from mimamba.models.signal.hops import Hop
from mimamba.service.engine.step_times import step_times

log = logging.getLogger(__name__)

MAX_WAITING_HOPS = 8
"""Hops of one session that may wait (2 s at 4 hops/s) before a live source skips to its newest."""

Publish: TypeAlias = Callable[[Prediction, float, float], None]
"""Called in the engine's thread with the prediction, and when it was received and stepped."""


class EngineStopped(RuntimeError):
    """The engine was closed, or its model failed; it steps nothing any more."""


@dataclass(eq=False)
class Slot:
    """A session's place in the engine: its row of the pool and its hops that wait."""

    row: int
    r: float
    publish: Publish
    changed: threading.Condition
    """Told when a hop of it is taken or published."""
    waiting: deque[tuple[Hop, float]] = field(default_factory=deque)
    stepping: bool = False
    anew: bool = True  # the next ok hop that is submitted follows nothing: a start, or a skip
    failed: bool = False  # the last answer was no number: the next ok hop forgets it


Due: TypeAlias = tuple[Slot, Hop, float]
"""A slot, the hop of it that is to be stepped next, and when that was received."""


class Engine:
    """A thread that steps one checkpoint's network for all sessions that use it.

    ``stepper`` steps it; by default the processor does.
    """

    def __init__(self, checkpoint: Checkpoint, stepper: Stepper | None = None) -> None:
        self.checkpoint = checkpoint
        self.failure: BaseException | None = None
        self.steps = step_times()
        """How long the steps took."""
        self.unsound = 0
        """How many answers were no numbers."""
        self.stepper: Stepper = stepper or CPUStepper(checkpoint.network)
        """Used by the engine's thread."""
        self._stopped = False
        self._slots: set[Slot] = set()
        # One lock for the queues; the other is held while the network is stepped, or the pool's
        # tensors are read or replaced. Who takes both takes this one first.
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._due: deque[Slot] = deque()
        """Slots whose first hop waits, and none of theirs is being stepped."""
        self._work = threading.Condition(self._lock)
        """Told when something is due."""
        self._thread = threading.Thread(target=self._run, name=f"engine {checkpoint.name}")
        self._thread.start()

    def open(self, r: float, publish: Publish) -> Slot:
        """A new slot, its state at zero; ``r`` is the gate at the start of each hop."""
        with self._lock:
            pool = self.stepper.pool
            with self._stepping if pool.full else nullcontext():  # only growth must wait
                slot = Slot(pool.open(), r, publish, threading.Condition(self._lock))
            self._slots.add(slot)
            return slot

    def submit(self, slot: Slot, hop: Hop, received: float, wait: bool) -> list[Hop]:
        """Queue a hop; of a session that has fallen behind, the hops that are skipped for it.

        With ``wait`` the caller is held until there is room: a recording loses nothing. Else, where
        there is none, all that waits gives way to the newest hop. The next ok hop then begins from
        nothing: what was skipped is as long as what makes the memory begin anew in a poor signal.

        Raises
        ------
        EngineStopped
            If the engine was closed or has failed.
        """
        with self._lock:
            if wait:
                slot.changed.wait_for(lambda: self._stopped or len(slot.waiting) < MAX_WAITING_HOPS)
            self._check_running()
            skipped = []
            if len(slot.waiting) >= MAX_WAITING_HOPS:
                skipped = [each for each, _ in slot.waiting]
                slot.waiting.clear()
                slot.anew = True
            if slot.anew and hop.window is not None:
                hop, slot.anew = replace(hop, restart=True), False
            slot.waiting.append((hop, received))
            if len(slot.waiting) == 1 and not (slot.stepping or skipped):
                self._due.append(slot)
                self._work.notify()
            return skipped

    def drain(self, slot: Slot) -> None:
        """Wait until all hops of a slot are published."""
        with self._lock:
            slot.changed.wait_for(lambda: self._stopped or not (slot.waiting or slot.stepping))

    def snapshot(self, slot: Slot) -> tuple[States, bool]:
        """A drained slot's states, and whether its next ok hop must begin anew.

        Nothing may be submitted to it meanwhile.

        Raises
        ------
        EngineStopped
            If the engine was closed or has failed.
        """
        self.drain(slot)
        with self._stepping:
            self._check_running()
            return self.stepper.pool.read(slot.row), slot.anew or slot.failed

    def finish(self, slot: Slot) -> None:
        """Drain a slot and give its row back."""
        self.drain(slot)
        with self._lock:
            self._slots.remove(slot)
            self.stepper.pool.close(slot.row)

    def close(self) -> None:
        """Stop the thread; hops that wait are dropped."""
        self._stop()
        self._thread.join()

    def _check_running(self) -> None:
        if self._stopped:
            raise EngineStopped(f"the engine has stopped: {self.failure or 'closed'}")

    def _stop(self) -> None:
        """Have nobody wait any more."""
        with self._lock:
            self._stopped = True
            self._work.notify()
            for slot in self._slots:
                slot.changed.notify_all()

    # In the engine's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        # One thread steps a small batch fastest, and leaves the other cores to acquisition. With
        # two threads on two busy cores, a step had to wait for both: 500 ms instead of 5.
        torch.set_num_threads(1)
        try:
            while batch := self._take():
                self._step(batch)
                self._release(batch)
        except BaseException as failure:
            self.failure = failure
            raise
        finally:
            self._stop()

    def _take(self) -> list[Due]:
        """The first hop of whoever waited longest; empty once the engine is closed."""
        with self._lock:
            self._work.wait_for(lambda: self._stopped or self._due)
            if self._stopped:
                return []
            count = min(len(self._due), self.stepper.max_batch)
            slots = [self._due.popleft() for _ in range(count)]
            batch = [(slot, *slot.waiting.popleft()) for slot in slots]
            for slot in slots:
                slot.stepping = True
                slot.changed.notify_all()
            return batch

    def _release(self, batch: Sequence[Due]) -> None:
        with self._lock:
            for slot, _, _ in batch:
                slot.stepping = False
                if slot.waiting:
                    self._due.append(slot)
                slot.changed.notify_all()

    def _step(self, batch: Sequence[Due]) -> None:
        ok = [(slot, hop) for slot, hop, _ in batch if hop.window is not None]
        outputs = dict(zip((slot for slot, _ in ok), self._outputs(ok), strict=True))
        stepped = local_clock()
        for slot, hop, received in batch:
            slot.publish(make_prediction(hop, outputs.get(slot)), received, stepped)

    @torch.inference_mode()
    def _outputs(self, ok: Sequence[tuple[Slot, Hop]]) -> list[Outputs | None]:
        """Step the network on one hop of each slot; None where the answer is no number."""
        if not ok:
            return []
        start = time.perf_counter()
        rows = [slot.row for slot, _ in ok]
        windows = [hop.window for _, hop in ok if hop.window is not None]
        gates = [0.0 if slot.failed else gate(hop, slot.r) for slot, hop in ok]
        with self._stepping:
            logits = self.stepper.step(rows, windows, gates)
        finite = np.isfinite(logits.numpy()).all(axis=1).tolist()
        for (slot, _), sound in zip(ok, finite, strict=True):
            slot.failed = not sound
        self._count_unsound(finite.count(False))
        made = self.checkpoint.probabilities(logits)
        self.steps.observe(time.perf_counter() - start)
        return [each if sound else None for each, sound in zip(made, finite, strict=True)]

    def _count_unsound(self, count: int) -> None:
        if count and not self.unsound:  # told once: each hop may be so from now on
            log.error("the model's answer was no number", extra={"model": self.checkpoint.name})
        self.unsound += count
