"""The recordings in one folder: NAME.xdf, and NAME.json beside it with what people say of it.

The list of recordings is a scan of the folder; no other list is kept. A NAME.json is only ever
replaced as a whole, and no recording is ever overwritten.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mimamba.drivers.errors import BadRecording, UserError
from mimamba.service.recordings.metadata import (
    Card,
    RecordingInfo,
    delete_card,
    load_card,
    save_card,
    save_if_possible,
)
from mimamba.service.recordings.recorder import Recorder, RecordingEnd, speed_of
from mimamba.service.recordings.recovery import is_being_written, recover_recording
from mimamba.service.sessions.session import Session
from mimamba.service.storage.folders import cannot_record
from mimamba.service.storage.private_files import NAME

log = logging.getLogger(__name__)


class NoRecording(LookupError):
    """No recording has this name."""


class RecordingTaken(ValueError):
    """The name is taken, or the session is recorded already."""


class RecordingRefused(UserError, ValueError):
    """What was asked cannot be done with this session or recording."""


class Recordings:
    """The recordings of one folder, and those that are being made. Its calls block on the disk.

    Parameters
    ----------
    folder
        Made when the first recording is, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, tuple[Session, Recorder]] = {}
        self._closed = False
        self.endings: Counter[str] = Counter()
        """How many ended ``finished``, and how many ``unfinished``."""
        self._changing = threading.Lock()

    @property
    def running(self) -> int:
        """How many are being made."""
        return len(self._running)

    def start(
        self, session: Session, name: str | None, person: str | None, notes: str | None
    ) -> RecordingInfo:
        """Begin to record an open session, under this name or one made of its id and the time.

        Raises
        ------
        RecordingTaken
            If the name is taken, or the session is recorded already.
        RecordingRefused
            If the name is none, the session is a replay at another speed than 1, or the service
            ends.
        SessionOver, EngineStopped
            If the session is not open.
        CannotRecord
            If the disk does not take it.
        """
        check_speed(session)
        now = datetime.now(UTC)
        name = _checked(name or f"{session.name}-{now:%Y%m%d-%H%M%S}")
        with self._changing:
            if self._closed:
                raise RecordingRefused(
                    "Expected a running service, but found that it ends. Start it again."
                )
            self.check_free(session)
            card = Card(
                name=name,
                state="recording",
                session=session.name,
                source=session.info.name if session.info else None,
                person=person,
                notes=notes,
                model=session.checkpoint.name if session.checkpoint else None,
                started=_iso(now),
            )
            recorder = self._recorder(card, session)
            self._running[name] = (session, recorder)
            recorder.start()
        log.info("recording began", extra={"recording": name, "session": session.name})
        return self.get(name)

    def stop(self, name: str) -> RecordingInfo:
        """End a recording; its file is whole then. One that has ended stays as it is.

        Raises
        ------
        NoRecording
            If there is none of this name.
        """
        running = self._running.get(_checked(name))
        if running is not None:
            running[1].stop()
        return self.get(name)

    def all(self) -> list[RecordingInfo]:
        """All recordings, the newest first."""
        names = sorted(
            path.stem for path in self._folder.glob("*.xdf") if re.fullmatch(NAME, path.stem)
        )
        listed = []
        for name in names:
            with contextlib.suppress(NoRecording):  # deleted meanwhile
                listed.append(self.get(name))
        return sorted(listed, key=lambda each: each.started or "", reverse=True)

    def get(self, name: str) -> RecordingInfo:
        """One recording.

        Raises
        ------
        NoRecording
            If there is none of this name.
        """
        path = self._path(_checked(name))
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise NoRecording(f"Expected a recording, but found none named {name!r}.") from None
        card = load_card(path)
        if card.state == "recording" and name not in self._running and not is_being_written(path):
            card = replace(card, state="unfinished")
        return RecordingInfo(**asdict(card), bytes=size)

    def file(self, name: str) -> Path:
        """The file of a recording that has ended.

        Raises
        ------
        NoRecording
            If there is none of this name.
        RecordingRefused
            If it is still being made.
        """
        self._check_ended(name)
        return self._path(name)

    def delete(self, name: str, confirm: str) -> None:
        """Delete a recording for good.

        Raises
        ------
        NoRecording
            If there is none of this name.
        RecordingRefused
            If it is still being made, or ``confirm`` is not its name.
        """
        self._check_ended(name)
        if confirm != name:
            raise RecordingRefused(
                f"Expected the recording's name as confirmation, but found {confirm!r}. "
                f"Ask with ?confirm={name}."
            )
        self._path(name).unlink()
        delete_card(self._path(name))

    def of(self, person: str) -> list[str]:
        """The names of a person's recordings."""
        return [each.name for each in self.all() if each.person == person]

    def delete_of(self, person: str) -> list[str]:
        """Delete a person's recordings for good, or none where one is being made.

        Raises RecordingRefused then; answers their names.
        """
        with self._changing:
            theirs = self.of(person)
            for name in theirs:
                self._check_ended(name)
            for name in theirs:
                self.delete(name, name)
        return theirs

    def recover(self) -> None:
        """Make recordings whole that were cut off; their cards say what became of them."""
        for each in self.all():
            if each.state == "unfinished":
                with contextlib.suppress(BadRecording):  # its card says so
                    recover_recording(self._path(each.name))

    def close(self) -> None:
        """End all recordings that are being made; no other is begun."""
        with self._changing:
            self._closed = True
        for name in list(self._running):
            self.stop(name)

    def _recorder(self, card: Card, session: Session) -> Recorder:
        """A recorder whose file and card are there."""
        path = self._path(card.name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            recorder = Recorder(path, session, lambda ending: self._ended(card, ending))
        except FileExistsError:
            raise RecordingTaken(
                f"Expected a new name, but found that {card.name!r} is taken. Choose another."
            ) from None
        except OSError as error:
            raise cannot_record(self._folder, error) from error
        try:
            save_card(path, card)
        except OSError as error:
            recorder.abandon()
            raise cannot_record(self._folder, error) from error
        return recorder

    def _ended(self, card: Card, ending: RecordingEnd) -> None:
        """From the recorder's thread."""
        state: Literal["finished", "unfinished"] = "finished" if ending.whole else "unfinished"
        ended = replace(card, state=state, reason=ending.reason, ended=_iso(datetime.now(UTC)))
        save_if_possible(self._path(card.name), ended)
        self._running.pop(card.name, None)
        self.endings[state] += 1
        told = {"recording": card.name, "session": card.session, "reason": ending.reason}
        log.log(
            logging.WARNING if ending.reason else logging.INFO, f"recording {state}", extra=told
        )

    def check_free(self, session: Session) -> None:
        """Raises RecordingTaken if a session is being recorded."""
        for name, (recorded, _) in list(self._running.items()):
            if recorded is session:
                raise RecordingTaken(
                    f"Expected a session that is not recorded, but found that "
                    f"{session.name} goes to {name}. Stop that first."
                )

    @contextlib.contextmanager
    def held_off(self, session: Session) -> Iterator[None]:
        """Let no recording of a session begin meanwhile; raises RecordingTaken if one runs."""
        with self._changing:
            self.check_free(session)
            yield

    def _check_ended(self, name: str) -> None:
        if self.get(name).state == "recording":
            raise RecordingRefused(
                f"Expected a recording that has ended, but found that {name} is being made. "
                "Stop it first."
            )

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.xdf"


def check_speed(session: Session) -> None:
    """Refuse a replay at another speed than 1: its stamps would not be a second's apart.

    Raises
    ------
    RecordingRefused
        For such a replay.
    """
    speed = speed_of(session)
    if speed != 1:
        raise RecordingRefused(
            "Expected a source that goes at its own pace, but found a replay at "
            f"{'full speed' if speed == math.inf else f'speed {speed:g}'}, "
            "whose timestamps do not fit its rate. Play it at speed 1."
        )


def _checked(name: str) -> str:
    """A name that is one; raises RecordingRefused."""
    if not re.fullmatch(NAME, name):
        raise RecordingRefused(
            f"Expected a name of letters, digits, '-', '_' and '.', but found {name!r}. "
            "Choose another."
        )
    return name


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
