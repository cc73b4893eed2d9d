"""One engine owns a model and steps every hop that is due, of all sessions, in one batch.

There is no timer: the engine takes whatever waits, so one session alone is stepped at once and
under load the batch grows by itself. The state of each session is a row of the pool. A session's
hops stay in order, those that abstain included, and outputs never depend on batch mates.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from drivers.clock import local_clock
from models.checkpoint import Checkpoint
from models.decoder import gate, prediction
from models.hops import Hop
from models.prediction import Outputs, Prediction
from models.ssm import States
from service.tally import step_times

log = logging.getLogger(__name__)

WAITING = 8
"""Hops of one session that may wait (2 s at 4 hops/s) before a live source skips."""

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
    waiting: deque[tuple[Hop, float]] = field(default_factory=deque)
    stepping: bool = False
    anew: bool = True  # the next ok hop that is submitted follows nothing: a start, or a skip
    failed: bool = False  # the last answer was no number: the next ok hop forgets it


class Engine:
    """A thread that steps one checkpoint's network for all sessions that use it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.failure: BaseException | None = None
        self.steps = step_times()
        """How long the steps took."""
        self.unsound = 0
        """How many answers were no numbers."""
        self._pool = checkpoint.network.initial_states(0)
        self._free: list[int] = []
        self._slots: list[Slot] = []
        self._stopped = False
        # One condition for the queue and the pool; it is not held while the network is stepped.
        self._changed = threading.Condition()
        self._stepping = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"engine {checkpoint.name}")
        self._thread.start()

    def open(self, r: float, publish: Publish) -> Slot:
        """A new slot, its state at zero; ``r`` is the gate at the start of each hop."""
        with self._changed:
            if not self._free:
                self._grow()
            slot = Slot(self._free.pop(), r, publish)
            self._slots.append(slot)
            return slot

    def submit(self, slot: Slot, hop: Hop, received: float, wait: bool) -> bool:
        """Queue a hop; false where it was skipped because too many of the session's wait.

        With ``wait`` the caller is held until there is room: a recording loses nothing. At the
        first ok hop after a skip the state begins anew, as it does after a gap.

        Raises
        ------
        EngineStopped
            If the engine was closed or has failed.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._stopped or len(slot.waiting) < WAITING)
            if self._stopped:
                raise EngineStopped(f"the engine has stopped: {self.failure or 'closed'}")
            if len(slot.waiting) >= WAITING:
                slot.anew = True
                return False
            if slot.anew and hop.window is not None:
                hop, slot.anew = replace(hop, restart=True), False
            slot.waiting.append((hop, received))
            self._changed.notify_all()
            return True

    def drain(self, slot: Slot) -> None:
        """Wait until all hops of a slot are published."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not (slot.waiting or slot.stepping))

    def snapshot(self, slot: Slot) -> tuple[States, bool]:
        """A drained slot's states, and whether its next ok hop must begin anew.

        Nothing may be submitted to it meanwhile.

        Raises
        ------
        EngineStopped
            If the engine was closed or has failed.
        """
        self.drain(slot)
        with self._changed, self._stepping:
            if self._stopped:
                raise EngineStopped(f"the engine has stopped: {self.failure or 'closed'}")
            states = States(*(pool[:, slot.row : slot.row + 1].clone() for pool in self._pool))
            return states, slot.anew or slot.failed

    def finish(self, slot: Slot) -> None:
        """Drain a slot and give its row back."""
        self.drain(slot)
        with self._changed:
            self._slots.remove(slot)
            self._free.append(slot.row)

    def close(self) -> None:
        """Stop the thread; hops that wait are dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _grow(self) -> None:
        """Double the pool; states that are in use keep their rows."""
        size = self._pool.h.shape[1]
        added = self.checkpoint.network.initial_states(max(8, size))
        with self._stepping:
            self._pool = States(
                *(torch.cat(pair, dim=1) for pair in zip(self._pool, added, strict=True))
            )
        self._free += range(self._pool.h.shape[1] - 1, size - 1, -1)

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
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _take(self) -> list[tuple[Slot, Hop, float]]:
        """The next hop of every slot where one waits; empty once the engine is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or any(slot.waiting for slot in self._slots)
            )
            if self._stopped:
                return []
            batch = [(slot, *slot.waiting.popleft()) for slot in self._slots if slot.waiting]
            for slot, _, _ in batch:
                slot.stepping = True
            self._changed.notify_all()
            return batch

    def _release(self, batch: list[tuple[Slot, Hop, float]]) -> None:
        with self._changed:
            for slot, _, _ in batch:
                slot.stepping = False
            self._changed.notify_all()

    def _step(self, batch: list[tuple[Slot, Hop, float]]) -> None:
        due = [(slot, hop, hop.window) for slot, hop, _ in batch if hop.window is not None]
        rows = [slot.row for slot, _, _ in due]
        outputs = dict(zip(rows, self._outputs(due), strict=True))
        stepped = local_clock()
        for slot, hop, received in batch:
            slot.publish(prediction(hop, outputs.get(slot.row)), received, stepped)

    @torch.inference_mode()
    def _outputs(self, due: list[tuple[Slot, Hop, NDArray[np.float32]]]) -> list[Outputs | None]:
        """Step the network on one hop of each slot."""
        if not due:
            return []
        windows = torch.from_numpy(np.stack([window for _, _, window in due]))
        start = time.perf_counter()
        rows = torch.tensor([slot.row for slot, _, _ in due])
        r = torch.tensor([self._gate(slot, hop) for slot, hop, _ in due])
        with self._stepping:
            states = States(*(pool.index_select(1, rows) for pool in self._pool))
            logits, states = self.checkpoint.network.step(windows, r, states)
            for pool, new in zip(self._pool, states, strict=True):
                pool.index_copy_(1, rows, new)
        finite = logits.isfinite().all(dim=1).tolist()
        for (slot, _, _), sound in zip(due, finite, strict=True):
            slot.failed = not sound
        self._count_unsound(finite.count(False))
        made = self.checkpoint.probabilities(logits)
        self.steps.observe(time.perf_counter() - start)
        return [each if sound else None for each, sound in zip(made, finite, strict=True)]

    def _count_unsound(self, count: int) -> None:
        if count and not self.unsound:  # told once: each hop may be so from now on
            log.error("the model's answer was no number", extra={"model": self.checkpoint.name})
        self.unsound += count

    def _gate(self, slot: Slot, hop: Hop) -> float:
        return 0.0 if slot.failed else gate(hop, slot.r)
