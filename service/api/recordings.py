"""Routes of recordings: start, stop, list, download, export, delete."""

from __future__ import annotations

import asyncio
import os
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Annotated, BinaryIO, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from mimamba.drivers.errors import CannotWrite, LibraryMissing, UserError
from mimamba.drivers.formats.bids_facts import BIDSFacts
from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.read import read_recording as read_file
from mimamba.drivers.formats.read import read_with_streams
from mimamba.service.api.dependencies import (
    AllPeople,
    AllRecordings,
    AllSessions,
    ReadLock,
    Service,
)
from mimamba.service.auth.scopes import allows, auth_result_of
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.people.people import DamagedPerson, NoPerson, People, PersonRefused
from mimamba.service.recording_contents.marker_editing import MarkerEditor, MarkerView
from mimamba.service.recording_contents.report_summary import ReportSummary, summarise_report
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.sidecar import RecordingInfo
from mimamba.service.sessions.markers import MAX_LABEL_LENGTH
from mimamba.service.settings.marker_meanings import with_meanings
from mimamba.service.storage.folders import CannotRecord
from mimamba.service.storage.private_files import NAME
from mimamba.service.storage.titles import LONGEST_TITLE

RecordingId = Annotated[str, PathParameter(pattern=f"^{NAME}$")]
MarkerId = Annotated[str, PathParameter(pattern="^[ra][0-9a-f]{1,16}$")]
Answer = TypeVar("Answer")
Format: TypeAlias = Literal["edf", "bdf", "csv", "parquet", "bids"]

MEDIA_TYPES: dict[Format, str] = {
    "edf": "application/octet-stream",
    "bdf": "application/octet-stream",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "bids": "application/zip",
}
LONGEST_NOTES = 10_000
"""Characters."""
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of a report, which has its styles and pictures in itself."""
SIZES = 1 << 20
"""Bytes to a multiple of which the size of a file is rounded up where it could unblind."""
PART = 1 << 18
"""Bytes read from the disk at a time."""


class NewRecording(BaseModel):
    """A recording to start."""

    model_config = ConfigDict(extra="forbid")

    session: str = Field(max_length=64)
    name: str | None = Field(
        default=None,
        pattern=f"^{NAME}$",
        description="The recording's name. Default: derived from the title; without one, the "
        "session's id and the time.",
    )
    title: str | None = Field(
        default=None,
        max_length=LONGEST_TITLE,
        description="The recording's name for people, in any script.",
    )
    person: str | None = Field(
        default=None,
        pattern=f"^{NAME}$",
        description="A pseudonym. Default: the session's person.",
    )
    notes: str | None = Field(default=None, max_length=LONGEST_NOTES)


class RecordingChange(BaseModel):
    """Facts to change; absent fields stay unchanged, and null removes one."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, max_length=LONGEST_TITLE)
    notes: str | None = Field(default=None, max_length=LONGEST_NOTES)


class AddedMarker(BaseModel):
    """A marker to add to a finished recording."""

    model_config = ConfigDict(extra="forbid")

    position: float = Field(ge=0, description="Seconds from the first sample.")
    label: str = Field(max_length=MAX_LABEL_LENGTH)


