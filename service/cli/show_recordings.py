"""``mimamba recordings``, ``recover`` and ``people``: what a folder holds, in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.drivers.errors import BadRecording
from mimamba.service.people.people import People, people_folder
from mimamba.service.recordings.library import Recordings
from mimamba.service.recordings.people_index import PeopleIndex
from mimamba.service.recordings.recovery import recover_recording


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


def show_people(folder: Path, json: bool) -> None:
    """Print a table, or one JSON object a line."""
    everybody = register_of(folder).all()
    if json:
        for each in everybody:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
        return
    table = Table(caption=escape(f"in {folder}"), caption_justify="left")
    for heading in ("person", "baselines", "recordings", "notes"):
        table.add_column(heading)
    for each in everybody:
        rests = "; ".join(
            f"{', '.join(rest.montage)}: {rest.seconds:g} s, {rest.taken}"
            for rest in each.baselines
        )
        told = (rests, ", ".join(each.recordings), each.damaged or each.notes or "")
        table.add_row(each.person, *(escape(text) for text in told))
    Console().print(table)


def delete_person(person: str, confirm: str, folder: Path) -> None:
    """Delete a person's file and recordings, and tell which; raises as ``PeopleIndex.delete``."""
    deleted = register_of(folder).delete(person, confirm)
    for each in (f"recording {name}" for name in deleted.recordings):
        sys.stdout.write(f"deleted: {each}\n")
    sys.stdout.write(f"deleted: person {deleted.person}\n")


def register_of(folder: Path) -> PeopleIndex:
    """Everybody in a data folder."""
    return PeopleIndex(People(people_folder(folder)), Recordings(folder))


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
    whole = ("finished", "recovered", "recording", "uploaded")
    cut = [each for each in Recordings(where).all() if each.state not in whole]
    if not cut:
        sys.stdout.write(f"{where}: no recording was cut off\n")
    for each in cut:
        path = where / f"{each.name}.xdf"
        try:
            sys.stdout.write(f"{path}: {recover_recording(path)}\n")
        except BadRecording as error:
            sys.stdout.write(f"{path}: {error}\n")
            failed = error
    if failed:
        raise failed
