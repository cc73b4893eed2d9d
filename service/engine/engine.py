"""The engine: it owns a model and steps hops of many sessions in batches.

The state of each session is a row of the pool. A session's hops stay in order, also those that
abstain, and outputs never depend on the rest of the batch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client import Histogram

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import gate, make_prediction
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.ssm import States
from mimamba.models.prediction import Outputs, Prediction
from mimamba.models.signal.hops import Hop

log = logging.getLogger(__name__)

STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bounds of the histogram of step times, s: a step of the shipped model takes some milliseconds."""


class EngineStopped(RuntimeError):
    """The engine's model has failed, so it steps nothing any more."""


@dataclass(eq=False)
class Slot:
    """A session in the engine: its row of the pool, and its gate at each hop's start."""

    row: int
    r: float
    failed: bool = False  # the last output was not finite: the next ok hop resets the memory


class Engine:
    """Steps one checkpoint's network for all sessions that use it.

    It may be used by any thread; a step that has begun is waited for.

    Parameters
    ----------
    checkpoint
        The model.
    stepper
        Steps its network; on the CPU by default.

    Attributes
    ----------
    failure
        The error that ended it, if any.
    steps
        Histogram of step times, s; it is in no registry.
    non_finite
        Number of outputs that were not finite.
    """

    def __init__(self, checkpoint: Checkpoint, stepper: Stepper | None = None) -> None:
        self.checkpoint = checkpoint
        self.failure: Exception | None = None
        self.steps = Histogram("step_seconds", "Steps.", registry=None, buckets=STEP_SECONDS)
        self.non_finite = 0
        self.stepper: Stepper = stepper or CPUStepper(checkpoint.network)
        self._lock = threading.Lock()
        """Held while the network is stepped, or the pool is read or changed."""

    def open(self, r: float) -> Slot:
        """Open a slot, its state at zero; ``r`` is the gate at the start of each hop."""
        with self._lock:
            return Slot(self.stepper.pool.open(), r)

    def close(self, slot: Slot) -> None:
        """Give a slot's row back."""
        with self._lock:
            self.stepper.pool.close(slot.row)

    def snapshot(self, slot: Slot) -> tuple[States, bool]:
        """Return a slot's states, and if its next ok hop must reset them.

        Raises
        ------
        EngineStopped
            If the model has failed.
        """
        with self._lock:
            self._check_running()
            return self.stepper.pool.read(slot.row), slot.failed

    def restore(self, slot: Slot, states: States) -> None:
        """Set a slot's states, as ``snapshot`` returned them."""
        with self._lock:
            self.stepper.pool.write(slot.row, states)

    @property
    def max_batch(self) -> int:
        """Largest number of hops in a step."""
        return self.stepper.max_batch

    def step(self, due: Sequence[tuple[Slot, Hop]]) -> list[Prediction]:
        """Step one hop of each of these slots; return the predictions in the same order.

        Parameters
        ----------
        due
            Up to ``max_batch`` different slots, each with its next hop.

        Raises
        ------
        EngineStopped
            If the model fails now, or has failed before.
        """
        with self._lock:
            self._check_running()
            ok = [(slot, hop) for slot, hop in due if hop.window is not None]
            try:
                outputs = iter(self._outputs(ok) if ok else [])
            except Exception as error:
                self.failure = error
                log.exception("the model failed", extra={"model": self.checkpoint.name})
                raise EngineStopped(f"the engine has stopped: {error}") from error
        return [
            make_prediction(hop, None if hop.window is None else next(outputs)) for _, hop in due
        ]

    def _check_running(self) -> None:
        if self.failure is not None:
            raise EngineStopped(f"the engine has stopped: {self.failure}")

    def _outputs(self, ok: Sequence[tuple[Slot, Hop]]) -> list[Outputs | None]:
        """Step the network on one hop of each slot; None where the output is not finite."""
        start = time.perf_counter()
        rows = [slot.row for slot, _ in ok]
        windows = [hop.window for _, hop in ok if hop.window is not None]
        gates = [0.0 if slot.failed else gate(hop, slot.r) for slot, hop in ok]
        logits = self.stepper.step(rows, windows, gates)
        finite = np.logical_and.reduce(np.isfinite(logits.numpy()), 1).tolist()
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
