"""Each benchmark returns its figures after a short time; their values are not judged."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

import msgspec
import pytest

from mimamba.service.bench.figures import Figure
from mimamba.service.bench.service_process import ServiceProcess
from tests.benchmarks import scoring_speed, session_cost, signal_path, subscribers
from tests.benchmarks.__main__ import BENCHMARKS, choose
from tests.benchmarks.tests.checks import SHORT, check_figures, measure_long_enough
from tests.service.live import live


@pytest.mark.parametrize(
    ("measure", "units"),
    [
        (scoring_speed.measure, ["times real time"] * 2),
        (session_cost.measure, ["ms a session"] * 2 + ["kB"] * 2),
        (
            signal_path.measure,
            ["µs a chunk"] * 3 + ["times"] + ["µs a chunk"] * 2 + ["times"] + ["µs a chunk"],
        ),
    ],
    ids=["scoring_speed", "session_cost", "signal_path"],
)
def test_a_benchmark_returns_its_figures(measure: object, units: list[str]) -> None:
    assert callable(measure)
    check_figures(measure(SHORT), units)


def test_subscribers_are_measured() -> None:
    with live("simulate://", model="none") as service:
        service.opened("simulate-1")
        process = ServiceProcess(service.url, os.getpid())
        found = measure_long_enough(
            lambda seconds: asyncio.run(subscribers.measure_service(process, seconds, 3, 1)),
            ["per second", "", "ms", "ms", "MB", "clients", "clients"],
        )
    assert found[0].value > 0
    assert found[1].met
    assert found[-1].met


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_chosen(name: str) -> None:
    pytest.importorskip("pylsl", exc_type=ImportError)  # mne_lsl and outlet load liblsl
    chosen, file = choose([name, f"--{BENCHMARKS[name].option}", "2"])
    assert chosen[name].seconds == 2
    assert file is None


def test_every_module_is_listed() -> None:
    folder = Path(importlib.import_module("tests.benchmarks").__path__[0])
    modules = {path.stem for path in folder.glob("[!_]*.py")} - {"reference_model"}
    elsewhere = {
        "bus",
        "fold_leaks",
        "memory",
        "push",
        "readers",
        "recipe_seeds",
        "report_speed",
        "soak",
        "strangers",
        "training_steps",
    }
    assert modules | elsewhere == BENCHMARKS.keys()


def test_the_command_prints_a_table_and_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    monkeypatch.setattr(
        "sys.argv", ["benchmarks", "signal_path", "--seconds", "0.1", "--json", str(file)]
    )
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("tests.benchmarks.__main__").main()
    assert ended.value.code == 0
    assert "ring: a chunk into the log" in capsys.readouterr().out
    written = msgspec.json.decode(file.read_bytes())
    assert msgspec.convert(written["figures"]["signal_path"], list[Figure])
