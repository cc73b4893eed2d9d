"""Steps in a process of its own, so that other threads of this one never hold a step up.

A step is some hundred operations, and after each the thread must win back the interpreter's lock.
Here that happens after one write and one read. The states lie in the other process,
``stepping.py``; this one only knows which rows are free.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frames import HEAD, MOST_HOPS, Batch, Kind, frame, rows_frame
from models.network import MSiMamba
from models.pool import EMPTY, Pool
from models.processor import BLOCK
from models.ssm import States
from models.worker import Worker


class ApartPool:
    """Which rows are whose, while the states lie in the other process.

    A row that is opened is not touched there: the gate of its first hop is 0, which forgets all.
    """

    full = False
    """It grows there."""

    def __init__(self, network: MSiMamba, worker: Worker) -> None:
        self._network, self._worker = network, worker
        self._free: list[int] = []
        self._rows = EMPTY + 1
        self.fresh: set[int] = set()
        """Rows that were opened, and not stepped yet."""

    def open(self) -> int:
        """A row, its state zero."""
        if self._free:
            row = self._free.pop()
        else:
            row, self._rows = self._rows, self._rows + 1
        self.fresh.add(row)
        return row

    def close(self, row: int) -> None:
        """Give a row back."""
        self._free.append(row)

    def taken(self) -> list[int]:
        """The rows that are streams', in order."""
        return sorted(set(range(EMPTY + 1, self._rows)) - set(self._free))

    def row(self, row: int) -> States:
        """A copy of one row, as the pool's; raises ApartFailed."""
        if row in self.fresh:
            return self._network.initial_states(1)
        return States(**safetensors.torch.load(self.snapshot([row])))

    def snapshot(self, rows: Sequence[int]) -> bytes:
        """The pool's, of rows that were stepped; raises ApartFailed."""
        return bytes(self._worker.ask(rows_frame(Kind.SNAPSHOT, rows)).body)

    def restore(self, rows: Sequence[int], content: bytes) -> None:
        """Set rows to a snapshot; raises ApartFailed."""
        self._worker.ask(rows_frame(Kind.RESTORE, rows, content))
        self.fresh.difference_update(rows)

    def take_over(self, pool: Pool) -> None:
        """Go on with the streams of another pool, in the same rows; raises ApartFailed."""
        self.fresh.clear()
        rows = pool.taken()
        for at in range(0, len(rows), BLOCK):
            some = rows[at : at + BLOCK]
            self.restore(some, pool.snapshot(some))
        self._rows = max(rows, default=EMPTY) + 1
        self._free = sorted(set(range(EMPTY + 1, self._rows)) - set(rows), reverse=True)


class ApartStepper:
    """A ``Stepper`` of networks in single precision. It must be prepared, which takes seconds.

    Raises
    ------
    ApartFailed
        If no process can be started; so do all methods but ``close`` where it has ended.
    """

    largest = BLOCK

    def __init__(self, network: MSiMamba) -> None:
        self._network, self._config = network, network.config
        self.worker = Worker()
        self.pool = ApartPool(network, self.worker)
        n_bytes = 4 + 4 + 4 * self._config.n_channels * self._config.n_times
        self._room = memoryview(bytearray(HEAD.size + MOST_HOPS * n_bytes))
        self._n_bytes = n_bytes

    def prepare(self) -> None:
        """Wait until it has the network."""
        architecture = msgspec.json.encode(self._config)
        tensors = {name: t.cpu().contiguous() for name, t in self._network.state_dict().items()}
        weights = safetensors.torch.save(tensors)
        self.worker.ask(frame(Kind.NETWORK, len(architecture), architecture, weights))

    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        self.begin(rows, windows, gates)
        return torch.from_numpy(self.end())

    def begin(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> None:
        """Have the process step, and don't wait; ``MOST_HOPS`` at most."""
        # No operation of torch's here: each lets go of the interpreter's lock.
        count = len(rows)
        whole = self._room[: HEAD.size + count * self._n_bytes]
        HEAD.pack_into(whole, 0, count * self._n_bytes, Kind.STEP, count)
        batch = Batch.within(whole[HEAD.size :], count, self._config)
        fresh = self.pool.fresh.intersection(rows)
        batch.rows[:] = rows
        batch.gates[:] = [
            0.0 if row in fresh else gate for row, gate in zip(rows, gates, strict=True)
        ]
        for place, window in enumerate(windows):
            batch.windows[place] = window
        self.worker.send(whole)
        self.pool.fresh.difference_update(fresh)

    def end(self) -> NDArray[np.float32]:
        """Wait for what ``begin`` began: logits (B, n_outputs); raises ApartFailed."""
        answer = self.worker.answer()
        return np.frombuffer(answer.body, np.float32).reshape(answer.count, -1).copy()

    def close(self) -> None:
        """End the process."""
        self.worker.close()
