"""Command ``models``: the checkpoints of the package and of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mimamba.service.cli.options import MODELS, DataDir, Json, one_line_errors, recordings_folder
from mimamba.service.server.console import print_json

if TYPE_CHECKING:
    from rich.table import Table

    from mimamba.models.checkpoints.catalog import CheckpointInfo

app = typer.Typer()


@app.command(rich_help_panel=MODELS)
def models(data_dir: DataDir = None, json: Json = False) -> None:
    """List the checkpoints with their outputs, training data and accuracy."""
    with one_line_errors():
        from rich.console import Console

        from mimamba.models.checkpoints.catalog import list_catalog
        from mimamba.service.storage.own_checkpoints import models_folder

        folder = models_folder(recordings_folder(data_dir))
        checkpoints = list_catalog(folder)
        if json:
            for each in checkpoints:
                print_json(each)
            return
        console = Console()
        for each in checkpoints:
            console.print(_make_table(each))
        line = f"Folder of your own models: {folder}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _make_table(checkpoint: CheckpointInfo) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(checkpoint.name), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in _describe(checkpoint):
        if fact:
            table.add_row(name, escape(fact))
    return table


def _describe(checkpoint: CheckpointInfo) -> list[tuple[str, str]]:
    """List the facts that a user needs, with their names."""
    outputs = "; ".join(f"{name}: {', '.join(v)}" for name, v in checkpoint.outputs.items())
    scores = "\n".join(
        f"{name.removesuffix('/balanced_accuracy')}: {value:.3f}"
        for name, value in checkpoint.scores.items()
        if name.endswith("/balanced_accuracy")
    )
    return [
        ("cannot be used", checkpoint.error or ""),
        ("outputs", outputs),
        ("emotion", "" if checkpoint.error else "yes" if checkpoint.emotion else "no"),
        ("electrodes", ", ".join(checkpoint.montage)),
        ("trained on", checkpoint.trained_on),
        ("baseline", f"{checkpoint.baseline:g} s of rest" if checkpoint.baseline else ""),
        ("balanced accuracy", scores or ("" if checkpoint.error else "not evaluated")),
        ("notice", checkpoint.notice or ""),
        ("licence", checkpoint.licence),
        ("file", checkpoint.path),
    ]
