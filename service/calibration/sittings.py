"""Sittings on the disk: what a calibration was made of, beside its person.

Each sitting has a record (JSON) and its signal. The signal is a sequence of frames, each with the
position of its first sample, so a killed service leaves at most a torn frame at the end.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mimamba.drivers.driver import Samples, StreamInfo
from mimamba.drivers.errors import UserError
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.runtime.file_locks import BINARY, NO_LINK, lock_file
from mimamba.models.personal.fit_personal import Attempt, make_attempt
from mimamba.models.personal.head_file import MOMENTS
from mimamba.models.personal.joined_data import (
    KeptMoment,
    MomentsError,
    decode_moments,
    encode_moments,
)
from mimamba.service.calibration.plan import Dimension, DrawnPlan
from mimamba.service.calibration.state_machine import MachineState, RatedBlock, label_blocks
from mimamba.service.people.people import People
from mimamba.service.protocol.personal import VerdictNote
from mimamba.service.storage.private_files import (
    NAME,
    delete_file,
    explain,
    is_regular,
    read_regular,
    replace_file,
)

FRAME = struct.Struct("<qi")
"""Position of a frame's first sample, and its number of samples; their float32 values follow."""
MAX_FRAME = 1 << 20
"""Samples of a frame; more are damage."""


class NoSitting(UserError, LookupError):
    """The person has no such calibration or head."""


class CannotCalibrate(UserError):
    """A calibration's files cannot be read or written."""


class SittingTaken(CannotCalibrate):
    """Another service goes on with a calibration."""


class DayCheck(Struct, frozen=True):
    """Check of a head on a later day: how many blocks and ratings were right."""

    day: str
    right: int = 0
    checked: int = 0

    @property
    def confirmed(self) -> bool:
        """True for six of six, or seven of eight (p .016 and .035 by chance)."""
        wrong = self.checked - self.right
        return (wrong == 0 and self.right >= 6) or (wrong == 1 and self.right >= 7)


class Refit(Struct, frozen=True):
    """A head that was made again, with data of later days.

    Parameters
    ----------
    day
        Date of the newest data.
    days, sittings
        Dates and names of the check blocks that joined.
    groups
        Names of the groups of rated moments that joined.
    ratings
        Number of these moments.
    verdict
        Verdict on all of it.
    """

    day: str
    days: tuple[str, ...]
    sittings: tuple[str, ...]
    groups: tuple[str, ...]
    ratings: int
    verdict: VerdictNote


class Looks(Struct, frozen=True):
    """Tests so far of the rated moments of a group, the last one with ``ratings`` of them."""

    group: str
    tests: int
    ratings: int


class SittingRecord(Struct, frozen=True, kw_only=True):
    """Record of a sitting.

    Parameters
    ----------
    id, person, day, started
        Name, pseudonym, local date, and time (ISO 8601).
    attempt
        Number of this attempt of the day at this contrast.
    drawn
        The plan with its order.
    info
        The source.
    state
        State of the machine.
    end
        Position after the last sample that the state depends on.
    resumed
        Number of times that it was resumed.
    reason
        Reason for which it stopped or failed.
    verdict
        The verdict.
    head
        True if there is a file of the head.
    checks
        Checks on later days.
    checked_head
        Head that the blocks check; None for a calibration.
    refit
        The newest refit of the head that holds, which the head's file is; None for the first.
    looks
        Tests of the newest rated moments; None before the first.
    """

    id: str
    person: str
    day: str
    started: str
    attempt: int
    drawn: DrawnPlan
    info: StreamInfo
    state: MachineState = MachineState()
    end: int = 0
    resumed: int = 0
    reason: str | None = None
    verdict: VerdictNote | None = None
    head: bool = False
    checks: tuple[DayCheck, ...] = ()
    checked_head: str | None = None
    refit: Refit | None = None
    looks: Looks | None = None

    @property
    def purpose(self) -> Literal["calibrate", "check"]:
        """Purpose of its blocks."""
        return "check" if self.checked_head else "calibrate"

    @property
    def rated(self) -> tuple[RatedBlock, ...]:
        """Its blocks with a rating."""
        return tuple(block for block in self.state.blocks if block.valence is not None)

    def is_like(self, other: SittingRecord) -> bool:
        """Return whether both are attempts of one day at the same contrast."""
        mine, its = self.drawn.plan, other.drawn.plan
        return (self.day, self.purpose, mine.contrast, mine.kinds) == (
            other.day,
            other.purpose,
            its.contrast,
            its.kinds,
        )

    def check_on(self, day: str) -> DayCheck:
        """Return the check of a day, empty if there was none."""
        return next((each for each in self.checks if each.day == day), DayCheck(day))


