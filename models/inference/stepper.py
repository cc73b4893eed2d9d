"""Steps the hops of many streams in one batch, each with its row of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.models.inference.cpu.network import BLOCK, CPUNetwork
from mimamba.models.inference.state_pool import EMPTY, Pool
from mimamba.models.network.msimamba import MSiMamba


class Stepper(Protocol):
    """Steps one network; for one thread at a time."""

    @property
    def largest(self) -> int:
        """The most hops in a batch."""
        ...

    @property
    def pool(self) -> Pool:
        """The streams' states."""
        ...

    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        """One hop of each of some streams, whose rows of the pool are written.

        Parameters
        ----------
        rows
            1 to ``largest`` of them, each once.
        windows
            Of each (C, L), µV.
        gates
            What each one's state is multiplied by at first; 0 forgets even what is no number.

        Returns
        -------
        Logits (len(rows), n_outputs), on the processor.
        """
        ...


class CPUStepper:
    """On the processor. It pads nothing, since there padding costs as much as hops.

    Windows go into one staging buffer and states into another, both made once.
    """

    largest = BLOCK

    def __init__(self, network: MSiMamba) -> None:
        self.pool = Pool(network)
        self._form = CPUNetwork(network)
        c = network.config
        self._windows = torch.empty(BLOCK, c.n_channels, c.n_times)
        self._staged = self._windows.numpy()
        kept = (self.pool.h, self.pool.history)
        self._rooms = [t.new_empty(len(t) * BLOCK * t[0, 0].numel()) for t in kept]
        self._views: dict[int, list[Tensor]] = {}

    @torch.inference_mode()
    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        np.concatenate(windows, out=self._staged[: len(rows)].reshape(-1, self._staged.shape[-1]))
        h, history = gated = self._gated(rows, gates)
        logits = self._form.step(self._windows[: len(rows)], h, history)
        index = np.array(rows)
        for whole, copy in zip((self.pool.h, self.pool.history), gated, strict=True):
            whole.numpy()[:, index] = copy.numpy()
        return logits

    def _gated(self, rows: Sequence[int], gates: Sequence[float]) -> list[Tensor]:
        """Copies of the states, times the gates; where one is 0, of the empty row."""
        read = [row if gate > 0 else EMPTY for row, gate in zip(rows, gates, strict=True)]
        index, copies = torch.tensor(read), self._copies(len(rows))
        for whole, copy in zip((self.pool.h, self.pool.history), copies, strict=True):
            torch.index_select(whole, 1, index, out=copy)
        if any(0 < gate < 1 for gate in gates):
            factors = torch.tensor(gates, dtype=copies[0].dtype)[:, None, None]
            for copy in copies:
                copy.mul_(factors)
        return copies

    def _copies(self, batch: int) -> list[Tensor]:
        """Where the states of so many are copied to; a view is made once."""
        if batch not in self._views:
            self._views[batch] = [
                room[: whole[:, 0].numel() * batch].view(len(whole), batch, *whole.shape[2:])
                for whole, room in zip((self.pool.h, self.pool.history), self._rooms, strict=True)
            ]
        return self._views[batch]
