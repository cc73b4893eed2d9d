"""The protocols that can be run: those of a folder, which people edit, and those shipped."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mimamba.drivers.errors import UserError
from mimamba.service.storage.checked_toml import read_toml
from mimamba.service.storage.private_files import NAME, delete_file, replace_file
from mimamba.service.studies.protocol_file import (
    BadStudy,
    NoStudy,
    StudyMistake,
    StudyProtocol,
    find_mistakes,
    make_study,
    parse_study,
    parse_table,
)
from mimamba.service.studies.study_writer import write_study

SHIPPED: Final = Path(__file__).parent / "shipped"
"""Folder of the protocols that come with the program."""
MOST_STUDIES = 500
"""Protocols of the folder; each is read for the list."""
ANY_VERSION = "*"
"""Version of those who replace or delete a protocol in any case."""


class StudyRefused(UserError, ValueError):
    """The protocol is shipped, or there are too many."""


class StudyChanged(UserError, ValueError):
    """The protocol is not the one that was read before, or its name is taken."""


class StudyMistakes(UserError, ValueError):
    """A protocol has mistakes; ``mistakes`` has them all."""

    def __init__(self, mistakes: list[StudyMistake]) -> None:
        more = len(mistakes) - 1
        others = "" if not more else f" There {'is' if more == 1 else 'are'} {more} more."
        super().__init__(mistakes[0].problem + others)
        self.mistakes = mistakes


class CannotKeepStudy(RuntimeError):
    """The disk is full, or the folder is not writable."""


@dataclass(frozen=True)
class StudyNote:
    """A protocol in a list; with a ``problem`` the facts about its content say nothing.

    ``seconds`` counts ten for each step that waits for an answer. A ``shipped`` one comes with the
    program, and is only read. ``version`` names this content.
    """

    name: str
    title: str = ""
    description: str = ""
    steps: int = 0
    seconds: float = 0.0
    record: bool = False
    wait_for_contact: bool = False
    problem: str | None = None
    shipped: bool = False
    version: str = ""


@dataclass(frozen=True)
class StudyFile:
    """A protocol's file as it is now."""

    path: Path
    content: bytes
    shipped: bool

    @property
    def version(self) -> str:
        """Name of this content."""
        return sha256(self.content).hexdigest()[:16]

    def table(self) -> dict[str, Any]:
        """Return the protocol as a table, which has no mistake; raises BadStudy."""
        table = parse_table(self.content, self.path)
        make_study(table, self.path)
        return table


class StudyFolder:
    """The protocols; they are read each time, as people edit them. Calls block on the disk.

    Errors do not name the folder: they are shown to people who are not to know it.

    Parameters
    ----------
    folder
        It need not exist; it is made with the first protocol. One of its protocols hides a shipped
        one of the same name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()

    def all(self) -> list[StudyNote]:
        """List the protocols by name, those with a mistake included; the shipped ones last."""
        own = sorted(self._folder.glob("*.toml"))
        names = {path.stem for path in own}
        shipped = [path for path in sorted(SHIPPED.glob("*.toml")) if path.stem not in names]
        return [*_notes(own, False), *_notes(shipped, True)]

    def get(self, name: str) -> StudyProtocol:
        """Return a protocol; raises NoStudy, and BadStudy."""
        file = self.file(name)
        return parse_study(file.content, file.path)

    def file(self, name: str) -> StudyFile:
        """Return the file of a protocol, also of one with a mistake.

        Raises
        ------
        NoStudy
            If there is none.
        BadStudy
            If it cannot be read.
        """
        if re.fullmatch(NAME, name):
            for folder in (self._folder, SHIPPED):
                path = folder / f"{name}.toml"
                if path.is_file():
                    content = read_toml(path, "a protocol", BadStudy, path.name)
                    return StudyFile(path, content, folder is SHIPPED)
        raise NoStudy(f"No study is named {name!r}. Choose another.")

    def save_table(self, name: str, table: Mapping[str, Any], version: str | None) -> StudyFile:
        """Save a protocol that a program has as a table; see ``save``.

        Raises
        ------
        StudyMistakes
            If it has mistakes.
        """
        mistakes = find_mistakes(table, f"{name}.toml")
        if mistakes:
            raise StudyMistakes(mistakes)
        return self.save(name, write_study(table).encode(), version)

    def save(self, name: str, content: bytes, version: str | None) -> StudyFile:
        """Save a protocol's file.

        Parameters
        ----------
        name
            Its name, which ``NAME`` describes.
        content
            TOML, kept as it is, comments included.
        version
            Of the content that it replaces; None for a new protocol.

        Raises
        ------
        BadStudy
            If it has a mistake, or is too long.
        StudyChanged
            If the content that it would replace has another version, or the name is taken.
        StudyRefused
            If a shipped protocol has this name, or there are too many.
        CannotKeepStudy
            If it cannot be written to the disk.
        """
        path = self._folder / f"{name}.toml"
        parse_study(content, path)
        with self._changing:
            self._check_version(name, version)
            if version is None and len(list(self._folder.glob("*.toml"))) >= MOST_STUDIES:
                raise StudyRefused(
                    f"Expected up to {MOST_STUDIES} studies, but found as many already. "
                    "Delete one first."
                )
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(path, content)
            except OSError as error:
                raise _cannot_keep(error) from error
        return StudyFile(path, content, False)

    def delete(self, name: str, version: str) -> None:
        """Delete a protocol's file permanently; raises NoStudy, and as ``save``."""
        with self._changing:
            self._check_version(name, version)
            try:
                delete_file(self._folder / f"{name}.toml")
            except OSError as error:
                raise _cannot_keep(error) from error

    def _check_version(self, name: str, version: str | None) -> None:
        """Compare the version that somebody has with that of the file; None for no file."""
        try:
            found = self.file(name)
        except NoStudy:
            if version is None:
                return
            raise
        if found.shipped:
            raise StudyRefused(
                f"The study {name} comes with the program, and can only be read. "
                "Copy it under another name."
            )
        if version is None:
            raise StudyChanged(f"The name {name!r} is taken by another study. Choose another.")
        if version not in (ANY_VERSION, found.version):
            raise StudyChanged(
                f"The study {name} was changed by somebody else since you opened it. "
                "Open it again, or save yours under another name."
            )


def _notes(paths: list[Path], shipped: bool) -> Iterator[StudyNote]:
    for path in paths:
        note = StudyNote(path.stem, shipped=shipped)
        try:
            content = read_toml(path, "a protocol", BadStudy, path.name)
            note = replace(note, version=StudyFile(path, content, shipped).version)
            found = parse_study(content, path)
        except BadStudy as error:
            yield replace(note, problem=str(error))
            continue
        yield replace(
            note,
            title=found.title,
            description=found.description,
            steps=len(found.steps),
            seconds=found.planned,
            record=found.record,
            wait_for_contact=found.wait_for_contact,
        )


def _cannot_keep(error: OSError) -> CannotKeepStudy:
    return CannotKeepStudy(
        f"Cannot write to the service's folder of studies: {error.strerror or 'unknown error'}. "
        "Free some space there, or correct its permissions."
    )
