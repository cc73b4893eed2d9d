"""The order of the code: small folders, names with one meaning, imports that go one way."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("drivers", "models", "service")
MOST_MODULES = 15

LAYERS = [
    # Each folder may import from those above it in this list. A single module of a folder may have
    # a line of its own: it is the folder's front door, which imports the folder's own subfolders.
    "drivers/runtime",
    "drivers",
    "drivers/timing",
    "drivers/lsl",
    "drivers/brainflow",
    "drivers/muse",
    "drivers/osc",
    "drivers/simulator",
    "drivers/supervision",
    "drivers/formats",
    "drivers/formats/edf",
    "drivers/formats/mne",
    "drivers/formats/tables",
    "drivers/formats/vendors",
    "drivers/formats/xdf",
    "drivers/formats/bids_writer.py",
    "drivers/formats/read.py",
    "drivers/replay",
    "drivers/push_driver.py",
    "drivers/open.py",
    "drivers/formats/convert.py",
    "drivers/discovery",
    "models",
    "models/body",
    "models/signal",
    "models/network",
    "models/inference/cpu",
    "models/inference",
    "models/conformal",
    "models/checkpoints",
    "models/decoding",
    "models/detection",
    "models/datasets",
    "models/training",
    "models/evaluation/metrics.py",
    "models/evaluation/live_streams.py",
    "models/evaluation/candidates",
    "models/evaluation",
    "models/training_jobs",
    "models/personal",
    "service",
    "service/storage",
    "service/bus",
    "service/engine",
    "service/protocol",
    "service/people",
    "service/logs",
    "service/sessions",
    "service/recordings",
    "service/recording_contents",
    "service/calibration",
    "service/monitoring",
    "service/bridges",
    "service/rules",
    "service/feedback",
    "service/studies",
    "service/http",
    "service/auth",
    "service/client",
    "service/acquire",
    "service/settings",
    "service/stream",
    "service/mqtt",
    "service/cluster",
    "service/cluster/failover",
    "service/acquire/bus_acquirer.py",
    "service/cluster/gateway.py",
    "service/api",
    "service/api/personal",
    "service/server",
    "service/agent",
    "service/bench",
    "service/doctor",
    "service/cli",
    "service/cli/personal",
    "service/cli/live",
    "service/cli/main.py",
]
"""From the bottom to the top."""

TWIN_MODULES = {
    "driver": "the driver of each kind of source, and the contract of all",
    "reader": "of each family of formats, and of the stream's logs",
    "markers": "in LSL streams, in sessions, and in the API",
    "open": "sources, and data sets",
    # A command, the resource of the API that it shows, and what is behind both.
    "doctor": "",
    "heads": "",
    "models": "",
    "people": "",
    "ratings": "",
    "recordings": "",
    "replay": "",
    "serve": "",
    "sessions": "",
    "worker": "",
}
"""Module names that stand in several folders, with the reason."""

QUESTIONS = (
    "how",
    "that",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "who",
    "whom",
    "whose",
    "why",
)


def modules() -> list[Path]:
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(found) > 200
    return sorted(path.relative_to(ROOT) for path in found)


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def layer(path: Path) -> int:
    """The place of a module's own line, else that of its folder."""
    own, folder = path.as_posix(), path.parent.as_posix()
    return LAYERS.index(own if own in LAYERS else folder)


def imported(path: Path) -> Iterator[Path]:
    """The modules of the project that one imports, within functions too."""
    for node in ast.walk(tree(path)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("mimamba."):
                file = Path(*name.split(".")[1:]).with_suffix(".py")
                if (ROOT / file).is_file():
                    yield file


def test_a_folder_is_one_subject() -> None:
    counts: dict[str, int] = defaultdict(int)
    tests = [path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")]
    for path in [*modules(), *tests]:
        counts[path.parent.as_posix()] += path.stem != "__init__"
    assert {folder: n for folder, n in counts.items() if n > MOST_MODULES} == {}


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path} imports {other}"
        for path in modules()
        for other in imported(path)
        if layer(other) > layer(path)
    ]
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    arrows = {path: set(imported(path)) - {path} for path in modules()}
    while free := {path for path, others in arrows.items() if not others & arrows.keys()}:
        arrows = {path: others for path, others in arrows.items() if path not in free}
    assert sorted(arrows) == []


def test_a_module_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        places[path.stem].append(path.as_posix())
    del places["__init__"]
    twins = {name for name, paths in places.items() if len(paths) > 1}
    assert {name: places[name] for name in twins - TWIN_MODULES.keys()} == {}
    assert sorted(TWIN_MODULES.keys() - twins) == []


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_docstring_begins_with_a_noun_or_an_imperative(package: str) -> None:
    asked = []
    for path in modules():
        if path.parts[0] != package:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").split(" ", 1)[0].strip(".,:;").lower()
                if first in QUESTIONS:
                    asked.append(f"{path}: {getattr(node, 'name', 'module')}")
    assert asked == []


def test_types_are_looked_at_before_there_are_threads() -> None:
    """msgspec's first look at a type is not safe in two threads: a service once died of it."""
    late = re.compile(r"(decode|convert)\([^\n]*type=")
    found = [
        path.as_posix()
        for path in modules()
        if path.parts[:2] in {("service", name) for name in ("calibration", "people", "recordings")}
        and late.search((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_tests_give_limits_as_arguments() -> None:
    """A constant of a module is no test's to change: it is an argument's default."""
    constant = re.compile(r"setattr\(\s*[^()]*?[\".]([A-Z][A-Z_]{2,})\",")
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in constant.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []
