"""Imports go one way: service -> models -> drivers; and what is heavy is imported where needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {"drivers": set(), "models": {"drivers"}, "service": {"drivers", "models"}}


def imported(path: Path) -> set[str]:
    """The packages that a module imports anywhere; those of ``mimamba`` by their own names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.removeprefix("mimamba.").split(".")[0] for name in names}


@pytest.mark.parametrize("package", BELOW)
def test_no_package_imports_one_above_it(package: str) -> None:
    modules = list((ROOT / package).rglob("*.py"))
    assert modules
    for module in modules:
        above = imported(module) & (BELOW.keys() | {"tests"}) - BELOW[package] - {package}
        assert not above, f"{module.relative_to(ROOT)} imports {above}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("mimamba.service.cli.main", ["torch", "scipy", "mne", "brainflow", "fastapi", "bleak"]),
        (
            "mimamba.service.client.client",
            ["torch", "scipy", "fastapi", "starlette", "prometheus_client", "brainflow"],
        ),
        ("mimamba.drivers.open", ["torch", "brainflow", "pylsl", "mne", "pyxdf"]),
        (
            "mimamba.service.server.serve",
            [
                "mne",
                "brainflow",
                "pyxdf",
                "mimamba.models.inference.cuda_graphs",
                "bleak",
                "serial",
            ],
        ),
    ],
)
def test_what_is_heavy_waits_until_it_is_needed(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