DECODER = msgspec.json.Decoder(SittingRecord)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


class Sittings:
    """Sittings of one folder. Calls block on the disk.

    Parameters
    ----------
    people
        The people, in whose folder of calibrations they are.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    @contextmanager
    def alone(self, person: str) -> Iterator[None]:
        """Let no other service change a person's sittings meanwhile; raises CannotCalibrate."""
        try:
            with self._people.alone():
                yield
        except OSError as error:
            raise self.cannot(person, error) from error

    def all(self, person: str) -> list[SittingRecord]:
        """Return a person's readable sittings, newest first."""
        found = []
        for path in sorted(self._folder(person).glob("*.json"), reverse=True):
            if is_regular(path):
                with suppress(OSError, msgspec.MsgspecError):
                    found.append(DECODER.decode(read_regular(path)))
        return found

    def get(self, person: str, name: str) -> SittingRecord:
        """Return one sitting; raises NoSitting."""
        for each in self.all(person):
            if each.id == name:
                return each
        raise NoSitting(f"{person} has no calibration {name!r}. Choose one of the list.")

    @contextmanager
    def changing(self, person: str) -> Iterator[None]:
        """Let no other service change a person's sittings meanwhile.

        Raises CannotCalibrate, also if another service has deleted the person: their folder is not
        made again.
        """
        with self.alone(person):
            if not is_regular(self._people.file_of(person)):
                raise CannotCalibrate(
                    f"Expected the person {person}, but found that another service deleted them. "
                    "Nothing of the calibration is kept."
                )
            yield

    def open_signal(self, record: SittingRecord) -> SignalFile:
        """Open a sitting's signal to continue it.

        Raises CannotCalibrate as ``changing``, and SittingTaken if another service goes on with
        it, or with another one of the person.
        """
        with self.changing(record.person):
            for path in self._folder(record.person).glob("*.samples"):
                self._check_ended(record.person, path)
            self._make_folder(record.person)
            return SignalFile(self.signal_path(record), record.info.n_channels)

    def _check_ended(self, person: str, signal: Path) -> None:
        """Raise SittingTaken if a sitting, judged or not, goes on; called while ``alone``."""
        if is_locked(signal):
            raise SittingTaken(
                f"Expected that the calibration {signal.stem} of {person} has ended, but another "
                "service goes on with it. Finish or stop it there."
            )

    def save(self, record: SittingRecord, head: bytes | None = None) -> None:
        """Write a record, and the file of its head, on the disk when this returns.

        Raises CannotCalibrate as ``changing``.
        """
        with self.changing(record.person):
            self.write(record, head)

    def write(self, record: SittingRecord, head: bytes | None = None) -> None:
        """Write a record, and the file of its head, while ``alone``; raises OSError."""
        folder = self._make_folder(record.person)
        if head is not None:
            replace_file(self.head_path(record), head)
        replace_file(folder / f"{record.id}.json", msgspec.json.format(msgspec.json.encode(record)))

    def head_path(self, record: SittingRecord) -> Path:
        """Return the path of a head's file."""
        return self._folder(record.person) / f"{record.id}.safetensors"

    def signal_path(self, record: SittingRecord) -> Path:
        """Return the path of a sitting's signal."""
        return self._folder(record.person) / f"{record.id}.samples"

    def moments_path(self, record: SittingRecord) -> Path:
        """Return the path of the rated moments that a head can be trained on."""
        return self.head_path(record).with_suffix(MOMENTS)

    def moments(self, record: SittingRecord) -> tuple[KeptMoment, ...]:
        """Return the rated moments of a head; raises CannotCalibrate if they cannot be read."""
        path = self.moments_path(record)
        try:
            return decode_moments(read_regular(path), str(path))
        except FileNotFoundError:
            return ()
        except (OSError, MomentsError) as error:
            raise CannotCalibrate(f"Cannot read the ratings at {path}: {error}") from error

    def add_moment(self, record: SittingRecord, moment: KeptMoment) -> tuple[KeptMoment, ...]:
        """Keep one more rated moment, and return all.

        Raises
        ------
        NoSitting
            If another service has deleted the head.
        CannotCalibrate
            If the file cannot be read or written.
        """
        with self.alone(record.person):
            self.get(record.person, record.id)
            moments = (*self.moments(record), moment)
            replace_file(self.moments_path(record), encode_moments(moments))
            return moments

    def delete(self, record: SittingRecord) -> None:
        """Delete a sitting with its head, signal and ratings.

        Raises CannotCalibrate, and SittingTaken if another service goes on with it.
        """
        with self.alone(record.person):
            self._check_ended(record.person, self.signal_path(record))
            for path in (
                self.head_path(record),
                self.signal_path(record),
                self.moments_path(record),
            ):
                delete_file(path)
            delete_file(self._folder(record.person) / f"{record.id}.json")

    def cannot(self, person: str, error: OSError) -> CannotCalibrate:
        """Return the error for a folder that cannot be written to."""
        return CannotCalibrate(
            f"Cannot write a calibration of {person} to {self._folder(person)}: "
            + explain(error, "Free some space there, or choose another folder with --data-dir.")
        )

    def _make_folder(self, person: str) -> Path:
        folder = self._folder(person)
        for each in (folder.parent.parent, folder.parent, folder):
            each.mkdir(mode=0o700, exist_ok=True, parents=True)
        return folder

    def _folder(self, person: str) -> Path:
        assert re.fullmatch(NAME, person)
        return self._people.calibrations_folder / person


