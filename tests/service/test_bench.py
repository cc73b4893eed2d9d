"""Each measurement finds its figures, in next to no time; how large they are is nobody's promise."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from service.bench.figures import Figure
from service.bench.registry import MEASUREMENTS, NoMeasurement, choose
from service.cli import app

TINY = 0.25
UNITS = {
    "held": ["sessions", "ms", "ms"],
    "score": ["times real time"] * 2,
    "growth": ["ms a session"] * 2 + ["kB"] * 2,
    "signal": ["µs a chunk"] * 3 + ["times"] + ["µs a chunk"] * 2 + ["times"] + ["µs a chunk"],
    "sessions": ["%", "ms", "ms", "hops", "MB"],
    "subscribers": ["per second", "", "ms", "ms", "MB"] * 2 + ["clients"],
}


@pytest.mark.parametrize("name", UNITS)
def test_a_measurement_finds_its_figures(name: str) -> None:
    found = MEASUREMENTS[name].run(TINY)
    assert [figure.unit for figure in found] == UNITS[name]
    assert len({figure.what for figure in found}) == len(found)
    assert all(figure.aim is not None for figure in found if figure.met is not None)
    assert not any(math.isnan(figure.value) for figure in found)


def test_all_that_can_be_measured_is_there() -> None:
    for measurement in MEASUREMENTS.values():
        assert callable(importlib.import_module(f"service.bench.{measurement.module}").measure)


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    asked = ["bench", "--only", "signal", "--seconds", "0.1", "--json", str(file)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0
    assert "ring: a chunk into the log" in told.stdout
    written = msgspec.json.decode(file.read_bytes())
    assert "cores" in written["machine"]
    figures = msgspec.convert(written["figures"]["signal"], list[Figure])
    assert [figure.unit for figure in figures] == UNITS["signal"]


def test_an_unknown_measurement_is_refused() -> None:
    with pytest.raises(NoMeasurement, match="wanted one of steps, .*; found 'speed'; run: mimamba"):
        choose(["signal", "speed"])
    told = CliRunner().invoke(app, ["bench", "--only", "speed"])
    assert told.exit_code == 2
