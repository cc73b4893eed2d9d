"""Recordings in one folder: NAME.xdf, and its sidecar NAME.json.

The list of recordings is a scan of the folder; there is no other list. A sidecar is always replaced
as a whole, and no recording is ever overwritten.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import stat
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from mimamba.drivers.errors import BadRecording, UserError
from mimamba.drivers.formats.marker_edits import edits_file
from mimamba.service.recordings.recorder import Recorder, RecordingEnd, speed_of
from mimamba.service.recordings.recovery import is_being_written, recover_recording
from mimamba.service.recordings.sidecar import (
    RecordingInfo,
    Sidecar,
    Sidecars,
    load_sidecar,
    save_sidecar,
)
from mimamba.service.storage.folders import CannotRecord, cannot_record, check_writable
from mimamba.service.storage.private_files import NAME, delete_file
from mimamba.service.storage.recorded_times import forget_times
from mimamba.service.storage.titles import clean_notes, clean_title, derive_name, free_names

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

CHECK_AGAIN = 10.0
"""Seconds for which the result of a check of the folder is used: each check writes to it."""


class NoRecording(UserError, LookupError):
    """No recording has this name."""


class RecordingTaken(ValueError):
    """The name is taken, or the session is recorded already."""


class NameTaken(RecordingTaken):
    """Another recording has this name."""


class RecordingRefused(UserError, ValueError):
    """The request is not possible with this session or recording."""


class Recordings:
    """Recordings of one folder, and those in progress. Calls block on the disk.

    Parameters
    ----------
    folder
        Created with the first recording, readable by its owner only.
    check_again
        Time for which the result of a check of the folder is used, s.
    """

    def __init__(self, folder: Path, check_again: float = CHECK_AGAIN) -> None:
        self._folder = folder
        self._check_again = check_again
        self._running: dict[str, tuple[Session, Recorder]] = {}
        self._closed = False
        self.endings: Counter[str] = Counter()
        """Number of recordings that ended ``finished``, and of those that ended ``unfinished``."""
        self._changing = threading.Lock()
        self._sidecars = Sidecars(folder)
        self._checked_at = -math.inf
        self._problem: str | None = None

    @property
    def running(self) -> int:
        """Number of recordings in progress."""
        return len(self._running)

    def problem(self) -> str | None:
        """Return the reason why recordings cannot be written; None if they can."""
        if time.monotonic() - self._checked_at >= self._check_again:
            try:
                check_writable(self._folder)
                self._problem = None
            except CannotRecord as error:
                self._problem = str(error)
            self._checked_at = time.monotonic()
        return self._problem

    def start(
        self,
        session: Session,
        name: str | None,
        person: str | None,
        notes: str | None,
        title: str | None = None,
    ) -> RecordingInfo:
        """Record an open session.

        Without a name it is derived from the title; without both it has the session's id and the
        time.

        Raises
        ------
        RecordingTaken
            If the name is taken, or the session is recorded already.
        RecordingRefused
            If the name is not valid, the session is a replay at another speed than 1, or the
            service is shutting down.
        SessionOver, EngineStopped
            If the session is not open.
        CannotRecord
            If it cannot be written to the disk.
        """
        check_speed(session)
        now = datetime.now(UTC)
        title = clean_title(title)
        dated = f"{session.name}-{now:%Y%m%d-%H%M%S}"
        chosen = _checked(name or dated)
        derived = title is not None and not name
        with self._changing:
            if self._closed:
                raise RecordingRefused(
                    "The service is shutting down. Try again when it has restarted."
                )
            self.check_not_recorded(session)
            sidecar = Sidecar(
                name=chosen,
                state="recording",
                session=session.name,
                source=session.info.name if session.info else None,
                person=person,
                notes=clean_notes(notes),
                model=session.active_model.model.name if session.active_model.model else None,
                started=_iso(now),
                title=title,
                feedback=False,
            )
            if derived:
                sidecar, recorder = self._named_recorder(sidecar, session)
            else:
                recorder = self._recorder(sidecar, session)
            self._running[sidecar.name] = (session, recorder)
            recorder.start()
        log.info("recording began", extra={"recording": sidecar.name, "session": session.name})
        return self.get(sidecar.name)

    def change(
        self,
        name: str,
        title: str | UnsetType | None = UNSET,
        notes: str | UnsetType | None = UNSET,
    ) -> RecordingInfo:
        """Change the title or the notes; None removes one. The file stays as it is.

        Raises
        ------
        NoRecording
            If no recording has this name.
        CannotRecord
            If the change cannot be written to the disk, or what is known about the recording
            cannot be read: it would be lost.
        """
        with self._sidecars.changing:  # it is not deleted meanwhile
            self.get(name)
            self._sidecars.change(name, title, notes)
        return self.get(name)

    def note_feedback(self, name: str) -> None:
        """Note that a recording gets the log of feedback for a study; raises as ``change``."""
        with self._sidecars.changing:
            self.get(name)
            self._sidecars.note_feedback(name)

    def note_tags(self, session: Session, label: str, hed: str) -> None:
        """Note the HED annotation of a marker with the recording of a session, if there is one.

        A label keeps the first one. A recording goes on without it where the disk is full.
        """
        name = self.recording_of(session)
        if name is not None:
            self._sidecars.note_tags(name, label, hed)

    def stop(self, name: str, wait: bool = True) -> RecordingInfo:
        """Stop a recording; its file is complete then. One that has ended stays unchanged.

        With ``wait`` it goes on to the sample of this moment, as ``Recorder.stop`` says.

        Raises
        ------
        NoRecording
            If no recording has this name.
        RecordingRefused
            If another process writes it.
        """
        running = self._running.get(_checked(name))
        if running is not None:
            running[1].stop(wait)
        found = self.get(name)
        if found.state == "recording" and name not in self._running:
            raise RecordingRefused(
                f"The recording {name} is written by another service. Stop it there."
            )
        return found

    def all(self) -> list[RecordingInfo]:
        """Return all recordings, the newest first."""
        names = sorted(
            path.stem for path in self._folder.glob("*.xdf") if re.fullmatch(NAME, path.stem)
        )
        found = []
        for name in names:
            with contextlib.suppress(NoRecording):  # deleted meanwhile
                found.append(self.get(name))
        return sorted(found, key=lambda each: each.started or "", reverse=True)

    def get(self, name: str) -> RecordingInfo:
        """Return one recording.

        Raises
        ------
        NoRecording
            If no recording has this name.
        """
        path = self._path(_checked(name))
        try:
            found = path.lstat()
        except OSError:
            found = None
        if found is None or not stat.S_ISREG(found.st_mode):
            raise NoRecording(f"No recording is named {name!r}. Choose another name.")
        sidecar = load_sidecar(path)
        if (
            sidecar.state == "recording"
            and name not in self._running
            and not is_being_written(path)
        ):
            sidecar = replace(sidecar, state="unfinished")
        if sidecar.feedback is None:
            sidecar = replace(sidecar, feedback=self._sidecars.has_feedback(name, found))
        return RecordingInfo(**asdict(sidecar), bytes=found.st_size)

    def file(self, name: str) -> Path:
        """Return the file of a recording that has ended.

        Raises
        ------
        NoRecording
            If no recording has this name.
        RecordingRefused
            If it is still in progress.
        """
        self._check_ended(name)
        return self._path(name)

    def delete(self, name: str, confirm: str) -> None:
        """Delete a recording permanently.

        Raises
        ------
        NoRecording
            If no recording has this name.
        RecordingRefused
            If it is still in progress, or ``confirm`` is not its name.
        """
        self._check_ended(name)
        if confirm != name:
            raise RecordingRefused(
                f"Expected the recording's name as confirmation, but found {confirm!r}. "
                f"Send ?confirm={name}."
            )
        self._delete_files(name)

    def of_person(self, person: str) -> list[str]:
        """Return the names of a person's recordings."""
        return [each.name for each in self.all() if each.person == person]

    def delete_of_person(self, person: str) -> list[str]:
        """Delete a person's recordings permanently, and return their names.

        Deletes none and raises RecordingRefused if one is in progress.
        """
        with self._changing:
            names = self.of_person(person)
            for name in names:
                self._check_ended(name)
            for name in names:
                self.delete(name, name)
            for name in self._left_of(person):
                self._delete_files(name)
        return names

    def _delete_files(self, name: str) -> None:
        """Delete a recording's files; the last one names the person."""
        path = self._path(name)
        with self._sidecars.changing:
            path.unlink(missing_ok=True)
            delete_file(edits_file(path))
            self._sidecars.delete(name)
        forget_times()

    def _left_of(self, person: str) -> list[str]:
        """Return names of a person's recordings of which a crash has left the sidecar alone."""
        found = []
        for sidecar in self._folder.glob("*.json"):
            path = sidecar.with_suffix(".xdf")
            if not path.exists() and load_sidecar(path).person == person:
                found.append(path.stem)
        return found

    def recover(self, but: Collection[str] = ()) -> None:
        """Repair recordings that were cut off, ``but`` some; their sidecars have the result."""
        for each in self.all():
            if each.state == "unfinished" and each.name not in but:
                with contextlib.suppress(BadRecording):  # its sidecar says so
                    recover_recording(self._path(each.name))

    def close(self) -> None:
        """Stop all recordings in progress; no other can start."""
        with self._changing:
            self._closed = True
        for name in list(self._running):
            self.stop(name, wait=False)

    def _named_recorder(self, sidecar: Sidecar, session: Session) -> tuple[Sidecar, Recorder]:
        """Create a recorder with a free name that is derived from the title."""
        stem = derive_name(sidecar.shown, otherwise=sidecar.name)
        for name in free_names(self._folder, stem):
            named = replace(sidecar, name=name)
            with contextlib.suppress(NameTaken):  # by another program, since the folder was read
                return named, self._recorder(named, session)
        raise AssertionError("unreachable")

    def _recorder(self, sidecar: Sidecar, session: Session) -> Recorder:
        """Create a recorder with its file and sidecar."""
        path = self._path(sidecar.name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            recorder = self._make_recorder(path, sidecar, session)
        except FileExistsError:
            raise NameTaken(f"The name {sidecar.name!r} is taken. Choose another.") from None
        except OSError as error:
            raise cannot_record(self._folder, error) from error
        try:
            delete_file(edits_file(path))  # of one with this name that was removed by hand
            save_sidecar(path, sidecar)
        except OSError as error:
            recorder.abandon()
            raise cannot_record(self._folder, error) from error
        return recorder

    def _make_recorder(self, path: Path, sidecar: Sidecar, session: Session) -> Recorder:
        """Create a recorder with its file."""
        return Recorder(path, session, lambda ending: self._ended(sidecar, ending))

    def _ended(self, sidecar: Sidecar, ending: RecordingEnd) -> None:
        """Note the end of a recording; called in the recorder's thread."""
        if ending.elsewhere:
            self._running.pop(sidecar.name, None)
            log.warning("another service goes on", extra={"recording": sidecar.name})
            return
        state: Literal["finished", "unfinished"] = "finished" if ending.whole else "unfinished"
        now = _iso(datetime.now(UTC))
        self._sidecars.note_end(sidecar, state, ending.reason, now, ending.seconds)
        self._running.pop(sidecar.name, None)
        self.endings[state] += 1
        extra = {"recording": sidecar.name, "session": sidecar.session, "reason": ending.reason}
        log.log(
            logging.WARNING if ending.reason else logging.INFO, f"recording {state}", extra=extra
        )

    def check_not_recorded(self, session: Session) -> None:
        """Raise RecordingTaken if a session is being recorded."""
        if (name := self.recording_of(session)) is not None:
            raise RecordingTaken(
                f"The session {session.name} is already recorded to {name}. "
                "Stop that recording first."
            )

    def recording_of(self, session: Session) -> str | None:
        """Return the name of the recording of a session that is in progress here, if any."""
        running = list(self._running.items())
        return next((name for name, (recorded, _) in running if recorded is session), None)

    def has_ended(self, name: str, session: Session) -> bool:
        """Return whether a recording of a session has ended, and does not go on elsewhere."""
        if self.recording_of(session) == name:
            return False
        try:
            return self.get(name).state != "recording"
        except NoRecording:
            return True

    @contextlib.contextmanager
    def without_recording(self, session: Session) -> Iterator[None]:
        """Block recordings of a session meanwhile; raises RecordingTaken if one is in progress."""
        with self._changing:
            self.check_not_recorded(session)
            yield

    def _check_ended(self, name: str) -> None:
        if self.get(name).state == "recording":
            raise RecordingRefused(f"The recording {name} is still in progress. Stop it first.")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.xdf"


def check_speed(session: Session) -> None:
    """Refuse a replay at another speed than 1: its timestamps do not fit its sampling rate.

    Raises
    ------
    RecordingRefused
        If the speed is not 1.
    """
    speed = speed_of(session)
    if speed != 1:
        raise RecordingRefused(
            "Expected a source in real time, but found a replay at "
            f"{'full speed' if speed == math.inf else f'speed {speed:g}'}. Play it at speed 1."
        )


def _checked(name: str) -> str:
    """Return a valid name; raise RecordingRefused otherwise."""
    if not re.fullmatch(NAME, name):
        raise RecordingRefused(
            f"Expected a name of letters, digits, '-', '_' and '.', but found {name!r}. "
            "Choose another."
        )
    return name


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
