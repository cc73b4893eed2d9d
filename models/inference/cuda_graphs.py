"""Steps on a CUDA device: one copy there, one captured graph, one copy back.

The graph of a batch size holds the whole step: the static form, its recurrence in mamba-ssm's
kernels where they are, and the reading and writing of the pool. A batch is padded to the next
prepared size, since a device steps 8 streams as fast as 5 and every size costs a capture. What a
batch needs lies in one pinned buffer: rows, gates, windows.

Imported only where it is asked for. On a processor it runs as well, without a graph, and is tested
so; to serve there, ``ProcessorStepper`` is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.models.inference.precision import Precision
from mimamba.models.inference.state_pool import Pool
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.static_shapes import static_form, step_slots

LARGEST = 4096
"""The largest prepared batch size; all are powers of two."""
ROWS = LARGEST + 1
"""Rows of the pool at the start: when it grows, every graph is captured anew."""
WARM_UP = 3
"""Steps before a capture, in which libraries choose and allocate."""


def prepared(count: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << (count - 1).bit_length()


class StagingBuffers:
    """What one step of a batch size needs, in one stretch of memory on each side.

    Rows (int64) come first, then gates and windows (float32).
    """

    def __init__(self, size: int, config: MSiMambaConfig, device: torch.device) -> None:
        self._size, self._shape = size, (size, config.n_channels, config.n_times)
        n_bytes = size * (8 + 4 + 4 * config.n_channels * config.n_times)
        pinned = device.type == "cuda"
        self.host = torch.zeros(n_bytes, dtype=torch.uint8, pin_memory=pinned)
        self.device = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
        self._rows, self._gates, self._windows = (t.numpy() for t in self._views(self.host))
        self.rows, self.gates, self.windows = self._views(self.device)

    def _views(self, whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, gates, windows = whole.split_with_sizes(
            [8 * self._size, 4 * self._size, len(whole) - 12 * self._size]
        )
        floats = windows.view(torch.float32).view(self._shape)
        return rows.view(torch.int64), gates.view(torch.float32), floats

    def fill(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> None:
        """Write a batch, padded by rows of -1, and begin to copy it to the device."""
        self._rows[:] = -1
        self._rows[: len(rows)] = rows
        self._gates[: len(rows)] = gates
        for place, window in enumerate(windows):
            self._windows[place] = window
        self.device.copy_(self.host, non_blocking=True)


@dataclass(frozen=True, eq=False)
class CapturedBatch:
    """A batch size: its buffers, and what steps what lies in them."""

    staging: StagingBuffers
    run: Callable[[], object]
    logits: Tensor
    answer: Tensor
    """The logits on the host."""


class GraphStepper:
    """A ``Stepper``: a batch size is captured at its first use, some 0.1 s.

    Parameters
    ----------
    network
        To step; it is copied.
    device
        Where; a name of torch's.
    precision
        Of products and convolutions.
    rows
        Of the pool at the start; one is no stream's.
    """

    largest = LARGEST

    def __init__(
        self,
        network: MSiMamba,
        device: str = "cuda",
        precision: Precision = "fp32",
        rows: int = ROWS,
    ) -> None:
        self._device = torch.device(device)
        self._form = static_form(network).to(self._device)
        self._precision: Precision = precision
        self.pool = Pool(self._form, rows)
        self._prepared: dict[int, CapturedBatch] = {}
        self._captured_on = self.pool.h

    @torch.inference_mode()
    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        if self.pool.h is not self._captured_on:  # the pool grew: graphs write the old one
            self._prepared.clear()
            self._captured_on = self.pool.h
        size = prepared(len(rows))
        if size not in self._prepared:
            self._prepared[size] = self._prepare(size)
        ready = self._prepared[size]
        ready.staging.fill(rows, windows, gates)
        ready.run()
        ready.answer.copy_(ready.logits, non_blocking=True)
        self._wait()
        return ready.answer[: len(rows)].clone()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()

    def _prepare(self, size: int) -> CapturedBatch:
        staging = StagingBuffers(size, self._form.config, self._device)
        staging.rows.fill_(-1)  # the steps before the capture are all padding
        pinned = self._device.type == "cuda"
        shape = (size, self._form.config.n_outputs)
        answer = torch.zeros(shape, pin_memory=pinned)
        logits = torch.zeros(shape, device=self._device)

        def step() -> None:
            with precise(self._device, self._precision):
                logits.copy_(
                    step_slots(
                        self._form, staging.windows, staging.gates, self.pool.states, staging.rows
                    )
                )

        return CapturedBatch(staging, capture(step) if pinned else step, logits, answer)


def capture(step: Callable[[], None]) -> Callable[[], object]:
    """A graph of a step, which runs a few times before."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Of this thread alone: other models' engines may be stepping meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()
    return graph.replay


@contextmanager
def precise(device: torch.device, precision: Precision) -> Iterator[None]:
    """Products and convolutions in this precision; what is captured within keeps it."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    try:
        # Without the cache: a graph would keep casts of weights that are freed when this ends.
        with torch.autocast(device.type, torch.bfloat16, precision == "bf16", cache_enabled=False):
            yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
