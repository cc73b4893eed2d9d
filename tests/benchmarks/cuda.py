"""The engine's stepper on a CUDA device: hops a second, latency and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

SPEEDUP, LATENCY_MS = 1000.0, 0.3
"""Aims: times the readable network's speed on one core, at the largest batch; ms of one hop, both
copies included."""


@dataclass(frozen=True)
class CUDAPlan:
    """Sizes of the measurement.

    Parameters
    ----------
    batches
        Batch sizes of the speed, in ascending order.
    streams, hops
        Size of the comparison with the CPU: 10 s of each stream, with its state carried over.
    """

    batches: tuple[int, ...] = (1, 8, 64, 512, 4096)
    streams: int = 64
    hops: int = 40


CUDA_PLAN = CUDAPlan()


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


def measure_device(
    device: str, known: Sequence[Precision], seconds: float, plan: CUDAPlan = CUDA_PLAN
) -> list[Figure]:
    """Measure hops a second, latency and errors in each precision."""
    with steps.one_thread(), torch.inference_mode():
        network = steps.random_network()
        step = steps.stepping(CUDAGraphStepper(network, device, rows=2), steps.windows(1))
        found = steps.latency(step, seconds / 8, LATENCY_MS)
        for batch in plan.batches:
            found += throughput(network, device, known, batch, seconds / 8, plan)
        for precision in known:
            found += errors(network, device, precision, plan)
    return found


def throughput(
    network: MSiMamba,
    device: str,
    known: Sequence[Precision],
    batch: int,
    seconds: float,
    plan: CUDAPlan,
) -> list[Figure]:
    """Measure hops a second of one batch size, copies included; the largest in each precision."""
    largest = plan.batches[-1]
    x = steps.windows(batch)
    calls: dict[str, Callable[[], object]] = {
        precision: steps.stepping(CUDAGraphStepper(network, device, precision, batch + 1), x)
        for precision in (known if batch == largest else known[:1])
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
        steps.with_aim("step over one core's naive way", batch, speedup, "times", SPEEDUP, largest),
    ]


def errors(
    network: MSiMamba, device: str, precision: Precision, plan: CUDAPlan = CUDA_PLAN
) -> list[Figure]:
    """Compare a precision's logits with those of the CPU in fp32."""
    exact = logits(CPUStepper(network), plan)
    stepper = CUDAGraphStepper(network, device, precision, plan.streams + 1)
    error = logits(stepper, plan) - exact
    label = f"{precision}: error of the logits"
    return [
        Figure(f"{label}, largest", float(error.abs().max()), ""),
        Figure(f"{label}, of their deviation", 100 * float(error.std() / exact.std()), "%"),
    ]


def logits(stepper: Stepper, plan: CUDAPlan = CUDA_PLAN) -> Tensor:
    """Step all hops with carried states; return the logits, (hops, streams, n_outputs)."""
    x = steps.windows(plan.hops * plan.streams)
    rows = [stepper.pool.open() for _ in range(plan.streams)]
    return torch.stack(
        [
            stepper.step(rows, list(x[at : at + plan.streams]), [1.0] * plan.streams)
            for at in range(0, len(x), plan.streams)
        ]
    )
