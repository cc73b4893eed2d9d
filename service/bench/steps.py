"""Hops a second by batch size, compared with the readable network and with published networks.

The configuration is ``REFERENCE`` with random weights; then the shipped models are compared with
the default one. The candidates take turns within a run, so that their ratio holds on a busy
machine. All run on one thread, except the line of two threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import list_packaged_checkpoints, load_checkpoint
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.models.evaluation.candidates.braindecode_loader import (
    NetworkUnavailable,
    build_network,
)
from mimamba.models.evaluation.candidates.candidate import ClassificationTask
from mimamba.models.inference.cpu.mstb import MIN_WEIGHT
from mimamba.models.inference.stepper import CPUStepper, Stepper
from mimamba.models.network.config import REFERENCE
from mimamba.models.network.msimamba import MSiMamba, dominant_periods, zscore
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training_jobs.demo import simulate_hops
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.roofline import MachineRates, moved_bytes, multiply_adds

MONTAGE = ("TP9", "AF7", "AF8", "TP10")
GATE = 0.9
"""The gate of every hop: the state is carried over and fades, which costs most."""
SLICE = 64
"""Windows that a published network gets at once; larger batches are not faster for each window."""
NAIVE, SPEEDUP, LATENCY_MS, ROOFLINE = 8, 10.0, 1.5, 25.0
"""Hops of the readable network in a round; and the aims: times its speed, ms, % of the roofline."""
DEARER = 1.5
"""Aim of a hop of another shipped model, in hops of the default one."""

Windows = NDArray[np.float32]


@dataclass(frozen=True)
class StepPlan:
    """Sizes and rivals of the measurement.

    Parameters
    ----------
    batches
        Batch sizes.
    aimed
        Batch size that has the aims.
    published
        Published networks to compare with, as far as they are installed.
    """

    batches: tuple[int, ...] = (1, 8, 64, 512, 4096)
    aimed: int = 64
    published: tuple[str, ...] = ("EEGNet", "EEGConformer")


STEP_PLAN = StepPlan()


def measure(seconds: float, plan: StepPlan = STEP_PLAN) -> list[Figure]:
    """Measure for about this long, at least one round of each batch size."""
    with one_thread(), torch.inference_mode():
        network = random_network()
        figures = latency(stepping(CPUStepper(network), windows(1)), seconds / 6, LATENCY_MS)
        for batch in plan.batches:
            figures += throughput(network, batch, seconds / 6, plan)
        figures += shipped_models(seconds / 6, plan.aimed)
    return figures


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread, as the engine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def random_network() -> MSiMamba:
    """Make the reference network with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MSiMamba(REFERENCE).eval().requires_grad_(False)


def windows(count: int) -> Windows:
    """Make noise whose spectrum falls like that of EEG, (count, C, L), about 30 µV."""
    white = np.random.default_rng(0).normal(0, 10, (count, REFERENCE.n_channels, 400))
    falling: Windows = lfilter([1.0], [1.0, -0.95], white).astype(np.float32)
    return falling[..., -REFERENCE.n_times :]


def latency(step: Callable[[], None], seconds: float, limit: float) -> list[Figure]:
    """Time one hop of one stream, from the window to its logits; the aim is ``limit`` ms."""
    (spent,) = interleave({"": step}, seconds, least=20).values()
    p50, p99 = (1e3 * float(np.percentile(spent, share)) for share in (50, 99))
    return [
        at_most("one hop, batch 1, p50", p50, "ms", limit),
        Figure("one hop, batch 1, p99", p99, "ms"),
    ]


def throughput(
    network: MSiMamba, batch: int, seconds: float, plan: StepPlan = STEP_PLAN
) -> list[Figure]:
    """Measure hops a second at one batch size, and their comparison."""
    x, rates = windows(batch), MachineRates()
    calls, hops = candidates(network, x, plan)
    machine = {"product": rates.multiply, "copy": rates.copy}
    spent = interleave({**calls, **machine}, seconds, least=1)
    each = {name: np.array(spent[name]) / count for name, count in hops.items()}
    own = float(np.median(each["step"]))
    speedup = float(np.median(each["naive"] / each["step"]))
    share = 100 * roofline(network, x, spent) / own
    return [
        *(
            Figure(f"{n}, batch {batch}", 1 / float(np.median(t)), "hops/s")
            for n, t in each.items()
        ),
        with_aim("step over naive", batch, speedup, "times", SPEEDUP, plan.aimed),
        with_aim("step, share of the roofline", batch, share, "%", ROOFLINE, plan.aimed),
    ]


