"""The engine: it owns a model and steps the due hops of all sessions in one batch.

There is no timer: the engine takes the hops that wait, so a single session is stepped immediately,
and under load the batches grow. The state of each session is a row of the pool. A session's hops
stay in order, also those that abstain, and outputs never depend on the rest of the batch.

Nothing here loops over all sessions: the slots with a hop that waits are in one queue.
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
from prometheus_client import Histogram

from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import gate, make_prediction
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.ssm import States
from mimamba.models.prediction import Outputs, Prediction
from mimamba.models.signal.hops import Hop

log = logging.getLogger(__name__)

MAX_WAITING_HOPS = 8
"""Hops of one session that may wait (2 s at 4 hops/s) before a live source skips to its newest."""
STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bounds of the histogram of step times, s: a step of the shipped model takes some milliseconds."""

Publish: TypeAlias = Callable[[Prediction, float, float], None]
"""Called in the engine's thread with a prediction and the times of its reception and its step."""


class EngineStopped(RuntimeError):
    """The engine was closed or its model failed, so it steps nothing any more."""


@dataclass(eq=False)
class Slot:
    """A session in the engine: its row of the pool and its hops that wait."""

    row: int
    r: float
    publish: Publish
    changed: threading.Condition
    """Notified when one of its hops is taken or published."""
    waiting: deque[tuple[Hop, float]] = field(default_factory=deque)
    stepping: bool = False
    restart: bool = True  # the next ok hop resets the memory: at the start, and after a skip
    failed: bool = False  # the last output was not finite: the next ok hop resets the memory


Due: TypeAlias = tuple[Slot, Hop, float]
"""A slot, its next hop, and the time of its reception."""


class Engine:
    """A thread that steps one checkpoint's network for all sessions that use it.

    Parameters
    ----------
    checkpoint
        The model.
    stepper
        Steps its network; on the CPU by default.

    Attributes
    ----------
    failure
        The error that ended the thread, if any.
    steps
        Histogram of step times, s; it is in no registry.
    non_finite
        Number of outputs that were not finite.
    stepper
        Used by the engine's thread alone.
    """

    def __init__(self, checkpoint: Checkpoint, stepper: Stepper | None = None) -> None:
        self.checkpoint = checkpoint
        self.failure: BaseException | None = None
        self.steps = Histogram("step_seconds", "Steps.", registry=None, buckets=STEP_SECONDS)
        self.non_finite = 0
        self.stepper: Stepper = stepper or CPUStepper(checkpoint.network)
        self._stopped = False
        self._slots: set[Slot] = set()
        # One lock for the queues; the other is held while the network is stepped, or the pool's
        # tensors are read or replaced. A thread that needs both takes this one first.
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._due: deque[Slot] = deque()
        """Slots with a hop that waits and none that is being stepped."""
        self._work = threading.Condition(self._lock)
        """Notified when a slot is due."""
        self._thread = threading.Thread(target=self._run, name=f"engine {checkpoint.name}")
        self._thread.start()

    def open(self, r: float, publish: Publish) -> Slot:
        """Open a slot, its state at zero; ``r`` is the gate at the start of each hop."""
        with self._lock:
            pool = self.stepper.pool
            with self._stepping if pool.full else nullcontext():  # only growth must wait
                slot = Slot(pool.open(), r, publish, threading.Condition(self._lock))
            self._slots.add(slot)
            return slot

    def submit(self, slot: Slot, hop: Hop, received: float, wait: bool) -> list[Hop]:
        """Queue a hop; return the hops that are skipped for it.

        With ``wait``, block until there is room: a recording loses nothing. Without, a full queue
        is emptied for the newest hop. The next ok hop then resets the memory: the skipped hops are
        as long as the poor signal after which the memory is reset.

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
                slot.restart = True
            if slot.restart and hop.window is not None:
                hop, slot.restart = replace(hop, restart=True), False
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
        """Return a drained slot's states, and if its next ok hop must reset them.

        Nothing may be submitted to it during that time.

        Raises
        ------
        EngineStopped
            If the engine was closed or has failed.
        """
        self.drain(slot)
        with self._stepping:
            self._check_running()
            return self.stepper.pool.read(slot.row), slot.restart or slot.failed

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
        """Stop, and wake all threads that wait."""
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
        """Take the first hops of the slots that waited longest; none once the engine is closed."""
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
        """Step the network on one hop of each slot; None where the output is not finite."""
        if not ok:
            return []
        start = time.perf_counter()
        rows = [slot.row for slot, _ in ok]
        windows = [hop.window for _, hop in ok if hop.window is not None]
        gates = [0.0 if slot.failed else gate(hop, slot.r) for slot, hop in ok]
        with self._stepping:
            logits = self.stepper.step(rows, windows, gates)
        finite = np.isfinite(logits.numpy()).all(axis=1).tolist()
        for (slot, _), each in zip(ok, finite, strict=True):
            slot.failed = not each
        self._count_non_finite(finite.count(False))
        made = self.checkpoint.probabilities(logits)
        self.steps.observe(time.perf_counter() - start)
        return [each if right else None for each, right in zip(made, finite, strict=True)]

    def _count_non_finite(self, count: int) -> None:
        if count and not self.non_finite:  # logged once: all later hops may be so, too
            log.error("the model's output was not finite", extra={"model": self.checkpoint.name})
        self.non_finite += count
