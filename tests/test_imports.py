"""Imports go one way, service -> models -> drivers, and heavy libraries are loaded when needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {"drivers": set(), "models": {"drivers"}, "service": {"drivers", "models"}}


def imported(source: str) -> set[str]:
    """Find the packages that a module imports anywhere: the part after ``mimamba.``, or the top."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("mimamba.").split(".")[0] for name in names}


def test_imports_are_found_in_every_form() -> None:
    source = (
        "import mimamba.service.cli\nfrom mimamba import models\n"
        "def f():\n    from mimamba.drivers.open import open_driver\n    import tests.npm\n"
    )
    assert imported(source) == {"service", "models", "drivers", "tests"}


@pytest.mark.parametrize("package", BELOW)
def test_no_package_imports_one_above_it(package: str) -> None:
    modules = list((ROOT / package).rglob("*.py"))
    assert modules
    for module in modules:
        found = imported(module.read_text(encoding="utf-8"))
        above = found & (BELOW.keys() | {"tests"}) - BELOW[package] - {package}
        assert not above, f"{module.relative_to(ROOT)} imports {above}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "mimamba.service.cli.main",
            ["torch", "scipy", "mne", "brainflow", "fastapi", "bleak", "pyarrow"],
        ),
        (
            "mimamba.service.client.client",
            ["torch", "scipy", "numpy", "fastapi", "prometheus_client", "brainflow"],
        ),
        (
            "mimamba.service.recordings.people_index",
            ["torch", "scipy.signal", "scipy.optimize", "fastapi", "brainflow", "mne"],
        ),
        (
            "mimamba.service.calibration.judge_program",
            ["torch", "scipy.signal", "fastapi", "brainflow", "mne"],
        ),
        ("mimamba.service.acquire.bus_acquirer", ["torch", "fastapi", "brainflow", "mne"]),
        (
            "mimamba.drivers.open",
            ["torch", "brainflow", "pylsl", "mne", "pyxdf", "pyarrow", "edfio"],
        ),
        (
            "mimamba.service.server.serve",
            [
                "mne",
                "mne_bids",
                "matplotlib",
                "pyarrow",
                "edfio",
                "brainflow",
                "pyxdf",
                "mimamba.models.inference.cuda_graphs",
                "bleak",
                "serial",
            ],
        ),
    ],
)
def test_heavy_libraries_are_loaded_when_needed(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
