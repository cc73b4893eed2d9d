"""Each measurement returns its figures after a short time; their values are not judged."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from mimamba.service.bench import sessions, steps
from mimamba.service.bench.bench import STOLEN, run_measurements
from mimamba.service.bench.figures import Figure, NotRun
from mimamba.service.bench.machine import StealTime
from mimamba.service.bench.measurements import (
    MEASUREMENTS,
    MOVED,
    Measurement,
    NoMeasurement,
    choose,
)
from mimamba.service.bench.service_process import ServiceProcess
from mimamba.service.cli.main import app
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.tests.checks import check_figures, measure_long_enough
from tests.service.live import live


def small_steps(seconds: float) -> list[Figure]:
    """Measure one small batch, and no published networks."""
    return steps.measure(seconds, steps.StepPlan(batches=(2,), published=()))


def test_sessions_are_measured() -> None:
    with live("simulate://", "simulate://?seed=2", model="demo") as service:
        process = ServiceProcess(service.url, os.getpid())
        found = measure_long_enough(
            lambda seconds: asyncio.run(sessions.measure_service(process, 2, 4 * seconds)),
            ["%", *["ms"] * 5, "hops", "ms", "MB"],
        )
    assert found[1].value <= found[5].value < math.inf
    assert found[7].value > 0


def test_every_measurement_has_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, measurement in MEASUREMENTS.items():
        found = [Figure(name, 1.0, "s")]
        monkeypatch.setattr(f"mimamba.service.bench.{name}.measure", lambda _, found=found: found)
        assert measurement.run(0.1) == found


def test_figures_are_printed_as_a_table_and_written_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    run_measurements({"steps": Measurement("steps", 60.0, small_steps)}, 0.1, file)
    assert "one hop, batch 1, p50" in capsys.readouterr().out
    written = msgspec.json.decode(file.read_bytes())
    assert "cores" in written["machine"]
    figures = msgspec.convert(written["figures"]["steps"], list[Figure])
    units = [figure.unit for figure in figures if figure.what != STOLEN]
    assert units == ["ms", "ms", "hops/s", "hops/s", "times", "%", "µs", "µs", "times"]
    check_figures(figures, [figure.unit for figure in figures])


def test_stolen_time_is_a_share_of_the_time_that_passed(tmp_path: Path) -> None:
    times = tmp_path / "stat"
    assert StealTime(times).share() is None  # no such file
    times.write_text("cpu  10 0 10 70 0 0 0 10 5 5\ncpu0 1 1 1 1\n")
    stolen = StealTime(times)
    times.write_text("cpu  20 0 20 120 0 0 0 40 50 50\ncpu0 1 1 1 1\n")
    assert stolen.share() == 30.0


def test_an_unknown_measurement_is_refused() -> None:
    with pytest.raises(NoMeasurement, match=r"one of startup, .*, but found 'speed'\. Correct"):
        choose(["steps", "speed"])
    assert CliRunner().invoke(app, ["bench", "--only", "speed"]).exit_code == 2


@pytest.mark.parametrize("name", MOVED)
def test_a_benchmark_for_developers_is_named_by_its_command(name: str) -> None:
    ended = CliRunner().invoke(app, ["bench", "--only", name])
    assert ended.exit_code == 2
    command, _, benchmark = ended.stderr.strip().removesuffix(".").rpartition(" ")
    assert command.endswith("run: python -m tests.benchmarks")
    assert benchmark in BENCHMARKS


def test_without_names_everything_is_measured() -> None:
    assert choose([]) == MEASUREMENTS


def test_the_exit_status_says_if_an_aim_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    for met, status in ((True, 0), (False, 1), (None, 0)):
        found = [Figure("made up", 1.0, "s", None if met is None else "<= 1 s", met)]
        monkeypatch.setattr(steps, "measure", lambda _, found=found: found)
        assert CliRunner().invoke(app, ["bench", "--only", "steps"]).exit_code == status


def test_a_measurement_that_cannot_run_is_one_line_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: float) -> list[Figure]:
        raise NotRun("a quiet machine", "a busy one", "stop other programs")

    monkeypatch.setattr("mimamba.service.bench.startup.measure", refuse)
    monkeypatch.setattr(steps, "measure", lambda _: [Figure("made up", 1.0, "s")])
    file = tmp_path / "bench.json"
    arguments = ["bench", "--only", "startup", "--only", "steps", "--json", str(file)]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0
    reason = "Expected a quiet machine, but found a busy one. Stop other programs."
    assert ended.stdout.splitlines()[-1] == f"startup: not run. {reason}"
    written = msgspec.json.decode(file.read_bytes())
    assert written["figures"].keys() == {"steps"}
    assert written["not_run"] == {"startup": reason}
