"""Run one benchmark: ``python -m tests.benchmarks NAME``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from mimamba.service.bench.bench import run_measurements
from mimamba.service.bench.measurements import Measurement


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: its subject, and the option that says how much is measured."""

    about: str
    default: float
    option: str = "seconds"
    module: str | None = None


BENCHMARKS = {
    "bus": Benchmark(
        "300 sessions over NATS with two workers and a gateway", 30, module="cluster.throughput"
    ),
    "cuda": Benchmark("hops a second, latency and errors on a CUDA device", 120),
    "events": Benchmark(
        "blinks and jaw clenches found in recordings: precision, recall", 100, "minutes"
    ),
    "fold_leaks": Benchmark(
        "leaks that leakfence finds in the folds of an evaluation",
        6,
        "folds",
        module="training.fold_leaks",
    ),
    "long_run": Benchmark("200 sessions for half an hour: what became of every hop", 1800),
    "memory": Benchmark(
        "memory of eight sessions with a reader each, over time", 3600, module="soak.memory"
    ),
    "mne_lsl": Benchmark("CPU time from LSL to a ring buffer, compared with MNE-LSL", 20),
    "outlet": Benchmark("sample timing of `mimamba simulate --to lsl`", 600),
    "page": Benchmark("the page's frames a second, memory, first paint and size", 600),
    "personal_head": Benchmark("CPU time of a personal head and of its test", 10),
    "push": Benchmark(
        "48 headsets that push: CPU time of a packet", 20, module="cluster.pushed_packets"
    ),
    "readers": Benchmark(
        "time to read a recording, by file format", 1, "hours", module="recordings.readers"
    ),
    "recipe_seeds": Benchmark(
        "live reading of the recipe whole by seed, and with permuted labels",
        3,
        "seeds",
        module="training.recipe_seeds",
    ),
    "report_speed": Benchmark(
        "time of the report on a recording, from the command line and the page",
        1,
        "hours",
        module="recordings.report_speed",
    ),
    "scoring_speed": Benchmark("speed of `mimamba score`", 10),
    "session_cost": Benchmark("CPU time and memory of one session among up to 1,000", 30),
    "signal_path": Benchmark("CPU time of log, filters, quality and bands, by chunk", 10),
    "soak": Benchmark("a service under load: memory, warnings, leaks", 600, module="soak.soak"),
    "strangers": Benchmark(
        "20 readers of predictions beside strangers", 240, module="strangers.strangers"
    ),
    "subscribers": Benchmark("500 subscribers, and 50 that never read", 30),
    "training_steps": Benchmark(
        "training steps a second", 5, "steps", module="training.training_steps"
    ),
    "verdict": Benchmark("hops of a live session while verdicts are computed", 120),
}


def choose(arguments: list[str]) -> tuple[dict[str, Measurement], Path | None]:
    """Read the command line; the path is the file for the figures as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Run a benchmark for developers. What a user measures is in `mimamba bench`. "
        "The exit status is 1 if an aim is missed.",
        allow_abbrev=False,
    )
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, each in BENCHMARKS.items():
        options = names.add_parser(name, help=each.about, description=each.about)
        options.add_argument(
            f"--{each.option}",
            dest="amount",
            type=float,
            default=each.default,
            help="approximate duration, s" if each.option == "seconds" else "amount to measure",
        )
        options.add_argument("--json", type=Path, metavar="FILE", help="file for the figures")
        if name == "page":
            options.add_argument("--show", type=int, choices=[4, 8, 16, 32], default=8)
            options.add_argument("--display-filter", action="store_true")
    chosen = vars(parser.parse_args(arguments))
    name, amount, file = (chosen.pop(each) for each in ("name", "amount", "json"))
    each = BENCHMARKS[name]
    module = import_module(f"tests.benchmarks.{each.module or name}")
    return {name: Measurement(each.about, amount, partial(module.measure, **chosen))}, file


def main() -> None:
    """Run the benchmark that the command line names."""
    chosen, file = choose(sys.argv[1:])
    sys.exit(0 if run_measurements(chosen, None, file) else 1)


if __name__ == "__main__":
    main()
