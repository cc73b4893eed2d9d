"""The engine's stepper on a CUDA device, beside the processor's naive way, and how exact it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from mimamba.models.inference.cuda_graphs import CUDAGraphStepper
from mimamba.models.inference.device import DeviceError, find_device
from mimamba.models.inference.precision import Precision
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.msimamba import MSiMamba
from mimamba.service.bench import held, steps
from mimamba.service.bench.figures import Figure, NotRun

BATCHES = (1, 8, 64, 512, 4096)
RISE, LATENCY_MS, HELD = 1000.0, 0.3, 20_000
"""The aims: times the naive way at the largest batch; ms of one hop, both copies included;
sessions that the engine alone holds."""
STREAMS, HOPS = 64, 40
"""Of which answers are compared: 10 s of each stream, its state carried."""


def measure(seconds: float) -> list[Figure]:
    """All figures; raises NotRun without a CUDA device that works."""
    return figures("cuda", precisions(), seconds)


def precisions() -> list[Precision]:
    """Those that the CUDA device knows; raises NotRun where there is none."""
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


def figures(device: str, known: Sequence[Precision], seconds: float) -> list[Figure]:
    """Steps, latency and errors in each precision; then the sessions held."""
    with steps.one_thread(), torch.inference_mode():
        network = steps.random_network()
        step = steps.stepping(CUDAGraphStepper(network, device, rows=2), steps.windows(1))
        found = steps.latency(step, seconds / 8, LATENCY_MS)
        for batch in BATCHES:
            found += throughput(network, device, known, batch, seconds / 8)
        for precision in known:
            found += errors(network, device, precision)
    make = partial(CUDAGraphStepper, device=device, rows=HELD + 1)
    return found + held.figures(make, HELD, seconds / 4)


def throughput(
    network: MSiMamba, device: str, known: Sequence[Precision], batch: int, seconds: float
) -> list[Figure]:
    """Hops per second of one batch size, copies included; at the largest in each precision."""
    x = steps.windows(batch)
    calls: dict[str, Callable[[], object]] = {
        precision: steps.stepping(CUDAGraphStepper(network, device, precision, batch + 1), x)
        for precision in (known if batch == BATCHES[-1] else known[:1])
    }
    spent = steps.in_turn({**calls, "naive": steps.naive(network, x)}, seconds, least=1)
    hops = {**dict.fromkeys(calls, batch), "naive": steps.NAIVE}
    each = {name: np.array(spent[name]) / count for name, count in hops.items()}
    rise = float(np.median(each["naive"]) / np.median(each[known[0]]))
    return [
        *(
            Figure(f"{name}, batch {batch}", 1 / float(np.median(t)), "hops/s")
            for name, t in each.items()
        ),
        steps.judged("step over one core's naive way", batch, rise, "times", RISE, BATCHES[-1]),
    ]


def errors(network: MSiMamba, device: str, precision: Precision) -> list[Figure]:
    """How far a precision's logits are from the processor's in fp32."""
    exact = answers(CPUStepper(network))
    off = answers(CUDAGraphStepper(network, device, precision, STREAMS + 1)) - exact
    told = f"{precision}: logits off the processor's"
    return [
        Figure(f"{told}, at most", float(off.abs().max()), ""),
        Figure(f"{told}, of their deviation", 100 * float(off.std() / exact.std()), "%"),
    ]


def answers(stepper: Stepper) -> Tensor:
    """(HOPS, STREAMS, n_outputs), each stream's state carried."""
    x = steps.windows(HOPS * STREAMS)
    rows = [stepper.pool.open() for _ in range(STREAMS)]
    return torch.stack(
        [
            stepper.step(rows, list(x[at : at + STREAMS]), [1.0] * STREAMS)
            for at in range(0, len(x), STREAMS)
        ]
    )
