"""Commands for recordings: ``recordings``, ``report``, ``convert``, ``recover``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.service.cli.options import (
    RECORDINGS,
    DataDir,
    Json,
    RecordingName,
    RecordingSource,
    complete_recording,
    find_recording,
    one_line_errors,
    own_recording,
    recordings_folder,
    settings_file,
)
from mimamba.service.server.console import print_list

if TYPE_CHECKING:
    from mimamba.service.recording_contents.feedback_log import FeedbackRun
    from mimamba.service.recording_contents.marker_editing import MarkerEditor, MarkerView
    from mimamba.service.recordings.sidecar import RecordingInfo

app = typer.Typer()
recordings = typer.Typer(help="List the recordings; edit titles, notes and markers.")
RecordingsDir = Annotated[
    Path | None,
    typer.Option(help="Folder, as for `mimamba recordings`.", show_default=False),
]


@recordings.callback(invoke_without_command=True)
def list_all(context: typer.Context, data_dir: DataDir = None, json: Json = False) -> None:
    """List the recordings; edit titles, notes and markers."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    with one_line_errors():
        list_recordings(recordings_folder(data_dir), json)


@recordings.command()
def edit(
    context: typer.Context,
    recording: RecordingName,
    title: Annotated[
        str | None,
        typer.Option(
            help="New title, with spaces and any letters; '' for none. The file keeps its name.",
            show_default=False,
        ),
    ] = None,
    notes: Annotated[
        str | None, typer.Option(help="New notes; '' for none.", show_default=False)
    ] = None,
    data_dir: RecordingsDir = None,
) -> None:
    """Change the title or the notes of a recording, and print both."""
    with one_line_errors():
        from msgspec import UNSET

        from mimamba.service.recordings.recordings import Recordings

        folder = recordings_folder(data_dir or context.obj)
        changed = Recordings(folder).change(
            _name_of(recording, folder),
            UNSET if title is None else title,
            UNSET if notes is None else notes,
        )
        sys.stdout.write(f"{changed.name}: {changed.title or 'no title'}\n")
        if changed.notes:
            sys.stdout.write(f"{changed.notes}\n")


@recordings.command()
def markers(
    context: typer.Context,
    recording: RecordingName,
    json: Json = False,
    data_dir: RecordingsDir = None,
) -> None:
    """List the markers of a recording with their ids, and what was edited afterwards."""
    with one_line_errors():
        editor = _marker_editor(recording, data_dir or context.obj)
        list_markers(editor.all(), json)


@recordings.command()
def mark(
    context: typer.Context,
    recording: RecordingName,
    marker: Annotated[
        str | None,
        typer.Argument(help="Id of a marker to change. [default: a new one]", show_default=False),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(help="Position, s from the first sample.", min=0, show_default=False),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Label.", show_default=False)] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the marker.")] = False,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore",
            help="Take back all edits of a recorded marker, or the deletion of an added one.",
        ),
    ] = False,
    data_dir: RecordingsDir = None,
) -> None:
    """Add a marker to a finished recording, or change, delete or restore one.

    The recorded file is never changed: edits are kept beside it, with their dates.
    """
    with one_line_errors():
        n_actions = delete + restore + (at is not None or label is not None)
        if n_actions != 1 or (marker is None and (at is None or label is None)):
            raise typer.BadParameter(
                "Expected --at and --label for a new marker, or a marker's id with --at, --label, "
                "--delete or --restore. Correct the options."
            )
        editor = _marker_editor(recording, data_dir or context.obj)
        if marker is None:
            assert at is not None
            assert label is not None
            changed = editor.add(at, label)
        elif delete:
            changed = editor.delete(marker)
        elif restore:
            changed = editor.restore(marker)
        else:
            changed = editor.change(marker, at, label)
        sys.stdout.write(
            f"{changed.id}: {changed.label} at {changed.position:.3f} s ({changed.state})\n"
        )


@recordings.command()
def feedback(
    context: typer.Context,
    recording: RecordingName,
    json: Json = False,
    data_dir: RecordingsDir = None,
) -> None:
    """List the feedback for a study that a recording has: this unblinds it."""
    with one_line_errors():
        from mimamba.service.recording_contents.feedback_log import read_feedback_log
        from mimamba.service.recordings.recordings import Recordings

        folder = recordings_folder(data_dir or context.obj)
        found = read_feedback_log(Recordings(folder).file(_name_of(recording, folder)))
        list_feedback(found, json)


