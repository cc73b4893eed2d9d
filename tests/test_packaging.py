"""What is installed: a wheel that holds the page and the model, and works on its own."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.service.models import demo_indices

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def test_the_installed_script_runs_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=tmp_path)
    # What it needs, torch above all, is taken from this environment, by its path.
    packages = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path)
    Path(packages.strip(), "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    place = run(
        python, "-c", "import mimamba.service.http.page as p; print(p.find_page())", cwd=tmp_path
    )
    assert place.startswith(str(home))
    script = home / "bin" / "mimamba"
    assert "serve" in run(script, "--help", cwd=tmp_path)
    recording = tmp_path / "muse.csv"
    rows = "\n".join(f"{n / 256:.4f},{n % 7},{n % 5},{n % 3},{n % 11},0" for n in range(1024))
    recording.write_text(f"timestamps,TP9,AF7,AF8,TP10,Right AUX\n{rows}\n")
    scored = run(script, "score", recording, cwd=tmp_path).splitlines()
    assert len(scored) == len(demo_indices(1024))
