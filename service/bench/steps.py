"""How fast hops are stepped, beside the naive way, published networks and the machine's floor.

The configuration is ``REFERENCE``, its weights random. What is compared takes turns within a run,
so that a ratio holds on a busy machine; all on one thread, but for the line that says two.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

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
from mimamba.service.bench.figures import Figure, most
from mimamba.service.bench.floor import Machine, moved_bytes, multiply_adds

BATCHES = (1, 8, 64, 512, 4096)
RIVALS = ("EEGNet", "EEGConformer")
MONTAGE = ("TP9", "AF7", "AF8", "TP10")
GATE = 0.9
"""Of every hop: the state is carried and fades, which costs most."""
AIMED = 64
"""The batch size that the aims are for."""
SLICE = 64
"""Windows that a rival sees at once: more of them are no faster each."""
NAIVE, RISE, LATENCY_MS, FLOOR = 8, 10.0, 1.5, 25.0
"""Hops of the naive way in a round, and the aims: times the naive way, ms, and % of the floor."""

Windows = NDArray[np.float32]


def measure(seconds: float) -> list[Figure]:
    """All figures, in about so many seconds, and at least one round of each."""
    with one_thread(), torch.inference_mode():
        network = random_network()
        figures = latency(stepping(CPUStepper(network), windows(1)), seconds / 6, LATENCY_MS)
        for batch in BATCHES:
            figures += throughput(network, batch, seconds / 6)
    return figures


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, as in the engine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def random_network() -> MSiMamba:
    """The reference with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MSiMamba(REFERENCE).eval().requires_grad_(False)


def windows(count: int) -> Windows:
    """(count, C, L), noise whose spectrum falls as that of EEG does, about 30 µV."""
    white = np.random.default_rng(0).normal(0, 10, (count, REFERENCE.n_channels, 400))
    falling: Windows = lfilter([1.0], [1.0, -0.95], white).astype(np.float32)
    return falling[..., -REFERENCE.n_times :]


def latency(step: Callable[[], None], seconds: float, limit: float) -> list[Figure]:
    """One hop of one stream, from the window to its logits; ``limit`` ms are the aim."""
    (spent,) = in_turn({"": step}, seconds, least=20).values()
    p50, p99 = (1e3 * float(np.percentile(spent, share)) for share in (50, 99))
    return [
        most("one hop, batch 1, p50", p50, "ms", limit),
        Figure("one hop, batch 1, p99", p99, "ms"),
    ]


def throughput(network: MSiMamba, batch: int, seconds: float) -> list[Figure]:
    """Hops per second of one batch size, and what it is held against."""
    x, machine = windows(batch), Machine()
    calls, hops = contenders(network, x)
    machines = {"product": machine.multiply, "copy": machine.copy}
    spent = in_turn({**calls, **machines}, seconds, least=1)
    each = {name: np.array(spent[name]) / count for name, count in hops.items()}
    own = float(np.median(each["step"]))
    rise = float(np.median(each["naive"] / each["step"]))
    share = 100 * floor(network, x, spent) / own
    return [
        *(
            Figure(f"{n}, batch {batch}", 1 / float(np.median(t)), "hops/s")
            for n, t in each.items()
        ),
        judged("step over naive", batch, rise, "times", RISE),
        judged("floor over step", batch, share, "%", FLOOR),
    ]


def judged(
    what: str, batch: int, value: float, unit: str, least: float, aimed: int | None = None
) -> Figure:
    """A figure, with its aim at the batch size that aims are for."""
    what = f"{what}, batch {batch}"
    if batch != (aimed or AIMED):
        return Figure(what, value, unit)
    return Figure(what, value, unit, f">= {least:g} {unit}", value >= least)


def contenders(
    network: MSiMamba, x: Windows
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """What is compared, and the hops of one call."""
    step = stepping(CPUStepper(network), x)
    calls: dict[str, Callable[[], object]] = {"step": step, "naive": naive(network, x)}
    hops = {"step": len(x), "naive": NAIVE}
    for name, rival in rivals(x[:SLICE]).items():
        calls[name], hops[name] = rival, min(len(x), SLICE)
    if len(x) == AIMED:
        calls["two threads"], hops["two threads"] = partial(on_two_threads, step), len(x)
    return calls, hops


def in_turn(
    calls: Mapping[str, Callable[[], object]], seconds: float, least: int
) -> dict[str, list[float]]:
    """The seconds that each call took, in rounds; a call that returns seconds is taken at its word.

    A round before them pays for memory.
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
    """As the engine does it: one hop of each stream, in the batches that it takes."""
    rows = [stepper.pool.open() for _ in x]
    starts = range(0, len(x), stepper.max_batch)

    def step() -> None:
        for at in starts:
            part = slice(at, at + stepper.max_batch)
            stepper.step(rows[part], list(x[part]), [GATE] * len(rows[part]))

    return step


def naive(network: MSiMamba, x: Windows) -> Callable[[], None]:
    """As one would write it: one window after the other through the readable network, r = 0."""
    each = [torch.from_numpy(window)[None] for window in x[:NAIVE]]
    each *= NAIVE // len(each)

    def step() -> None:
        for window in each:
            network(window)

    return step


def rivals(x: Windows) -> dict[str, Callable[[], object]]:
    """Those of braindecode's networks that can be had here, on the same windows."""
    task = ClassificationTask({"state": ("a", "b", "c", "d")}, MONTAGE, SignalConfig())
    given, found = torch.from_numpy(x), dict[str, Callable[[], object]]()
    for name in RIVALS:
        try:
            found[name] = partial(build_network(name, task).eval(), given)
        except NetworkUnavailable:
            continue  # what is not here has no line
    return found


def on_two_threads(step: Callable[[], None]) -> float:
    """The seconds of a step on two threads, of which the change of their number is no part."""
    torch.set_num_threads(2)
    step()  # the second thread begins
    start = time.perf_counter()
    step()
    spent = time.perf_counter() - start
    torch.set_num_threads(1)
    return spent


def floor(network: MSiMamba, x: Windows, spent: Mapping[str, list[float]]) -> float:
    """Seconds of a hop, if its products were as fast as large ones and its bytes as a large copy.

    Whichever of the two takes longer.
    """
    seen = zscore(torch.from_numpy(x[:SLICE]).double())
    periods, weights = dominant_periods(seen, REFERENCE.n_scales, REFERENCE.ranking)
    counts = (
        weights >= MIN_WEIGHT * torch.finfo(torch.float32).eps
    )  # what weighs less need not be done
    work = statistics.mean(
        multiply_adds(REFERENCE, each[counted].tolist())
        for each, counted in zip(periods, counts, strict=True)
    )
    products = work * statistics.median(spent["product"])
    copies = moved_bytes(network, len(x)) * statistics.median(spent["copy"])
    return max(products, copies)