@app.command(rich_help_panel=RECORDINGS)
def convert(
    recording: RecordingSource,
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="Path that ends in .edf, .bdf, .csv, .parquet or .xdf; or "
            "'bids:FOLDER?subject=01&task=rest', optionally with session and run.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Convert a recording to another format, with its gaps, markers and units (µV)."""
    with one_line_errors():
        from mimamba.drivers.formats.bids_facts import BIDSFacts
        from mimamba.drivers.formats.convert import BIDS_SCHEME
        from mimamba.drivers.formats.convert import convert as convert_recording
        from mimamba.service.recordings.sidecar import load_sidecar, played_file

        source = find_recording(recording, data_dir)
        path = played_file(source)
        noted = load_sidecar(path) if path else None
        facts = (
            BIDSFacts(title=noted.title, notes=noted.notes, hed=noted.hed) if noted else BIDSFacts()
        )
        if out.startswith(BIDS_SCHEME):
            from mimamba.service.settings.load import load_marker_meanings
            from mimamba.service.settings.marker_meanings import with_meanings

            facts = with_meanings(facts, load_marker_meanings(settings_file()))
        streams = convert_recording(source, out, force, facts)
        if path is not None and out.startswith(BIDS_SCHEME):
            from mimamba.drivers.formats.bids_writer import parse_bids_target
            from mimamba.service.recording_contents.bids_derivatives import write_derivatives

            write_derivatives(streams, parse_bids_target(out))


@app.command(rich_help_panel=RECORDINGS)
def report(
    recording: RecordingSource,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write. [default: NAME-report.html, or NAME-OTHER-report.html]",
            show_default=False,
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="NAME|PATH",
            help="Another recording, to compare both on one axis of time. [default: none]",
            autocompletion=complete_recording,
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a report with pictures: outputs, bands, signal quality, markers and ratings."""
    with one_line_errors():
        write_report(recording, out, force, data_dir, other)


@app.command(rich_help_panel=RECORDINGS)
def recover(
    where: Annotated[
        Path | None,
        typer.Argument(
            help="XDF file, or folder of XDF files. [default: your recordings]", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Repair recordings that a crash cut off. The service also does this when it starts."""
    with one_line_errors():
        recover_recordings(where or recordings_folder(data_dir))


app.add_typer(recordings, name="recordings", rich_help_panel=RECORDINGS)


def list_recordings(folder: Path, json: bool) -> None:
    """Print the recordings of a folder as a table, or one JSON object per line."""
    from mimamba.service.recordings.recordings import Recordings

    columns: Mapping[str, Callable[[RecordingInfo], str]] = {
        "name": lambda each: each.name,
        "title": lambda each: each.title or "",
        "state": lambda each: each.state,
        "started, UTC": lambda each: (each.started or "")[:16].replace("T", " "),
        "source": lambda each: each.source or "",
        "model": lambda each: each.model or "",
        "person": lambda each: each.person or "",
        "length": lambda each: "" if each.seconds is None else _duration(each.seconds),
        "MB": lambda each: f"{each.bytes / 1e6:.1f}",
    }
    optional = ("title", "source", "model", "person")
    print_list(Recordings(folder).all(), json, columns, optional, f"in {folder}")


def list_markers(found: list[MarkerView], json: bool) -> None:
    """Print markers as a table, or one JSON object per line."""
    columns: Mapping[str, Callable[[MarkerView], str]] = {
        "id": lambda each: each.id,
        "s": lambda each: f"{each.position:.3f}",
        "marker": lambda each: each.label,
        "from": lambda each: each.source,
        "edited": lambda each: "" if each.date is None else f"{each.state}, {each.date}",
        "recorded as": _recorded_place,
    }
    print_list(found, json, columns)


def list_feedback(found: list[FeedbackRun], json: bool) -> None:
    """Print feedback as a table, or one JSON object per line."""
    columns: Mapping[str, Callable[[FeedbackRun], str]] = {
        "from s": lambda each: f"{each.began:.1f}",
        "to s": lambda each: f"{each.ended:.1f}",
        "followed": lambda each: f"{each.quantity} {each.side} {each.at:g}",
        "values": _shown_values,
        "chosen": lambda each: each.chosen + (", blind" if each.blind else ""),
        "on": lambda each: _share(each.on, each),
        "silent": lambda each: _share(each.silent, each),
    }
    print_list(found, json, columns)


def _recorded_place(marker: MarkerView) -> str:
    """Return the position and the label with which an edited marker was recorded."""
    was = marker.recorded
    return f"{was.position:.3f} s, {was.label}" if was else ""


def _shown_values(run: FeedbackRun) -> str:
    """Return whose values were shown, in words."""
    values = "the wearer's own" if run.sham is None else f"sham: {run.sham}"
    return values + (f", {run.passes} passes" if run.passes > 1 else "")


def _share(seconds: float, run: FeedbackRun) -> str:
    """Return the share of some seconds in the length of feedback."""
    return f"{seconds / max(run.ended - run.began, 1e-9):.0%}"


def _name_of(recording: str, folder: Path) -> str:
    """Return the name of the recording with this name or title; the text itself if none has it."""
    path = own_recording(recording, folder)
    return path.stem if path else recording


def _marker_editor(recording: str, data_dir: Path | None) -> MarkerEditor:
    from mimamba.service.recording_contents.marker_editing import MarkerEditor
    from mimamba.service.recordings.recordings import Recordings

    folder = recordings_folder(data_dir)
    return MarkerEditor(Recordings(folder).file(_name_of(recording, folder)))


def _duration(seconds: float) -> str:
    """Write a length as hours, minutes and seconds: ``1:02:03``, or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def write_report(
    recording: str,
    out: Path | None,
    force: bool,
    data_dir: Path | None,
    other: str | None = None,
) -> None:
    """Write the report on a recording, compared with another if one is named; print its path.

    Raises
    ------
    NoRecording
        If there is neither a recording nor a file of this name.
    BadRecording
        If it cannot be read.
    CannotWrite
        If the report exists, or cannot be written.
    """
    from mimamba.drivers.errors import CannotWrite
    from mimamba.service.recording_contents.report_page import make_report
    from mimamba.service.recordings.recordings import Recordings
    from mimamba.service.recordings.sidecar import played_file

    def find(named: str) -> Path:
        path = played_file(find_recording(named, data_dir)) or Path(named)
        return path if path.exists() else Recordings(recordings_folder(data_dir)).file(named)

    path = find(recording)
    compared = find(other) if other else None
    named = path.stem if compared is None else f"{path.stem}-{compared.stem}"
    target = out or Path(f"{named}-report.html")
    if target.exists() and not force:
        raise CannotWrite(
            "a new file", f"an existing one at {target}", "choose another with --out, or --force"
        )
    try:
        target.write_text(make_report(path, compared), encoding="utf-8")
    except OSError as error:
        found = error.strerror or str(error)
        raise CannotWrite(f"a file at {target}", found, "choose another place") from error
    sys.stdout.write(f"{target}\n")


def recover_recordings(where: Path) -> None:
    """Repair a file, or all incomplete recordings of a folder; print one line for each.

    Raises
    ------
    BadRecording
        If a recording cannot be repaired; the others of the folder are repaired first.
    """
    from mimamba.drivers.errors import BadRecording
    from mimamba.service.recordings.recordings import Recordings
    from mimamba.service.recordings.recovery import recover_recording

    if not where.is_dir():
        sys.stdout.write(f"{where}: {recover_recording(where)}\n")
        return
    failed: BadRecording | None = None
    complete = ("finished", "recovered", "recording", "uploaded")
    cut_off = [each for each in Recordings(where).all() if each.state not in complete]
    if not cut_off:
        sys.stdout.write(f"{where}: no recording was cut off\n")
    for each in cut_off:
        path = where / f"{each.name}.xdf"
        try:
            sys.stdout.write(f"{path}: {recover_recording(path)}\n")
        except BadRecording as error:
            sys.stdout.write(f"{path}: {error}\n")
            failed = error
    if failed:
        raise failed