class MarkerChange(BaseModel):
    """Changes of a marker; absent fields stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    position: float | None = Field(default=None, ge=0, description="Seconds from the first sample.")
    label: str | None = Field(default=None, max_length=MAX_LABEL_LENGTH)


class Unblinds(UserError):
    """A file says whose values were shown as feedback, and the token may only view."""


def check_unblinding(request: Request, found: Iterable[RecordingInfo]) -> None:
    """Refuse the files of recordings with feedback to those who may only view; raises Unblinds.

    Exports and reports have nothing of the log of feedback.
    """
    if allows(auth_result_of(request), "control"):
        return
    for each in found:
        if each.feedback:
            raise Unblinds(
                f"Expected a token for control, as the file of the recording {each.name} says "
                "whose values were shown as feedback, but found one that may only view. Use the "
                "token for control, or take an export in another format."
            )


recordings_api = APIRouter(prefix="/v1/recordings", tags=["recordings"], responses=PROBLEMS)


# Those that block on the disk are not coroutines: FastAPI gives each a thread.


@recordings_api.get("")
def list_recordings(request: Request, recordings: AllRecordings) -> list[RecordingInfo]:
    """List all recordings, the newest first.

    A token that may only view gets the size of one with feedback for a study in whole MiB.
    """
    return [_blinded(request, each) for each in recordings.all()]


@recordings_api.post("", status_code=201)
def start_recording(
    recordings: AllRecordings,
    sessions: AllSessions,
    people: AllPeople,
    new: NewRecording,
) -> RecordingInfo:
    """Record a session from now on. The file's headers are on the disk when this returns."""
    session = sessions.get(new.session)
    person = new.person or session.subject.person
    if person is not None:
        with suppress(DamagedPerson):  # such a person exists, too
            people.add(person)
    return recordings.start(session, new.name, person, new.notes, new.title)


@recordings_api.get("/{recording}")
def read_recording(
    request: Request, recordings: AllRecordings, recording: RecordingId
) -> RecordingInfo:
    """Return one recording, with the bytes as in the list."""
    return _blinded(request, recordings.get(recording))


def _blinded(request: Request, found: RecordingInfo) -> RecordingInfo:
    """Round the size of a file for tokens that may only view: a sham has a longer log."""
    if not found.feedback or allows(auth_result_of(request), "control"):
        return found
    return replace(found, bytes=-(-found.bytes // SIZES) * SIZES)


@recordings_api.put("/{recording}")
def change_recording(
    recordings: AllRecordings, recording: RecordingId, change: RecordingChange
) -> RecordingInfo:
    """Change a recording's title or notes, also while it is being made. Its file stays as it is."""
    return recordings.change(recording, **change.model_dump(exclude_unset=True))


@recordings_api.post("/{recording}/stop")
def stop_recording(recordings: AllRecordings, recording: RecordingId) -> RecordingInfo:
    """Stop a recording. Its file is complete when this returns."""
    return recordings.stop(recording)


@recordings_api.get("/{recording}/file", response_class=FileResponse)
def download_recording(
    request: Request, recordings: AllRecordings, recording: RecordingId
) -> FileResponse:
    """Download a finished recording (XDF); with feedback for a study, it needs control."""
    file = recordings.file(recording)
    check_unblinding(request, [recordings.get(recording)])
    return FileResponse(file, media_type="application/x-xdf", filename=f"{recording}.xdf")


@recordings_api.get(
    "/{recording}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {each: {} for each in MEDIA_TYPES.values()}}},
)
async def export_recording(
    service: Service,
    recordings: AllRecordings,
    people: AllPeople,
    recording: RecordingId,
    form: Annotated[Format, Query(alias="format")],
    read_lock: ReadLock,
    task: Annotated[
        str,
        Query(pattern="^[A-Za-z0-9]{1,40}$", description="For BIDS: what the person did."),
    ] = "recording",
    authors: Annotated[
        str, Query(max_length=1000, description="For BIDS: names, with commas between them.")
    ] = "",
    mains: Annotated[
        Literal["50", "60"] | None,
        Query(description="For BIDS: frequency of the power line, Hz. Default: not known."),
    ] = None,
) -> StreamingResponse:
    """Download a finished recording in another format. Exports are made one after the other.

    BIDS is a data set in a ZIP archive, with the age and sex that are noted with the person.
    """
    source = await asyncio.to_thread(recordings.file, recording)
    names = tuple(name for each in authors.split(",") if (name := each.strip()))
    async with read_lock:
        if form == "bids":
            noted = await asyncio.to_thread(recordings.get, recording)
            facts = await asyncio.to_thread(_facts_of, people, noted.person)
            facts = replace(
                facts,
                name=noted.shown,
                authors=names,
                mains=float(mains) if mains else None,
                title=noted.title,
                notes=noted.notes,
                hed=noted.hed,
            )
            facts = with_meanings(facts, service.settings.markers)
            file = await asyncio.to_thread(exported_bids, source, noted.person, task, facts)
            return Download(file, f"{recording}-bids.zip", MEDIA_TYPES[form])
        file = await asyncio.to_thread(exported, source, form)
    return Download(file, f"{recording}.{form}", MEDIA_TYPES[form])


@recordings_api.get("/{recording}/summary")
async def summarise_recording(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock
) -> ReportSummary:
    """Return the figures of the report on a finished recording, without its pictures."""
    source = await asyncio.to_thread(recordings.file, recording)
    async with read_lock:
        return await asyncio.to_thread(summarise_report, source)


@recordings_api.get(
    "/{recording}/report",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {}}}},
)
async def report_recording(
    recordings: AllRecordings,
    recording: RecordingId,
    read_lock: ReadLock,
    other: Annotated[
        str | None,
        Query(
            alias="with",
            pattern=f"^{NAME}$",
            description="Name of a recording to compare it with, on one axis of time.",
        ),
    ] = None,
    view: Annotated[
        bool, Query(description="Show it in the browser. Default: it is a download.")
    ] = False,
) -> HTMLResponse:
    """Return a report on a finished recording: one HTML file with pictures, without scripts."""
    from mimamba.service.recording_contents.report_page import make_report  # loads pyxdf

    source = await asyncio.to_thread(recordings.file, recording)
    compared = await asyncio.to_thread(recordings.file, other) if other else None
    async with read_lock:
        text = await asyncio.to_thread(make_report, source, compared)
    named = f"{recording}-{other}" if other else recording
    name = f'{"inline" if view else "attachment"}; filename="{named}-report.html"'
    headers = {"Content-Disposition": name, "Content-Security-Policy": REPORT_POLICY}
    return HTMLResponse(text, headers=headers)