def shipped_models(seconds: float, batch: int) -> list[Figure]:
    """Measure a hop of each shipped model in a batch, and compare it with the default model's."""
    names = list_packaged_checkpoints()
    spent = interleave({name: step_shipped(name, batch) for name in names}, seconds, least=1)
    each = {name: np.array(times) / batch for name, times in spent.items()}
    figures = [
        Figure(f"{name}, one hop, batch {batch}", 1e6 * float(np.median(times)), "µs")
        for name, times in each.items()
    ]
    for name in names:
        if name != DEFAULT_MODEL:
            ratio = float(np.median(each[name] / each[DEFAULT_MODEL]))
            what = f"{name} over {DEFAULT_MODEL}, batch {batch}"
            figures.append(at_most(what, ratio, "times", DEARER))
    return figures


def step_shipped(name: str, batch: int) -> Callable[[], None]:
    """Step a shipped model on as many windows of a simulated person."""
    checkpoint = load_checkpoint(name)
    signal = checkpoint.signal
    seconds = 60.0 + batch * signal.hop / signal.sfreq  # the first hops have no window yet
    hops = simulate_hops(Synthesizer("random", 1, 256.0), signal, seconds)
    own = [hop.window for hop in hops if hop.window is not None][:batch]
    return stepping(CPUStepper(checkpoint.network), np.stack(own))


def with_aim(what: str, batch: int, value: float, unit: str, least: float, aimed: int) -> Figure:
    """Make a figure, with an aim only at the batch size ``aimed``."""
    what = f"{what}, batch {batch}"
    if batch != aimed:
        return Figure(what, value, unit)
    return Figure(what, value, unit, f">= {least:g} {unit}", value >= least)


def candidates(
    network: MSiMamba, x: Windows, plan: StepPlan
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """Return the calls that are compared, and the number of hops of one call."""
    step = stepping(CPUStepper(network), x)
    calls: dict[str, Callable[[], object]] = {"step": step, "naive": naive(network, x)}
    hops = {"step": len(x), "naive": NAIVE}
    for name, published in published_networks(x[:SLICE], plan.published).items():
        calls[name], hops[name] = published, min(len(x), SLICE)
    if len(x) == plan.aimed:
        calls["two threads"], hops["two threads"] = partial(on_two_threads, step), len(x)
    return calls, hops


def interleave(
    calls: Mapping[str, Callable[[], object]], seconds: float, least: int
) -> dict[str, list[float]]:
    """Run the calls in turn, and return the seconds that each took, by round.

    If a call returns a float, that is its time. A first round, not counted, warms up the memory.
    """
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while len(next(iter(spent.values()))) < least or time.perf_counter() < end:
        for name, call in calls.items():
            start = time.perf_counter()
            own = call()
            spent[name].append(own if isinstance(own, float) else time.perf_counter() - start)
    return spent


def stepping(stepper: Stepper, x: Windows) -> Callable[[], None]:
    """Step one hop of each stream as the engine does, in batches of its size."""
    rows = [stepper.pool.open() for _ in x]
    starts = range(0, len(x), stepper.max_batch)

    def step() -> None:
        for at in starts:
            part = slice(at, at + stepper.max_batch)
            stepper.step(rows[part], list(x[part]), [GATE] * len(rows[part]))

    return step


def naive(network: MSiMamba, x: Windows) -> Callable[[], None]:
    """Run one window after the other through the readable network, without a carried state."""
    each = [torch.from_numpy(window)[None] for window in x[:NAIVE]]
    each *= NAIVE // len(each)

    def step() -> None:
        for window in each:
            network(window)

    return step


def published_networks(x: Windows, names: Sequence[str]) -> dict[str, Callable[[], object]]:
    """Run braindecode's networks on the same windows, as far as they are installed."""
    task = ClassificationTask({"state": ("a", "b", "c", "d")}, MONTAGE, SignalConfig())
    given, found = torch.from_numpy(x), dict[str, Callable[[], object]]()
    for name in names:
        try:
            found[name] = partial(build_network(name, task).eval(), given)
        except NetworkUnavailable:
            continue
    return found


def on_two_threads(step: Callable[[], None]) -> float:
    """Return the seconds of a step on two threads, without those of changing the number."""
    torch.set_num_threads(2)
    step()  # starts the second thread
    start = time.perf_counter()
    step()
    spent = time.perf_counter() - start
    torch.set_num_threads(1)
    return spent


def roofline(network: MSiMamba, x: Windows, spent: Mapping[str, list[float]]) -> float:
    """Return the seconds of a hop at the rate of large products or of a large copy.

    The longer of the two counts.
    """
    seen = zscore(torch.from_numpy(x[:SLICE]).double())
    periods, weights = dominant_periods(
        seen, torch.tensor(REFERENCE.candidates), REFERENCE.n_scales, REFERENCE.ranking
    )
    # Maps below this weight need not be computed.
    counts = weights >= MIN_WEIGHT * torch.finfo(torch.float32).eps
    work = statistics.mean(
        multiply_adds(REFERENCE, each[counted].tolist())
        for each, counted in zip(periods, counts, strict=True)
    )
    products = work * statistics.median(spent["product"])
    copies = moved_bytes(network, len(x)) * statistics.median(spent["copy"])
    return max(products, copies)
