"""The documentation's promises: its links lead somewhere, and its commands exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import mimamba
from mimamba.service.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        ROOT / "tests" / "benchmarks" / "results" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    ],
    key=str,
)
MOST_WORDS = 900
"""Of the README: more is for the documentation."""
COMMAND = re.compile(
    r"^    (?:\.venv/bin/)?mimamba (\S.*)$"  # a line of code
    r"|`mimamba ([a-z-][^`\n]*)`",  # or within a sentence
    re.MULTILINE,
)
PATH = re.compile(r"`((?:dashboard|docker|docs|drivers|models|service|tests)/[\w./-]*)`")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of each mimamba command in a page's code."""
    for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
        yield shlex.split(match[match.lastindex or 0], comments=True)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MOST_WORDS


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "docs" not in page.parts[len(ROOT.parts) :]], ids=named
)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """The documentation's own links are checked by its strict build."""
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or not target:
            continue
        found = (page.parent / target).resolve()
        assert found.exists(), f"{named(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            ids = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
            assert anchor in ids, f"{named(page)} links to {match['target']}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if PATH.search(page.read_text(encoding="utf-8"))], ids=named
)
def test_named_files_are_there(page: Path) -> None:
    for match in PATH.finditer(page.read_text(encoding="utf-8")):
        there = [(folder / match[1]).exists() for folder in (ROOT, page.parent)]
        assert any(there), f"{named(page)} names {match[1]}"


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))], ids=named)
def test_commands_exist_with_their_options(page: Path) -> None:
    top: Any = typer.main.get_command(app)
    for arguments in commands(page):
        command, rest = top, list(arguments)
        if " ".join(rest[:2]) in top.commands:  # a name of two words
            rest[:2] = [" ".join(rest[:2])]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        assert command is not top or rest[0].startswith("--"), f"mimamba {arguments[0]}"
        known = {"--help"} | {
            option for each in command.params for option in (*each.opts, *each.secondary_opts)
        }
        if command.name == "config":  # it takes those of serve
            known |= {option for each in top.commands["serve"].params for option in each.opts}
        unknown = {each for each in rest if each.startswith("--")} - known
        assert not unknown, f"mimamba {shlex.join(arguments)}"


@pytest.mark.parametrize("name", mimamba.__all__)
def test_public_names_are_documented(name: str) -> None:
    public = getattr(mimamba, name)
    assert public.__doc__, name
    for member, value in vars(public).items() if isinstance(public, type) else ():
        if not member.startswith("_") and callable(value) | isinstance(value, property):
            assert value.__doc__, f"{name}.{member}"
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert f"::: mimamba.{name}\n" in reference


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert {"message", "title", "authors"} <= cited.keys()
    (paper,) = cited["references"]
    assert paper["doi"] == "10.48550/arXiv.2409.07589"
