"""A person's own checkpoints, in the data folder; ``mimamba models`` lists them and others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drivers.base import Mismatch
from models.catalogue import Listed, list_all
from models.checkpoint import SUFFIX, list_checkpoints
from service.room import data_folder
from service.settings import NO_MODEL

MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""A checkpoint's name: a file's name on every system, without a folder."""


class ModelNameError(Mismatch):
    """A checkpoint cannot have this name, or not this place; one clear line."""


def models_folder(data_dir: Path | None) -> Path:
    """Where a person's own checkpoints are."""
    return data_folder(data_dir) / "models"


def check_name(name: str) -> None:
    """Raise ModelNameError if a person's own checkpoint cannot be called so."""
    if not re.fullmatch(MODEL_NAME, name) or name.endswith(SUFFIX):
        raise ModelNameError(
            "a name of letters, digits, '-', '_' and '.'", repr(name), "choose another with --name"
        )
    if name in (NO_MODEL, *list_checkpoints()):
        whose = "means no model" if name == NO_MODEL else "comes with the package"
        raise ModelNameError("a name of your own", f"{name}, which {whose}", "choose another")


def show_models(data_dir: Path | None, json: bool) -> None:
    """Print the checkpoints one after the other, or one JSON object a line."""
    folder = models_folder(data_dir)
    listed = list_all(folder)
    if json:
        for each in listed:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
        return
    console = Console()
    for each in listed:
        console.print(_table(each))
    console.print(f"Your own are in {folder}", highlight=False, markup=False)


def _table(listed: Listed) -> Table:
    table = Table(title=escape(listed.name), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in _facts(listed):
        if fact:
            table.add_row(name, escape(fact))
    return table


def _facts(listed: Listed) -> list[tuple[str, str]]:
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
