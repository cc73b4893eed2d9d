"""service/cli/show_models.py."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.models.checkpoints.catalog import CheckpointInfo, list_catalog
from mimamba.service.storage.models import models_folder


def show_models(data_dir: Path | None, json: bool) -> None:
    """Print the checkpoints one after the other, or one JSON object a line."""
    folder = models_folder(data_dir)
    listed = list_catalog(folder)
    if json:
        for each in listed:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
        return
    console = Console()
    for each in listed:
        console.print(_table(each))
    console.print(f"Your own are in {folder}", highlight=False, markup=False, soft_wrap=True)


def _table(listed: CheckpointInfo) -> Table:
    table = Table(title=escape(listed.name), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in _facts(listed):
        if fact:
            table.add_row(name, escape(fact))
    return table


def _facts(listed: CheckpointInfo) -> list[tuple[str, str]]:
    """What a person should know, by what it is."""
    outputs = "; ".join(f"{name}: {', '.join(v)}" for name, v in listed.outputs.items())
    scores = "\n".join(
        f"{name.removesuffix('/balanced_accuracy')}: {value:.3f}"
        for name, value in listed.scores.items()
        if name.endswith("/balanced_accuracy")
    )
    return [
        ("cannot be used", listed.error or ""),
        ("outputs", outputs),
        ("electrodes", ", ".join(listed.montage)),
        ("trained on", listed.trained_on),
        ("baseline", f"{listed.baseline:g} s of rest" if listed.baseline else ""),
        ("balanced accuracy", scores or ("" if listed.error else "not evaluated")),
        ("notice", listed.notice or ""),
        ("licence", listed.licence),
        ("file", listed.path),
    ]
