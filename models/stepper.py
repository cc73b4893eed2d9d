"""Steps the hops of many streams in one batch, each with its row of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.network import MSiMamba
from models.pool import EMPTY, Pool, Rows
from models.processor import BLOCK, ProcessorForm


class Stepper(Protocol):
    """Steps one network; for one thread at a time."""

    @property
    def largest(self) -> int:
        """The most hops in a batch."""
        ...

    @property
    def pool(self) -> Rows:
        """The streams' rows."""
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

    def close(self) -> None:
        """Give back what is not memory; nothing is stepped any more."""
        ...


class ProcessorStepper:
    """On the processor. It pads nothing, since there padding costs as much as hops.

    Windows go into one staging buffer and states into another, both made once.
    """

    def __init__(self, network: MSiMamba, largest: int = BLOCK) -> None:
        self.largest = largest
        self.pool = Pool(network)
        self._form = ProcessorForm(network)
        c = network.config
        self._windows = torch.empty(largest, c.n_channels, c.n_times)
        self._staged = self._windows.numpy()
        self._h, self._history = (
            t.new_empty(len(t) * largest * t[0, 0].numel())
            for t in (self.pool.h, self.pool.history)
        )

    @torch.inference_mode()
    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        for place, window in enumerate(windows):
            self._staged[place] = window
        h, history = self._gated(rows, gates)
        logits = self._form.step(self._windows[: len(rows)], h, history)
        index = torch.tensor(rows)
        self.pool.h.index_copy_(1, index, h)
        self.pool.history.index_copy_(1, index, history)
        return logits

    def close(self) -> None:
        """Nothing is to be given back."""

    def _gated(self, rows: Sequence[int], gates: Sequence[float]) -> list[Tensor]:
        """Copies of the states, times the gates; where one is 0, of the empty row."""
        read = [row if gate > 0 else EMPTY for row, gate in zip(rows, gates, strict=True)]
        index, gated = torch.tensor(read), []
        for whole, room in ((self.pool.h, self._h), (self.pool.history, self._history)):
            shape = (len(whole), len(rows), *whole.shape[2:])
            copy = room[: whole[:, 0].numel() * len(rows)].view(shape)
            torch.index_select(whole, 1, index, out=copy)
            if any(0 < gate < 1 for gate in gates):
                copy.mul_(torch.tensor(gates, dtype=copy.dtype)[:, None, None])
            gated.append(copy)
        return gated
