"""How long one hop of many streams takes, by the form of the network.

``python -m tests.benchmarks.step [repeats]``: the reference configuration on one thread, the
readable network and its static form in turn, medians. The windows are random walks, whose periods
are long and much the same, and white noise, whose periods are of all lengths.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from models.architecture import REFERENCE
from models.network import MSiMamba
from models.static import static_form

BATCHES = (1, 8, 64)


def in_turn(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The median time of each call, ms; they take turns, so that noise meets all of them."""
    spent: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 3):
        for call, times in zip(calls, spent, strict=True):
            start = time.perf_counter()
            call()
            if repeat >= 3:  # the first ones pay for memory
                times.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(times) for times in spent]


def windows(batch: int) -> dict[str, Tensor]:
    white = torch.randn(batch, REFERENCE.n_channels, REFERENCE.n_times)
    return {"random walk": 2.0 * white.cumsum(-1), "white noise": 10.0 * white}


@torch.inference_mode()
def main() -> None:
    """Measure and print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = MSiMamba(REFERENCE).eval()
    form = static_form(network)
    table = Table("streams", "windows", "network, ms", "static, ms", "ratio", title="One hop")
    for batch in BATCHES:
        r, states = torch.ones(batch), network.initial_states(batch)
        for kind, x in windows(batch).items():
            steps = [partial(each.step, x, r, states) for each in (network, form)]
            plain, static = in_turn(steps, repeats)
            ratio = f"{static / plain:.2f}"
            table.add_row(str(batch), kind, f"{plain:.2f}", f"{static:.2f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
