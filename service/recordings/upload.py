"""Recordings that come by upload: one file each, read apart from the service, then kept as XDF.

A file of a stranger is never read in the service's own process: ``uploadcheck.py`` does, within
limits. An XDF is kept as it came; of any other format the signal and its markers are.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from errno import ENOSPC
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import BinaryIO

import msgspec

from mimamba.drivers.errors import BadRecording, Mismatch
from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.runtime.cpu_affinity import use_all_cpus
from mimamba.service.recordings.metadata import Card, delete_card, save_card
from mimamba.service.recordings.upload_check import (
    GIVEN,
    KEPT,
    LONGEST,
    MOST_MEMORY,
    ReadableUpload,
    RefusedUpload,
)
from mimamba.service.storage.folders import LOW_BYTES, cannot_record, free_space

PREFIX = ".upload-"
"""Of the folder in which one upload is received; the list of recordings does not see it."""
LONGEST_STEM = 64
"""Of a recording's name, so that a number finds room behind it."""


class UploadTooLong(Mismatch):
    """More bytes came than an upload may have."""


@dataclass(frozen=True)
class Upload:
    """What comes: the name that the file had, and whose it is."""

    name: str
    person: str | None = None

    @property
    def stem(self) -> str:
        """The name as a recording may have it; all else in it becomes ``-``."""
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", PurePosixPath(self.name).stem)
        return stem.strip("._-")[:LONGEST_STEM].rstrip("._-") or "upload"


class Uploads:
    """Takes uploads into the folder of the recordings; lives on the event loop.

    Parameters
    ----------
    folder
        Of the recordings; made when the first upload comes, for its owner alone.
    most
        Bytes that an upload may have.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._checking = asyncio.Lock()  # each may take much memory

    async def take(self, upload: Upload, parts: AsyncIterator[bytes], length: int | None) -> str:
        """Receive a file, check it and keep it; nothing of it is left where that fails.

        Parameters
        ----------
        upload
            What comes.
        parts
            Its content, as it comes.
        length
            Its bytes, where they were told before.

        Returns
        -------
        str
            The new recording's name.

        Raises
        ------
        UploadTooLong
            If it is longer than it may be.
        BadRecording
            If it cannot be read as a recording, or not within the limits.
        CannotRecord
            If the disk does not take it.
        """
        if length is not None and length > self._most:
            raise self._too_long()
        with _place(self._folder) as place:
            given = place / GIVEN
            given.mkdir()
            file = given / f"{upload.stem}{_suffix(upload.name)}"
            await self._receive(file, parts)
            async with self._checking:
                checked = await check(place, file.name)
            made = place / KEPT
            kept = made if made.exists() else file
            return await asyncio.to_thread(self._keep, upload, kept, checked.seconds)

    def clear(self) -> None:
        """Remove what a service that was killed has left; what another one receives stays."""
        for each in self._folder.glob(f"{PREFIX}*"):
            with suppress(OSError), _locked(each):
                shutil.rmtree(each)

    async def _receive(self, file: Path, parts: AsyncIterator[bytes]) -> None:
        room = self._most
        with file.open("xb") as out:
            async for part in parts:
                room -= len(part)
                if room < 0:
                    raise self._too_long()
                await asyncio.to_thread(self._write, out, part)

    def _write(self, out: BinaryIO, part: bytes) -> None:
        try:
            _check_room(self._folder, len(part))
            out.write(part)
        except OSError as error:
            raise cannot_record(self._folder, error) from error

    def _keep(self, upload: Upload, file: Path, seconds: float) -> str:
        """Move a file to the first free name, with a card."""
        card = Card(
            name=upload.stem,
            state="uploaded",
            source=upload.name,
            person=upload.person,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=seconds,
        )
        try:
            path = self._reserve(upload.stem)
            try:
                save_card(path, replace(card, name=path.stem))
                file.chmod(0o600)
                file.replace(path)
            except OSError:
                path.unlink()
                delete_card(path)
                raise
        except OSError as error:
            raise cannot_record(self._folder, error) from error
        return path.stem

    def _reserve(self, stem: str) -> Path:
        """An empty file of a name that was free: no recording is ever overwritten."""
        for number in count(1):
            path = self._folder / (f"{stem}.xdf" if number == 1 else f"{stem}-{number}.xdf")
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                return path
        raise AssertionError("numbers do not end")

    def _too_long(self) -> UploadTooLong:
        return UploadTooLong(
            f"a file of at most {self._most >> 20} MiB",
            "a longer one",
            "split it, or start the service with a larger --upload-mib",
        )


async def check(place: Path, name: str) -> ReadableUpload:
    """Have a file read by a process of its own, which ends with this call whatever happens.

    Raises
    ------
    BadRecording
        If it cannot be read as a recording, or not within the limits.
    """
    with use_all_cpus():
        process = await asyncio.create_subprocess_exec(
            # -P: a folder here may be called service, too.
            *(
                sys.executable,
                "-P",
                "-m",
                "mimamba.service.recordings.upload_check",
                str(place),
                name,
            ),
            str(MOST_MEMORY),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Threads take address space each.
            env={**child_environment(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        async with asyncio.timeout(LONGEST):
            told, _ = await process.communicate()
        answer = msgspec.json.decode(told, type=ReadableUpload | RefusedUpload)
    except (TimeoutError, msgspec.MsgspecError):
        limits = f"{LONGEST} s and {MOST_MEMORY >> 30} GiB of memory"
        found = f"{name}, which takes more, or breaks its reader"
        raise BadRecording(
            f"a recording that can be read in {limits}", found, "split or convert the file"
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if isinstance(answer, RefusedUpload):
        raise BadRecording(answer.expected, answer.found, answer.remedy)
    return answer


def _check_room(folder: Path, needed: int) -> None:
    """Raises OSError where recordings that are being made need the rest of the disk."""
    if free_space(folder) < LOW_BYTES + needed:
        raise OSError(ENOSPC, f"less than {LOW_BYTES >> 20} MiB of free space")


def _suffix(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]", "", PurePosixPath(name).suffix)[:9]


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    """A folder for one upload, which goes in any case; raises CannotRecord."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = Path(mkdtemp(prefix=PREFIX, dir=folder))
    except OSError as error:
        raise cannot_record(folder, error) from error
    try:
        with _locked(place):
            yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; raises OSError where another process does."""
    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)
