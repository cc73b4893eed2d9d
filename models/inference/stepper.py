"""The stepper protocol, and the stepper for a CPU: hops of many streams in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.models.inference.cpu.network import MAX_BATCH, CPUNetwork
from mimamba.models.inference.state_pool import EMPTY_ROW, StatePool
from mimamba.models.network.msimamba import MSiMamba


class Stepper(Protocol):
    """Steps one network for many streams; used by one thread at a time."""

    @property
    def max_batch(self) -> int:
        """Largest number of hops in a batch."""
        ...

    @property
    def pool(self) -> StatePool:
        """States of the streams."""
        ...

    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        """Step one hop of each given stream and update its row of the pool.

        Parameters
        ----------
        rows
            1 to ``max_batch`` different rows of the pool.
        windows
            One (C, L) for each row, µV.
        gates
            Factor of each state before the step; 0 resets even NaN.

        Returns
        -------
        Logits (len(rows), n_outputs), on the CPU.
        """
        ...


class CPUStepper:
    """Steps on a CPU, without padding, which would cost as much as hops.

    Windows are copied to one staging buffer and states to another; both are allocated once.
    """

    max_batch = MAX_BATCH

    def __init__(self, network: MSiMamba) -> None:
        self.pool = StatePool(network)
        self._network = CPUNetwork(network)
        c = network.config
        self._windows = torch.empty(MAX_BATCH, c.n_channels, c.n_times)
        self._staged = self._windows.numpy()
        kept = (self.pool.h, self.pool.history)
        self._buffers = [t.new_empty(len(t) * MAX_BATCH * t[0, 0].numel()) for t in kept]
        self._views: dict[int, list[Tensor]] = {}

    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        np.concatenate(windows, out=self._staged[: len(rows)].reshape(-1, self._staged.shape[-1]))
        copies = self._copies(len(rows))
        self._read(rows, gates, [copy.numpy() for copy in copies])
        logits = self._network.step(self._windows[: len(rows)], *copies)
        index = np.array(rows)
        for whole, copy in zip((self.pool.h, self.pool.history), copies, strict=True):
            whole.numpy()[:, index] = copy.numpy()
        return logits

    def _read(
        self, rows: Sequence[int], gates: Sequence[float], copies: list[NDArray[np.float32]]
    ) -> None:
        """Copy the states, times the gates; for a gate of 0, copy the empty row."""
        read = [row if gate > 0 else EMPTY_ROW for row, gate in zip(rows, gates, strict=True)]
        for whole, copy in zip((self.pool.h, self.pool.history), copies, strict=True):
            np.take(whole.numpy(), read, axis=1, out=copy, mode="clip")  # "raise" buffers
        if any(0 < gate < 1 for gate in gates):
            factors = np.array(gates, copies[0].dtype)[:, None, None]
            for copy in copies:
                np.multiply(copy, factors, out=copy)

    def _copies(self, batch: int) -> list[Tensor]:
        """Return the buffers for the states of a batch; views are made once."""
        if batch not in self._views:
            self._views[batch] = [
                buffer[: whole[:, 0].numel() * batch].view(len(whole), batch, *whole.shape[2:])
                for whole, buffer in zip(
                    (self.pool.h, self.pool.history), self._buffers, strict=True
                )
            ]
        return self._views[batch]
