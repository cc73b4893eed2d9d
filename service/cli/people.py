"""Commands about people: ``baseline``, which talks to a service, and ``people``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamba.service.cli.options import (
    CaFile,
    DataDir,
    TokenFile,
    credentials,
    one_line_errors,
    recordings_folder,
)

app = typer.Typer()
people = typer.Typer(help="The people who were named, and what is kept of them.")
app.add_typer(people, name="people")


@app.command()
def baseline(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Of good signal, 10 to 600. [default: as many as the model was trained with]",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Whose it is, a pseudonym, for whom it is kept.", show_default=False),
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Use the one that is kept of that person instead.")
    ] = False,
    break_off: Annotated[
        bool, typer.Option("--break-off", help="Take no more, and go on by the one before.")
    ] = False,
    url: Annotated[str, typer.Option(help="The service's address.")] = "http://127.0.0.1:8765",
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Take a person's baseline in a session: a minute of rest, to which what follows is held."""
    with one_line_errors():
        from mimamba.service.cli.remote_control import baseline as run

        if break_off and (kept or seconds is not None or person is not None):
            raise typer.BadParameter(
                "Expected --break-off alone, but found it beside another option."
            )
        shown = credentials(token_file, cafile)
        run(url, session, seconds, person, kept, shown, stop=break_off)


@people.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the people who were named, their baselines and their recordings."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    with one_line_errors():
        from mimamba.service.cli.show_recordings import show_people

        show_people(recordings_folder(data_dir), json)


@people.command()
def delete(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="The pseudonym.")],
    confirm: Annotated[
        str | None,
        typer.Option(help="The pseudonym once more. [default: it is asked]", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="As for mimamba people.", show_default=False)
    ] = None,
) -> None:
    """Delete a person's file and all of their recordings, for good."""
    with one_line_errors():
        from mimamba.service.cli.show_recordings import delete_person, register_of

        folder = recordings_folder(data_dir or context.obj)
        if confirm is None:
            register_of(folder).get(person)  # says so where there is nobody of that name
            confirm = typer.prompt(f"This deletes all recordings of {person}. Type the name again")
        delete_person(person, confirm, folder)
