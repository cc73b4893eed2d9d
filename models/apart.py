"""Steps in a process of its own, so that other threads of this one never hold a step up.

A step is some hundred operations, and after each the thread must win back the interpreter's lock.
Here that happens after one write and one read. The states lie in the other process,
``stepping.py``; this one only knows which rows are free.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frames import HEAD, Batch, Frame, Kind, Pipes, frame, rows_frame
from models.network import MSiMamba
from models.pool import EMPTY, Pool
from models.processor import BLOCK
from models.ssm import States

PIPE_BYTES = 1 << 20
"""What a pipe should hold: a whole batch, where the system's 64 kB would wake both ends in turn."""
ENDING = 5.0
"""Seconds that a process which has closed its pipe has to end by itself."""


class ApartFailed(RuntimeError):
    """The process could not be started, has ended, or refused what it was asked."""


class Worker:
    """The other process; asked by one thread at a time, closed by any.

    Raises
    ------
    ApartFailed
        If it cannot be started.
    """

    def __init__(self) -> None:
        # -P: a folder here may be called models, too. In a group of its own, Ctrl-C does not reach
        # it; it ends when this process does, since its standard input ends then.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "models.stepping"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0,
            )
        except OSError as error:
            raise ApartFailed(f"wanted a process for the model; found {error}") from error
        reader, writer = self._process.stdout, self._process.stdin
        assert isinstance(reader, FileIO)
        assert isinstance(writer, FileIO)
        _widen(writer)
        self._pipes = Pipes(reader, writer)
        self._asking = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, request: bytes | memoryview) -> Frame:
        """The answer to a whole frame, good until the next; raises ApartFailed."""
        with self._asking:
            answer = None
            if not self._closed:
                with suppress(BrokenPipeError):  # it still may have said why
                    self._pipes.send(request)
                answer = self._pipes.receive()
            if answer is None:
                raise ApartFailed(f"the process that steps the model has ended: {self._status()}")
        if answer.kind != Kind.DONE:
            raise ApartFailed(f"the process that steps the model: {str(answer.body, 'utf-8')}")
        return answer

    def close(self) -> None:
        """End it; whoever waits for an answer is told that it has ended."""
        self._process.kill()
        self._process.wait()
        with self._asking:
            self._closed = True
            self._pipes.close()

    def _status(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            return f"exit status {self._process.wait(ENDING)}"
        return "its pipe is closed"


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

    def row(self, row: int) -> States:
        """A copy of one row, as the pool's; raises ApartFailed."""
        if row in self.fresh:
            return self._network.initial_states(1)
        answer = self._worker.ask(rows_frame(Kind.SNAPSHOT, [row]))
        return States(**safetensors.torch.load(bytes(answer.body)))

    def take_over(self, pool: Pool) -> None:
        """Go on with the streams of another pool, in the same rows; raises ApartFailed."""
        rows = pool.taken()
        for at in range(0, len(rows), BLOCK):
            some = rows[at : at + BLOCK]
            self._worker.ask(rows_frame(Kind.RESTORE, some, pool.snapshot(some)))
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
        self._room = memoryview(bytearray(HEAD.size + BLOCK * n_bytes))
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
        answer = self.worker.ask(whole)
        self.pool.fresh.difference_update(fresh)
        logits = np.frombuffer(answer.body, np.float32).reshape(count, -1)
        return torch.from_numpy(logits.copy())

    def close(self) -> None:
        """End the process."""
        self.worker.close()


def _widen(pipe: FileIO) -> None:
    """Have a pipe hold more, where the system lets us."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
