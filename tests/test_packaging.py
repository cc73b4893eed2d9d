"""What is installed: a wheel that holds the page and the model, and works on its own."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.service.live import PATIENCE
from tests.service.models import demo_indices

ROOT = Path(__file__).resolve().parents[1]
BLOCKER = """
import sys

BLOCKED = {blocked!r}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Blocker())
"""
"""A sitecustomize module: packages that the plain installation does not have cannot be imported."""


def own_environment() -> dict[str, str]:
    """This environment without the sources, which are imported from the wheel instead."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=own_environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed_with(requirements: list[str]) -> set[str]:
    """The distributions that pip installs for requirements, with those that they need."""
    found: set[str] = set()
    wanted = [(Requirement(each), "") for each in requirements]
    while wanted:
        requirement, extra = wanted.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        known = name in found
        found.add(name)
        try:
            needed = [Requirement(each) for each in distribution(name).requires or []]
        except PackageNotFoundError:  # of another platform
            continue
        extras = [*([] if known else [""]), *requirement.extras]
        wanted += [(each, extra) for each in needed for extra in extras]
    return found


def modules_of_others(plain: set[str]) -> set[str]:
    """The modules that none of these distributions has."""
    return {
        module
        for module, owners in packages_distributions().items()
        if not plain & {canonicalize_name(each) for each in owners}
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built as pip builds it."""
    out = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out)
    run(*build, ".", cwd=ROOT)
    return next(out.glob("*.whl"))


def normal(requirement: str) -> str:
    """The name of the package that a requirement asks for."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")


def test_messages_name_packages_that_this_project_uses() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    known = {normal(each) for each in (*project["dependencies"], *(x for e in extras for x in e))}
    named: set[str] = set()
    for package in ("drivers", "models", "service"):
        for module in (ROOT / package).rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            for words in re.findall(r"pip install ([^\"`\n{]*)", text):
                named |= {word.strip(".,") for word in words.split() if not word.startswith("-")}
    assert len(named) > 5
    # An extra in brackets would be one of a package on PyPI, where this project is not.
    assert {each for each in named if each and normal(each) not in known} == set()


def test_formats_need_no_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain = {normal(each) for each in project["dependencies"]}
    assert {"edfio", "mne-bids", "pyarrow"} <= plain
    assert project["optional-dependencies"]["files"] == []


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "mimamba/__init__.py",
        "mimamba/py.typed",
        "mimamba/drivers/driver.py",
        "mimamba/models/checkpoints/demo.safetensors",
        "mimamba/service/cli/main.py",
        "mimamba/service/dist/index.html",
    ):
        assert needed in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not re.match(r"mimamba-.*\.dist-info", top)} == {"mimamba"}
    assert not [name for name in names if "node_modules" in name or name.endswith(".ts")]


@pytest.fixture(scope="module")
def plain_home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it needs, without any extra."""
    folder = tmp_path_factory.mktemp("plain")
    home = folder / "environment"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=folder)
    # What it needs, torch above all, is taken from this environment, by its path.
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder)
    packages = Path(site.strip())
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocked = modules_of_others(installed_with(project["dependencies"])) - {"mimamba"}
    (packages / "sitecustomize.py").write_text(BLOCKER.format(blocked=sorted(blocked)))
    return home


def test_the_installed_script_runs_from_anywhere(plain_home: Path, tmp_path: Path) -> None:
    python = plain_home / "bin" / "python"
    place = run(
        python, "-c", "import mimamba.service.http.page as p; print(p.find_page())", cwd=tmp_path
    )
    assert place.startswith(str(plain_home))
    script = plain_home / "bin" / "mimamba"
    assert "serve" in run(script, "--help", cwd=tmp_path)
    recording = tmp_path / "muse.csv"
    rows = "\n".join(f"{n / 256:.4f},{n % 7},{n % 5},{n % 3},{n % 11},0" for n in range(1024))
    recording.write_text(f"timestamps,TP9,AF7,AF8,TP10,Right AUX\n{rows}\n")
    scored = run(script, "score", recording, cwd=tmp_path).splitlines()
    assert len(scored) == len(demo_indices(1024))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that must come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


@contextmanager
def served(home: Path, data: Path) -> Iterator[httpx.Client]:
    """A service of the installed script."""
    log = data / "stderr.txt"
    flags = ["--source", "simulate://", "--model", "none", "--port", "0", "--data-dir", str(data)]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [home / "bin" / "mimamba", "serve", *flags],
            cwd=data,
            env=own_environment() | {"MIMAMBA_CONFIG": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
        ) as process,
    ):
        try:
            wait_until(lambda: "http://" in log.read_text() or process.poll() is not None)
            found = re.search(r"http://[\w.:]+", log.read_text())
            assert found, log.read_text()
            with httpx.Client(base_url=found[0], timeout=2 * PATIENCE, verify=False) as http:
                yield http
        finally:
            process.terminate()


def test_each_format_is_exported_without_extras(plain_home: Path, tmp_path: Path) -> None:
    python = plain_home / "bin" / "python"
    refused = "try:\n import pandas\nexcept ModuleNotFoundError as e: print(e.name)"
    assert run(python, "-c", f"import numpy\n{refused}", cwd=tmp_path) == "pandas\n"
    study = {
        "record": True,
        "step": [{"text": "Rest", "seconds": 1, "marker": "rest", "hed": "Rest"}],
    }
    with served(plain_home, tmp_path) as http:
        put = http.put("/v1/studies/plain", json=study, headers={"If-None-Match": "*"})
        assert put.status_code == 200, put.text
        path, new = "/v1/sessions/simulate-1/study", {"study": "plain"}
        wait_until(lambda: http.post(path, json=new).status_code == 201)  # the session opens

        def progress() -> dict[str, str]:
            return dict(http.get(path).json()["progress"])

        wait_until(lambda: progress()["phase"] in ("done", "stopped"))
        done = progress()
        assert done["phase"] == "done", done
        place = f"/v1/recordings/{done['recording']}"
        described = http.get("/v1/openapi.json").json()
        asked = described["paths"]["/v1/recordings/{recording}/export"]["get"]["parameters"]
        [formats] = [each["schema"]["enum"] for each in asked if each["name"] == "format"]
        assert len(formats) >= 5
        made = {form: http.get(f"{place}/export", params={"format": form}) for form in formats}
        made |= {form: http.get(f"{place}/{form}") for form in ("file", "report")}
        assert {form: each.text[:300] for form, each in made.items() if each.is_error} == {}
        with zipfile.ZipFile(io.BytesIO(made["bids"].content)) as archive:
            [sidecar] = [each for each in archive.namelist() if each.endswith("_events.json")]
            assert b'"rest": "Rest"' in archive.read(sidecar)
