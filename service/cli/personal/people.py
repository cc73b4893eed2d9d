"""Commands ``people``: list people, export or delete a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.drivers.runtime.file_locks import create_private
from mimamba.service.cli.options import (
    RECORDINGS,
    DataDir,
    Json,
    one_line_errors,
    recordings_folder,
)
from mimamba.service.server.console import print_list

if TYPE_CHECKING:
    from mimamba.service.recordings.people_index import PeopleIndex, PersonInfo

app = typer.Typer()
people = typer.Typer(
    help="List people with their facts, baselines and recordings, export or delete a person."
)


@people.callback(invoke_without_command=True)
def list_people(context: typer.Context, data_dir: DataDir = None, json: Json = False) -> None:
    """List people with their facts, baselines and recordings."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    with one_line_errors():
        print_people(recordings_folder(data_dir), json)


@people.command()
def delete(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Pseudonym of the person.")],
    confirm: Annotated[
        str | None,
        typer.Option(help="The pseudonym again. [default: ask for it]", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder, as for `mimamba people`.", show_default=False),
    ] = None,
) -> None:
    """Delete a person's file and all of their recordings permanently."""
    with one_line_errors():
        index = _people_index(recordings_folder(data_dir or context.obj))
        if confirm is None:
            index.get(person)  # reports an unknown name before the question
            question = f"This deletes all recordings of {person}. Enter the pseudonym again"
            confirm = typer.prompt(question)
        deleted = index.delete(person, confirm)
        for name in deleted.recordings:
            sys.stdout.write(f"deleted: recording {name}\n")
        sys.stdout.write(f"deleted: person {deleted.person}\n")


@people.command()
def export(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Pseudonym of the person.")],
    out: Annotated[
        Path | None,
        typer.Argument(help="The archive. [default: PERSON.zip, here]", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder, as for `mimamba people`.", show_default=False),
    ] = None,
) -> None:
    """Write all that is stored about a person to one ZIP archive.

    It contains recordings, own outputs with all that they were made of, ratings, baselines, notes.
    """
    with one_line_errors():
        folder = recordings_folder(data_dir or context.obj)
        export_person(folder, person, out or Path(f"{person}.zip"), force)


app.add_typer(people, name="people", rich_help_panel=RECORDINGS)


def print_people(folder: Path, json: bool) -> None:
    """Print the people of a data folder as a table, or one JSON object per line."""
    columns: Mapping[str, Callable[[PersonInfo], str]] = {
        "person": lambda each: each.person,
        "age": lambda each: "" if each.age is None else f"{each.age}",
        "sex": lambda each: each.sex or "",
        "consent": _describe_consent,
        "notice seen": lambda each: "; ".join(
            f"{', '.join(seen.outputs)}: {seen.date[:10]}" for seen in each.acknowledgements
        ),
        "baselines": lambda each: "; ".join(
            f"{', '.join(stored.montage)}: {stored.seconds:g} s, {stored.taken}"
            for stored in each.baselines
        ),
        "own outputs": lambda each: _describe_heads(folder, each.person),
        "recordings": lambda each: ", ".join(each.recordings),
        "notes": lambda each: each.damaged or each.notes or "",
    }
    optional = tuple(columns)[1:]
    print_list(_people_index(folder).all(), json, columns, optional, f"in {folder}")


def _describe_consent(person: PersonInfo) -> str:
    """Describe a person's consent: given or not, its date, and the version of the text."""
    consent = person.consent
    if consent is None:
        return ""
    version = [f"text {consent.version}"] if consent.version else []
    return ", ".join([("yes" if consent.given else "no"), consent.date, *version])


def _describe_heads(folder: Path, person: str) -> str:
    """Describe the verdicts of a person's calibrations, newest first."""
    from mimamba.service.calibration.sittings import Sittings
    from mimamba.service.people.people import People, people_folder

    sittings = Sittings(People(people_folder(folder))).all(person)
    return "; ".join(
        f"{' or '.join(each.drawn.plan.kinds or ())}: {each.verdict.name}, {each.day}"
        for each in sittings
        if each.verdict is not None
    )


def export_person(folder: Path, person: str, out: Path, force: bool = False) -> None:
    """Write the archive of a person, completely or not at all; print what it contains.

    Raises
    ------
    UserError
        If there is no such person, or a recording is in progress.
    CannotWrite
        If the archive exists, or cannot be written.
    """
    from tempfile import TemporaryDirectory

    from mimamba.drivers.errors import CannotWrite
    from mimamba.drivers.formats.convert import check_overwrite
    from mimamba.service.calibration.person_archive import PersonArchives
    from mimamba.service.people.people import People, people_folder
    from mimamba.service.recordings.recordings import Recordings

    check_overwrite(out, force)
    archives = PersonArchives(People(people_folder(folder)), Recordings(folder))
    try:
        # Only its owner can read the folder, and so the archive while it is made.
        with TemporaryDirectory(prefix=".mimamba-", dir=out.parent) as made:
            partial = Path(made) / "archive.zip"
            with os.fdopen(create_private(partial), "wb") as file:
                contents = archives.write(person, file)
            partial.replace(out)
    except OSError as error:
        raise CannotWrite(
            f"a place where {out} can be written",
            error.strerror or str(error),
            "choose another place",
        ) from error
    n_files, size = len(contents.files), sum(each.bytes for each in contents.files)
    sys.stdout.write(
        f"{out}: {n_files} file{'s' * (n_files != 1)} of {person}, {size / 1e6:.1f} MB\n"
    )


def _people_index(folder: Path) -> PeopleIndex:
    from mimamba.service.people.people import People, people_folder
    from mimamba.service.recordings.people_index import PeopleIndex
    from mimamba.service.recordings.recordings import Recordings

    return PeopleIndex(People(people_folder(folder)), Recordings(folder))
