"""Uploads: a file is read by a separate process, then stored as an XDF recording.

The service itself never reads a file from elsewhere: ``upload_check.py`` does, within limits. An
XDF file is stored unchanged; of any other format the signal and its markers.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from errno import ELOOP, ENOSPC
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import BinaryIO

import msgspec

from mimamba.drivers.errors import BadRecording, Mismatch
from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.runtime.cpu_affinity import use_all_cpus
from mimamba.drivers.runtime.file_locks import NO_LINK, create_private, lock_file
from mimamba.service.recordings.file_facts import has_feedback_log
from mimamba.service.recordings.sidecar import Sidecar, delete_sidecar, save_sidecar
from mimamba.service.recordings.upload_check import (
    CONVERTED,
    GIVEN,
    MAX_MEMORY,
    MAX_SECONDS,
    ReadableUpload,
    RefusedUpload,
)
from mimamba.service.storage.folders import LOW_BYTES, cannot_record, free_space
from mimamba.service.storage.titles import clean_title, derive_name, free_names

ANSWERS = msgspec.json.Decoder(ReadableUpload | RefusedUpload)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""
PREFIX = ".upload-"
"""Of the folder that receives one upload; the list of recordings ignores it."""
LOCK = "lock"
"""Name of the file by which that folder is locked."""


class UploadTooLong(Mismatch):
    """The upload is longer than allowed."""


@dataclass(frozen=True)
class Upload:
    """Name of the uploaded file, and the recorded person's pseudonym."""

    name: str
    person: str | None = None

    @property
    def stem(self) -> str:
        """The name in the form of a recording's name."""
        return derive_name(PurePosixPath(self.name).stem, otherwise="upload")

    @property
    def title(self) -> str | None:
        """The name as a title; None if it says no more than the recording's name."""
        title = clean_title(PurePosixPath(self.name).stem)
        return None if title == self.stem else title


class Uploads:
    """Receives uploads into the folder of recordings; runs on the event loop.

    Parameters
    ----------
    folder
        Of the recordings; created with the first upload, readable by its owner only.
    max_bytes
        Of an upload.
    check_seconds, check_memory
        Limits of the process that reads it: seconds, and bytes of address space.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        check_seconds: float = MAX_SECONDS,
        check_memory: int = MAX_MEMORY,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._check_seconds = check_seconds
        self._check_memory = check_memory
        self._checking = asyncio.Lock()  # each may need much memory

    async def receive(self, upload: Upload, parts: AsyncIterator[bytes], length: int | None) -> str:
        """Receive a file, check it and store it; leaves nothing behind if that fails.

        Parameters
        ----------
        upload
            Its name and person.
        parts
            Its content.
        length
            Its bytes, if known.

        Returns
        -------
        str
            The new recording's name.

        Raises
        ------
        UploadTooLong
            If it is longer than allowed.
        BadRecording
            If it cannot be read as a recording, or not within the limits.
        CannotRecord
            If it cannot be written to the disk.
        """
        if length is not None and length > self._max_bytes:
            raise self._too_long()
        with _upload_folder(self._folder) as folder:
            given = folder / GIVEN
            given.mkdir()
            file = given / f"{upload.stem}{_suffix(upload.name)}"
            await self._receive(file, parts)
            async with self._checking:
                checked = await check(folder, file.name, self._check_seconds, self._check_memory)
            converted = folder / CONVERTED
            stored = converted if converted.exists() else file
            return await asyncio.to_thread(self._store, upload, stored, checked)

    def clear(self) -> None:
        """Delete uploads that a killed service has left, not those that another one receives."""
        for each in self._folder.glob(f"{PREFIX}*"):
            with suppress(OSError):
                with _locked(each):  # nobody else will lock it: each upload has a new folder
                    pass
                shutil.rmtree(each)

    async def _receive(self, file: Path, parts: AsyncIterator[bytes]) -> None:
        left = self._max_bytes
        with file.open("xb") as out:
            async for part in parts:
                left -= len(part)
                if left < 0:
                    raise self._too_long()
                await asyncio.to_thread(self._write, out, part)

    def _write(self, out: BinaryIO, part: bytes) -> None:
        try:
            _check_space(self._folder, len(part))
            out.write(part)
        except OSError as error:
            raise cannot_record(self._folder, error) from error

    def _store(self, upload: Upload, file: Path, checked: ReadableUpload) -> str:
        """Move a file to the first free name, with a sidecar."""
        sidecar = Sidecar(
            name=upload.stem,
            state="uploaded",
            source=upload.name,
            person=upload.person,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=checked.seconds,
            feedback=has_feedback_log(file),
            title=upload.title,
        )
        try:
            path = self._reserve(upload.stem)
            try:
                save_sidecar(path, replace(sidecar, name=path.stem))
                file.chmod(0o600)
                file.replace(path)
            except OSError:
                path.unlink()
                delete_sidecar(path)
                raise
        except OSError as error:
            raise cannot_record(self._folder, error) from error
        return path.stem

    def _reserve(self, stem: str) -> Path:
        """Create an empty file with a free name: no recording is ever overwritten."""
        for name in free_names(self._folder, stem):
            path = self._folder / f"{name}.xdf"
            with suppress(FileExistsError):
                os.close(create_private(path))
                return path
        raise AssertionError("unreachable")

    def _too_long(self) -> UploadTooLong:
        return UploadTooLong(
            f"a file of at most {self._max_bytes >> 20} MiB",
            "a longer one",
            "split it, or start the service with a larger --upload-mib",
        )


async def check(folder: Path, name: str, seconds: float, memory: int) -> ReadableUpload:
    """Read a file in a separate process, which always ends with this call.

    Raises
    ------
    BadRecording
        If it cannot be read as a recording, or not within the limits.
    """
    with use_all_cpus():
        process = await asyncio.create_subprocess_exec(
            # -P: the working directory may contain a folder named mimamba.
            *(
                sys.executable,
                "-P",
                "-m",
                "mimamba.service.recordings.upload_check",
                str(folder),
                name,
            ),
            str(memory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Each thread needs address space.
            env={**child_environment(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
        answer: ReadableUpload | RefusedUpload = ANSWERS.decode(output)
    except (TimeoutError, msgspec.MsgspecError):
        limits = f"{seconds:g} s and {memory >> 20} MiB of memory"
        found = f"{name}, which needs more or crashes its reader"
        raise BadRecording(
            f"a recording that can be read in {limits}", found, "split or convert the file"
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # until it has ended and its pipe is closed
    if isinstance(answer, RefusedUpload):
        raise BadRecording(answer.expected, answer.found, answer.remedy)
    return answer


def _check_space(folder: Path, needed: int) -> None:
    """Raise OSError if recordings in progress need the rest of the disk."""
    if free_space(folder) < LOW_BYTES + needed:
        raise OSError(ENOSPC, f"less than {LOW_BYTES >> 20} MiB of free space")


def _suffix(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]", "", PurePosixPath(name).suffix)[:9]


@contextmanager
def _upload_folder(folder: Path) -> Iterator[Path]:
    """Create a folder for one upload, and delete it in any case; raises CannotRecord."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=PREFIX, dir=folder))
    except OSError as error:
        raise cannot_record(folder, error) from error
    try:
        with _locked(made):
            yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder by a file in it; raises OSError if another process has locked it."""
    if folder.is_symlink():
        raise OSError(ELOOP, "it is a link", str(folder))
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
    try:
        lock_file(descriptor)
        yield
    finally:
        os.close(descriptor)
