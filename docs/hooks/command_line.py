"""The reference of the command line, made from the commands themselves."""

from __future__ import annotations

import re
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from mimamba.service.cli.main import app

PAGE = "reference/command-line.md"
INTRODUCTION = """\
# Command line

This page is made from the commands when the documentation is built; `mimamba COMMAND --help` says
the same. After `make serve`, the command is `.venv/bin/mimamba`.

An error that you can fix is one line, and the exit status is 2.
"""


def summaries(command: Any) -> dict[str, str]:
    """The first line of each command's help, those within a group included."""
    found: dict[str, str] = {}
    for name, each in getattr(command, "commands", {}).items():
        found |= {name: (each.help or "").partition("\n\n")[0], **summaries(each)}
    return found


def page() -> str:
    """The page's Markdown."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="mimamba")
    told = get_docs_for_click(obj=command, ctx=context, name="mimamba", indent=1)
    for name, summary in summaries(command).items():  # Typer cuts them after some words
        told = re.sub(rf"^\* `{name}`: .*$", f"* `{name}`: {summary}", told, flags=re.MULTILINE)
    return f"{INTRODUCTION}\n{told}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page()))
    return files