@recordings_api.get("/{recording}/markers")
async def list_markers(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock
) -> list[MarkerView]:
    """List the markers of a finished recording by position, with what was edited afterwards."""
    return await _edit_markers(recordings, recording, read_lock, MarkerEditor.all)


@recordings_api.post("/{recording}/markers", status_code=201)
async def add_marker(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock, new: AddedMarker
) -> MarkerView:
    """Add a marker to a finished recording. Its file stays as it is: edits are kept beside it."""
    return await _edit_markers(
        recordings, recording, read_lock, lambda editor: editor.add(new.position, new.label)
    )


@recordings_api.put("/{recording}/markers/{marker}")
async def change_marker(
    recordings: AllRecordings,
    recording: RecordingId,
    read_lock: ReadLock,
    marker: MarkerId,
    change: MarkerChange,
) -> MarkerView:
    """Change the label or the position of a marker."""
    return await _edit_markers(
        recordings,
        recording,
        read_lock,
        lambda editor: editor.change(marker, change.position, change.label),
    )


@recordings_api.delete("/{recording}/markers/{marker}")
async def delete_marker(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock, marker: MarkerId
) -> MarkerView:
    """Delete a marker. It is listed as deleted, and can be restored."""
    return await _edit_markers(
        recordings, recording, read_lock, lambda editor: editor.delete(marker)
    )


@recordings_api.post("/{recording}/markers/{marker}/restore")
async def restore_marker(
    recordings: AllRecordings, recording: RecordingId, read_lock: ReadLock, marker: MarkerId
) -> MarkerView:
    """Take back the edits of a recorded marker, or the deletion of an added one."""
    return await _edit_markers(
        recordings, recording, read_lock, lambda editor: editor.restore(marker)
    )


