"""The engine's stepper on a CUDA device: hops a second, latency and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from mimamba.models.inference.cuda_graphs import CUDAGraphStepper
from mimamba.models.inference.device import DeviceError, find_device
from mimamba.models.inference.precision import Precision
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.msimamba import MSiMamba
from mimamba.service.bench import steps
from mimamba.service.bench.figures import Figure, NotRun

BATCHES = (1, 8, 64, 512, 4096)
SPEEDUP, LATENCY_MS = 1000.0, 0.3
"""Aims: times the readable network's speed on one core, at the largest batch; ms of one hop, both
copies included."""
STREAMS, HOPS = 64, 40
"""Size of the comparison with the CPU: 10 s of each stream, with its state carried over."""


def measure(seconds: float) -> list[Figure]:
    """Measure the CUDA device; raises NotRun where there is none that works."""
    return measure_device("cuda", find_precisions(), seconds)


def find_precisions() -> list[Precision]:
    """Return the precisions that the CUDA device supports; raises NotRun without a device."""
    known: list[Precision] = []
    reason: DeviceError | None = None
    for precision in get_args(Precision):
        try:
            known.append(find_device("cuda", precision).precision)
        except DeviceError as error:
            reason = error
    if reason is not None and not known:
        raise NotRun(reason.expected, reason.found, "run it on a machine that has one") from reason
    return known


def measure_device(device: str, known: Sequence[Precision], seconds: float) -> list[Figure]:
    """Measure hops a second, latency and errors in each precision."""
    with steps.one_thread(), torch.inference_mode():
        network = steps.random_network()
        step = steps.stepping(CUDAGraphStepper(network, device, rows=2), steps.windows(1))
        found = steps.latency(step, seconds / 8, LATENCY_MS)
        for batch in BATCHES:
            found += throughput(network, device, known, batch, seconds / 8)
        for precision in known:
            found += errors(network, device, precision)
    return found


def throughput(
    network: MSiMamba, device: str, known: Sequence[Precision], batch: int, seconds: float
) -> list[Figure]:
    """Measure hops a second of one batch size, copies included; the largest in each precision."""
    x = steps.windows(batch)
    calls: dict[str, Callable[[], object]] = {
        precision: steps.stepping(CUDAGraphStepper(network, device, precision, batch + 1), x)
        for precision in (known if batch == BATCHES[-1] else known[:1])
    }
    spent = steps.interleave({**calls, "naive": steps.naive(network, x)}, seconds, least=1)
    hops = {**dict.fromkeys(calls, batch), "naive": steps.NAIVE}
    each = {name: np.array(spent[name]) / count for name, count in hops.items()}
    speedup = float(np.median(each["naive"]) / np.median(each[known[0]]))
    return [
        *(
            Figure(f"{name}, batch {batch}", 1 / float(np.median(t)), "hops/s")
            for name, t in each.items()
        ),
        steps.with_aim(
            "step over one core's naive way", batch, speedup, "times", SPEEDUP, BATCHES[-1]
        ),
    ]


def errors(network: MSiMamba, device: str, precision: Precision) -> list[Figure]:
    """Compare a precision's logits with those of the CPU in fp32."""
    exact = logits(CPUStepper(network))
    error = logits(CUDAGraphStepper(network, device, precision, STREAMS + 1)) - exact
    label = f"{precision}: error of the logits"
    return [
        Figure(f"{label}, largest", float(error.abs().max()), ""),
        Figure(f"{label}, of their deviation", 100 * float(error.std() / exact.std()), "%"),
    ]


def logits(stepper: Stepper) -> Tensor:
    """Step all hops with carried states; return the logits, (HOPS, STREAMS, n_outputs)."""
    x = steps.windows(HOPS * STREAMS)
    rows = [stepper.pool.open() for _ in range(STREAMS)]
    return torch.stack(
        [
            stepper.step(rows, list(x[at : at + STREAMS]), [1.0] * STREAMS)
            for at in range(0, len(x), STREAMS)
        ]
    )
