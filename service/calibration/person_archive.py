"""Archive of all that is stored about a person: recordings, heads, sittings, ratings, notes.

It is a ZIP file with the files as they are, in the order of their names and without the time at
which it was made. So equal files give an equal archive.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from mimamba.drivers.formats.marker_edits import edits_file
from mimamba.service.people.people import NoPerson, People
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.storage.private_files import is_regular

CONTENTS = "contents.json"
"""Name of the list of all files in the archive."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the archive: the earliest that ZIP knows."""
PART = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True)
class ArchivedFile:
    """A file in an archive; ``name`` is its path there."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ArchiveContents:
    """Content of an archive, as its list says."""

    person: str
    recordings: tuple[str, ...]
    files: tuple[ArchivedFile, ...]


class PersonArchives:
    """Writer of archives. Calls block on the disk.

    Parameters
    ----------
    people, recordings
        Of the same folder.
    """

    def __init__(self, people: People, recordings: Recordings) -> None:
        self._people, self._recordings = people, recordings

    def write(self, person: str, file: BinaryIO) -> ArchiveContents:
        """Write the archive of a person to an open file.

        Raises
        ------
        NoPerson, PersonRefused
            If there is no such person.
        RecordingRefused
            If one of their recordings is still in progress.
        OSError
            If a file cannot be read or written.
        """
        recordings = self._recordings.of_person(person)
        own = self._people.file_of(person)
        if not is_regular(own) and not recordings:
            raise NoPerson(f"No person is named {person!r}. Choose another name.")
        found = sorted(self._files(person, own, recordings), key=lambda each: each[0])
        written = []
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in found:
                written.append(_add(archive, f"{person}/{name}", path))
            contents = ArchiveContents(person, tuple(sorted(recordings)), tuple(written))
            text = msgspec.json.format(msgspec.json.encode(contents))
            archive.writestr(_entry(f"{person}/{CONTENTS}"), text)
        return contents

    def _files(self, person: str, own: Path, recordings: list[str]) -> Iterator[tuple[str, Path]]:
        """Yield the files with their names in the archive, without those that a crash left."""
        if is_regular(own):
            yield "person.json", own
        for recording in recordings:
            path = self._recordings.file(recording)
            for each in (path, path.with_suffix(".json"), edits_file(path)):
                if is_regular(each):
                    yield f"recordings/{each.name}", each
        for each in (self._people.calibrations_folder / person).glob("*"):
            if is_regular(each) and each.suffix != ".partial":
                yield f"calibrations/{each.name}", each


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> ArchivedFile:
    """Add a file; what is appended to it meanwhile is left out."""
    digest = hashlib.sha256()
    size = left = path.stat().st_size
    with path.open("rb") as source, archive.open(_entry(name), "w", force_zip64=True) as target:
        while left and (part := source.read(min(PART, left))):
            digest.update(part)
            target.write(part)
            left -= len(part)
    return ArchivedFile(name, size - left, digest.hexdigest())


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the entry of a file that only its owner can read."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whose permissions follow, on every system
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    return entry
