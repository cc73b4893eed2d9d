"""The stepper for a CUDA device: one copy to it, one captured graph, one copy back.

The graph of a batch size contains the whole step: the network in static shapes, with mamba-ssm's
kernels for the recurrence if installed, and reading and writing the pool. A batch is padded to the
next power of two, since a device steps 8 streams as fast as 5 and each size costs a capture. The
inputs of a batch, rows, gates and windows, lie in one pinned buffer.

On a CPU it runs without graphs, which serves tests; ``CPUStepper`` is faster there.
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
from mimamba.models.inference.state_pool import StatePool
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.static_shapes import step_rows, to_static

MAX_BATCH = 4096
"""Largest batch size; all sizes are powers of two."""
FIRST_ROWS = MAX_BATCH + 1
"""Rows of the pool at the start. When it grows, every graph must be captured again."""
WARM_UP = 3
"""Steps before a capture, in which libraries choose algorithms and allocate memory."""


def round_up_batch(count: int) -> int:
    """Round a batch size up to a power of two."""
    return 1 << (count - 1).bit_length()


class StagingBuffers:
    """Inputs of one step of a batch size, in one block of memory on each side.

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
        """Write a batch, padded with rows of -1, and start copying it to the device."""
        self._rows[:] = -1
        self._rows[: len(rows)] = rows
        self._gates[: len(rows)] = gates
        for place, window in enumerate(windows):
            self._windows[place] = window
        self.device.copy_(self.host, non_blocking=True)


@dataclass(frozen=True, eq=False)
class CapturedStep:
    """Buffers and step function of one batch size."""

    staging: StagingBuffers
    run: Callable[[], object]
    logits: Tensor
    host_logits: Tensor
    """Pinned copy of the logits on the host."""


class CUDAGraphStepper:
    """Steps on a CUDA device. Each batch size is captured at its first use, in about 0.1 s.

    Parameters
    ----------
    network
        The network to step; it is copied.
    device
        Name of a PyTorch device.
    precision
        Precision of matrix products and convolutions.
    rows
        Rows of the pool at the start, one of which belongs to no stream.
    """

    max_batch = MAX_BATCH

    def __init__(
        self,
        network: MSiMamba,
        device: str = "cuda",
        precision: Precision = "fp32",
        rows: int = FIRST_ROWS,
    ) -> None:
        self._device = torch.device(device)
        self._network = to_static(network).to(self._device)
        self._precision: Precision = precision
        self.pool = StatePool(self._network, rows)
        self._steps: dict[int, CapturedStep] = {}
        self._captured_h = self.pool.h

    @torch.inference_mode()
    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        if self.pool.h is not self._captured_h:  # the pool grew: graphs use the old one
            self._steps.clear()
            self._captured_h = self.pool.h
        size = round_up_batch(len(rows))
        if size not in self._steps:
            self._steps[size] = self._capture_size(size)
        ready = self._steps[size]
        ready.staging.fill(rows, windows, gates)
        ready.run()
        ready.host_logits.copy_(ready.logits, non_blocking=True)
        self._wait()
        return ready.host_logits[: len(rows)].clone()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()

    def _capture_size(self, size: int) -> CapturedStep:
        staging = StagingBuffers(size, self._network.config, self._device)
        staging.rows.fill_(-1)  # only padding in the steps before the capture
        pinned = self._device.type == "cuda"
        shape = (size, self._network.config.n_outputs)
        host_logits = torch.zeros(shape, pin_memory=pinned)
        logits = torch.zeros(shape, device=self._device)

        def step() -> None:
            with use_precision(self._device, self._precision):
                logits.copy_(
                    step_rows(
                        self._network,
                        staging.windows,
                        staging.gates,
                        self.pool.states,
                        staging.rows,
                    )
                )

        return CapturedStep(staging, capture(step) if pinned else step, logits, host_logits)


def capture(step: Callable[[], None]) -> Callable[[], object]:
    """Capture a step as a graph, after a few runs, and return the function that replays it."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Local to this thread, since engines of other models may be stepping meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()
    return graph.replay


@contextmanager
def use_precision(device: torch.device, precision: Precision) -> Iterator[None]:
    """Use a precision for products and convolutions; graphs captured within keep it."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    try:
        # Without the cache: a graph would keep casts of weights that are freed at the end.
        with torch.autocast(device.type, torch.bfloat16, precision == "bf16", cache_enabled=False):
            yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
