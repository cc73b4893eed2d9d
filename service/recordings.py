"""The recordings in one folder: NAME.xdf, and NAME.json beside it with what people say of it.

The list of recordings is a scan of the folder; no other list is kept. A NAME.json is only ever
replaced as a whole, and no recording is ever overwritten.
"""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path

from drivers.base import BadRecording
from drivers.source import parse_source
from service.card import Card, delete_card, load_card, save_card
from service.recorder import Ending, Recorder
from service.recover import BeingWritten, is_being_written, recover
from service.session import Session

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?"
"""A recording's name: a file's name on every system, without a folder."""


class NoRecording(LookupError):
    """No recording has this name."""


class RecordingTaken(ValueError):
    """The name is taken, or the session is recorded already."""


class RecordingRefused(ValueError):
    """What was asked cannot be done with this session or recording."""


@dataclass(frozen=True)
class Listed:
    """A recording as it is listed: its card, and its file's size."""

    card: Card
    bytes: int


class Recordings:
    """The recordings of one folder, and those that are being made. Its calls block on the disk.

    Parameters
    ----------
    folder
        Made when the first recording is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, tuple[Session, Recorder]] = {}
        self._changing = threading.Lock()

    def start(
        self, session: Session, name: str | None, person: str | None, notes: str | None
    ) -> Listed:
        """Begin to record an open session, under this name or one made of its id and the time.

        Raises
        ------
        RecordingTaken
            If the name is taken, or the session is recorded already.
        RecordingRefused
            If the name is none, or the session is a replay at another speed than 1.
        SessionOver, EngineStopped
            If the session is not open.
        OSError
            If the disk does not take it.
        """
        check_speed(session.url)
        now = datetime.now(UTC)
        name = _checked(name or f"{session.name}-{now:%Y%m%d-%H%M%S}")
        with self._changing:
            self._check_free(session)
            self._folder.mkdir(parents=True, exist_ok=True)
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
        return self.get(name)

    def stop(self, name: str) -> Listed:
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

    def all(self) -> list[Listed]:
        """All recordings, the newest first."""
        names = sorted(
            path.stem for path in self._folder.glob("*.xdf") if re.fullmatch(NAME, path.stem)
        )
        listed = [self.get(name) for name in names]
        return sorted(listed, key=lambda each: each.card.started or "", reverse=True)

    def get(self, name: str) -> Listed:
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
            raise NoRecording(f"wanted a recording; found none named {name!r}") from None
        card = load_card(path)
        if card.state == "recording" and name not in self._running and not is_being_written(path):
            card = replace(card, state="unfinished")
        return Listed(card, size)

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
                f"wanted the recording's name as confirmation; found {confirm!r}; "
                f"ask with ?confirm={name}"
            )
        self._path(name).unlink()
        delete_card(self._path(name))

    def recover(self) -> list[Card]:
        """Make recordings whole that were cut off; returns what became of each."""
        return [
            self.recover_one(each.card) for each in self.all() if each.card.state == "unfinished"
        ]

    def recover_one(self, card: Card) -> Card:
        """Make a recording whole, and say on its card what became of it."""
        try:
            done = recover(self._path(card.name))
        except BeingWritten:
            return card
        except BadRecording as error:
            card = replace(card, state="damaged", reason=str(error))
        else:
            cut = f"it was cut off; {done.cut} bytes of its end are lost"
            card = replace(
                card,
                state="finished" if done.whole else "recovered",
                reason=card.reason if done.whole else cut,
            )
        self._try_to_save(card)
        return card

    def close(self) -> None:
        """End all recordings that are being made."""
        for name in list(self._running):
            self.stop(name)

    def _recorder(self, card: Card, session: Session) -> Recorder:
        """A recorder whose file and card are there."""
        path = self._path(card.name)
        try:
            recorder = Recorder(path, session, lambda ending: self._ended(card, ending))
        except FileExistsError:
            raise RecordingTaken(
                f"wanted a new name; found that {card.name!r} is taken; choose another"
            ) from None
        try:
            save_card(path, card)
        except OSError:
            recorder.abandon()
            raise
        return recorder

    def _ended(self, card: Card, ending: Ending) -> None:
        """From the recorder's thread."""
        state: Literal["finished", "unfinished"] = "finished" if ending.whole else "unfinished"
        ended = replace(card, state=state, reason=ending.reason, ended=_iso(datetime.now(UTC)))
        self._try_to_save(ended)
        self._running.pop(card.name, None)

    def _try_to_save(self, card: Card) -> None:
        # Where the disk is full or may not be written, the old card stays: it says "recording",
        # which every scan corrects.
        with contextlib.suppress(OSError):
            save_card(self._path(card.name), card)

    def _check_free(self, session: Session) -> None:
        for name, (recorded, _) in list(self._running.items()):
            if recorded is session:
                raise RecordingTaken(
                    f"wanted a session that is not recorded; found that {session.name} goes to "
                    f"{name}; stop that first"
                )

    def _check_ended(self, name: str) -> None:
        if self.get(name).card.state == "recording":
            raise RecordingRefused(
                f"wanted a recording that has ended; found that {name} is being made; stop it first"
            )

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.xdf"


def default_folder() -> Path:
    """Where recordings lie unless a person says otherwise."""
    return user_data_path("mimamba", appauthor=False) / "recordings"


def check_speed(url: str) -> None:
    """Refuse a replay at another speed than 1: its stamps would not be a second's apart.

    Raises
    ------
    RecordingRefused
        For such a replay.
    """
    source = parse_source(url)
    speed = source.text("speed") or "1"
    if source.scheme == "replay" and (speed == "max" or float(speed) != 1):
        raise RecordingRefused(
            f"wanted a source that goes at its own pace; found a replay at speed {speed}, "
            "whose timestamps do not fit its rate; play it at speed 1"
        )


def _checked(name: str) -> str:
    """A name that is one; raises RecordingRefused."""
    if not re.fullmatch(NAME, name):
        raise RecordingRefused(
            f"wanted a name of letters, digits, '-', '_' and '.'; found {name!r}; choose another"
        )
    return name


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