class SignalFile:
    """A sitting's signal, open to be continued; whole frames only are kept.

    It is locked until it is closed: its sitting goes on until then.

    Parameters
    ----------
    path
        The file.
    n_channels
        Channels of a sample.

    Attributes
    ----------
    end
        Position after the last sample.
    """

    def __init__(self, path: Path, n_channels: int) -> None:
        self._n_channels = n_channels
        size, self.end = 0, 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | NO_LINK | BINARY, 0o600)
        try:
            lock_file(descriptor)
            for size, first, data in read_frames(path, n_channels):  # noqa: B007  the last count
                self.end = first + len(data)
            os.ftruncate(descriptor, size)
            os.lseek(descriptor, size, os.SEEK_SET)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = os.fdopen(descriptor, "wb")

    def append(self, first: int, data: Samples) -> None:
        """Add samples (n_times, n_channels)."""
        self._file.write(FRAME.pack(first, len(data)))
        self._file.write(np.ascontiguousarray(data, "<f4").tobytes())
        self.end = first + len(data)

    def sync(self) -> None:
        """Bring all samples to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_locked(path: Path) -> bool:
    """Return whether a signal is open to be continued; raises OSError."""
    if not is_regular(path):
        return False
    file = os.open(path, os.O_RDONLY | NO_LINK | BINARY)
    try:
        lock_file(file, shared=True)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def read_frames(path: Path, n_channels: int) -> Iterator[tuple[int, int, Samples]]:
    """Yield the whole frames of a signal: bytes up to its end, first position, samples."""
    if not is_regular(path):
        return
    at = 0
    with path.open("rb") as file:
        while len(head := file.read(FRAME.size)) == FRAME.size:
            first, n_times = FRAME.unpack(head)
            n_bytes = 4 * n_channels * n_times
            if not 0 < n_times <= MAX_FRAME or len(body := file.read(n_bytes)) < n_bytes:
                return
            at += FRAME.size + n_bytes
            yield at, first, np.frombuffer(body, "<f4").reshape(n_times, n_channels)


def read_signal(path: Path, info: StreamInfo, end: int) -> Recording:
    """Read a sitting's signal up to a position; raises CannotCalibrate if there is none."""
    data: list[Samples] = []
    index: list[NDArray[np.int64]] = []
    for _, first, samples in read_frames(path, info.n_channels):
        positions = np.arange(first, first + len(samples))
        kept = np.isfinite(samples).all(axis=1) & (positions < end)
        data.append(samples[kept])
        index.append(positions[kept])
    if not data or not sum(len(each) for each in data):
        raise CannotCalibrate(f"The signal at {path} is missing. Calibrate again.")
    places = np.concatenate(index)
    # As all files of recordings, it counts from its first sample.
    return Recording(
        info=info,
        data=np.concatenate(data),
        timestamps=places / info.sfreq,
        index=places - places[0],
    )


def read_attempt(
    sittings: Sittings, record: SittingRecord, dimension: Dimension | None = None
) -> tuple[Recording, Attempt]:
    """Read a sitting's signal and its rated blocks; raises CannotCalibrate.

    The rating that labels the blocks is that of the sitting's plan, or else this one.
    """
    recording = read_signal(sittings.signal_path(record), record.info, record.end)
    blocks = label_blocks(record.rated, record.drawn.plan.dimension or dimension)
    return recording, make_attempt(recording, blocks)
