"""``mimamba recordings`` and ``mimamba recover``: recordings in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drivers.base import BadRecording
from service.recordings import Recordings
from service.recover import recover_recording


def show_recordings(folder: Path, json: bool) -> None:
    """Print a table, or one JSON object a line."""
    listed = Recordings(folder).all()
    if json:
        for each in listed:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
        return
    table = Table(caption=escape(f"in {folder}"), caption_justify="left")
    for heading in ("name", "state", "started", "source", "model", "person", "MB"):
        table.add_column(heading)
    for each in listed:
        facts = (each.started, each.source, each.model, each.person)
        table.add_row(
            each.name,
            each.state,
            *(escape(fact or "") for fact in facts),
            f"{each.bytes / 1e6:.1f}",
        )
    Console().print(table)


def recover_recordings(where: Path) -> None:
    """Recover a file, or what is not whole in a folder; one line each.

    Raises
    ------
    BadRecording
        If the file, or one of the folder's, cannot be recovered; the others are nevertheless.
    """
    if not where.is_dir():
        sys.stdout.write(f"{where}: {recover_recording(where)}\n")
        return
    failed: BadRecording | None = None
    for each in Recordings(where).all():
        if each.state in ("finished", "recovered", "recording"):
            continue
        path = where / f"{each.name}.xdf"
        try:
            sys.stdout.write(f"{path}: {recover_recording(path)}\n")
        except BadRecording as error:
            sys.stdout.write(f"{path}: {error}\n")
            failed = error
    if failed:
        raise failed