async def _edit_markers(
    recordings: Recordings,
    recording: str,
    read_lock: asyncio.Lock,
    work: Callable[[MarkerEditor], Answer],
) -> Answer:
    """Do some work with the markers of a recording; one recording is read at a time."""
    source = await asyncio.to_thread(recordings.file, recording)
    async with read_lock:
        return await asyncio.to_thread(lambda: work(MarkerEditor(source)))


@recordings_api.delete("/{recording}", status_code=204)
def delete_recording(
    recordings: AllRecordings,
    recording: RecordingId,
    confirm: Annotated[str, Query(description="The recording's name again, as confirmation.")],
) -> None:
    """Delete a recording permanently."""
    recordings.delete(recording, confirm)


class Download(StreamingResponse):
    """An open file as a download; closes it afterwards, also if the client disconnects."""

    def __init__(self, file: BinaryIO, name: str, media_type: str) -> None:
        headers = {
            "Content-Length": str(os.fstat(file.fileno()).st_size),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        super().__init__(_parts(file), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._file:
            await super().__call__(scope, receive, send)


def exported(source: Path, form: Format) -> BinaryIO:
    """Export a recording to an open file without a name; closing it deletes it.

    Raises
    ------
    BadRecording
        If the recording cannot be read.
    CannotWrite
        If the format cannot represent it, or the library that writes it is not installed.
    CannotRecord
        If the file cannot be written to the disk.
    """
    with _export_errors(), TemporaryDirectory(prefix="mimamba-export-") as folder:
        path, _ = export(read_file(source), f"{folder}/{source.stem}.{form}")
        return path.open("rb")


def _facts_of(people: People, person: str | None) -> BIDSFacts:
    """Return what is noted with a person; nothing without a readable file."""
    if person is None:
        return BIDSFacts()
    try:
        noted = people.get(person)
    except (NoPerson, DamagedPerson, PersonRefused):
        return BIDSFacts()
    return BIDSFacts(noted.age, noted.sex)


def exported_bids(source: Path, person: str | None, task: str, facts: BIDSFacts) -> BinaryIO:
    """Export a recording as a BIDS data set in a ZIP archive; raises as ``exported``.

    Its predictions are a derivative in the same archive.
    """
    from mimamba.drivers.formats.bids_writer import parse_bids_target  # loads MNE
    from mimamba.service.recording_contents.bids_derivatives import write_derivatives

    subject = re.sub("[^A-Za-z0-9]", "", person or "") or "01"
    with _export_errors(), ExitStack() as undo:
        file = undo.enter_context(TemporaryFile(prefix="mimamba-export-"))
        with TemporaryDirectory(prefix="mimamba-export-") as folder:
            target = f"bids:{folder}/{source.stem}?subject={subject}&task={task}"
            read, streams = read_with_streams(source)
            export(read, target, facts=facts)
            write_derivatives(streams, parse_bids_target(target))
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for each in sorted(Path(folder).rglob("*")):
                    if each.is_file():
                        archive.write(each, each.relative_to(folder))
        file.flush()
        file.seek(0)
        undo.pop_all()  # the download closes it
        return file


@contextmanager
def _export_errors() -> Iterator[None]:
    """Raise what hinders an export as ``exported`` says."""
    try:
        yield
    except LibraryMissing as error:
        raise CannotWrite(error.expected, error.found, error.remedy) from error
    except CannotWrite as error:
        if isinstance(error.__cause__, OSError):
            raise no_space(error.__cause__) from error
        raise
    except OSError as error:
        raise no_space(error) from error


def no_space(error: OSError) -> CannotRecord:
    """Return the error for a temporary folder that cannot be written to."""
    return CannotRecord(
        f"Cannot write the export to a temporary folder: {error.strerror or error}. "
        "Free some space there, or start the service with TMPDIR set to another folder."
    )


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    while part := await asyncio.to_thread(file.read, PART):
        yield part
