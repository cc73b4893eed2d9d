"""People as files: NAME.json contains the facts and baselines of the person with this pseudonym.

A person is known by a pseudonym only, and exists as soon as it is first used. A file is always
replaced as a whole; one that cannot be read is reported and left unchanged. Several services may
have one folder: only one changes files at a time, after it has read them again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import msgspec
import numpy as np
from msgspec.structs import replace

from mimamba.drivers.errors import UserError
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.service.people.facts import Acknowledgement, Age, Consent, Sex
from mimamba.service.protocol.feedback_state import FeedbackSource
from mimamba.service.storage.private_files import (
    LOCK_SECONDS,
    NAME,
    delete_file,
    explain,
    is_regular,
    locked,
    read_regular,
    replace_file,
)

if TYPE_CHECKING:
    from mimamba.models.checkpoints.checkpoint import Checkpoint

LOCK = ".people.lock"
"""Beside the folder: in it are people only."""
LONGEST_NOTES = 10_000
"""Characters."""


class NoPerson(UserError, LookupError):
    """No person has this pseudonym."""


class PersonRefused(UserError):
    """The request is not possible with this person."""


class DamagedPerson(UserError):
    """A person's file cannot be read."""


class CannotKeep(UserError):
    """A person's file cannot be written."""


class StoredBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's baseline, for models with the same electrodes and preprocessing.

    Parameters
    ----------
    montage
        The electrodes.
    band
        Pass band of the filter (Hz).
    window
        Seconds of each spectrum: a short window blurs it.
    seconds
        Seconds of good signal.
    taken
        Time of the recording (ISO 8601, UTC).
    log_power
        (n_electrodes, n_frequencies), as in ``models.signal.baseline.Baseline``.
    """

    montage: tuple[str, ...]
    band: tuple[float, float]
    window: float
    seconds: Annotated[float, msgspec.Meta(gt=0)]
    taken: str
    log_power: list[list[float]]

    def __post_init__(self) -> None:
        shape = (len(self.montage), len(BAND_CENTRES))
        if [len(each) for each in self.log_power] != [shape[1]] * shape[0]:
            raise ValueError(f"Expected log_power of {shape[0]} times {shape[1]} numbers.")

    @property
    def kind(self) -> tuple[tuple[str, ...], tuple[float, float], float]:
        """Electrodes and preprocessing: a person has one baseline of each kind."""
        return self.montage, self.band, self.window

    def serves(self, checkpoint: Checkpoint) -> bool:
        """Return whether a model can use this baseline."""
        signal = checkpoint.signal
        expected = (checkpoint.montage, signal.band, signal.window / signal.sfreq)
        return self.kind == expected

    @property
    def baseline(self) -> Baseline:
        """The same in the form that models use."""
        return Baseline(np.array(self.log_power), self.seconds)


def stored_baseline(checkpoint: Checkpoint, baseline: Baseline) -> StoredBaseline:
    """Return a baseline recorded just now, in the form of the file."""
    signal = checkpoint.signal
    return StoredBaseline(
        checkpoint.montage,
        signal.band,
        signal.window / signal.sfreq,
        baseline.seconds,
        datetime.now(UTC).isoformat(timespec="seconds"),
        baseline.log_power.tolist(),
    )


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's facts, and one baseline for each montage and preprocessing.

    ``acknowledgements`` are the notices about emotion that they have seen, the newest first.
    ``arms`` has the feedback that was drawn for them, by the study's name. A file has only the
    facts that there are: older versions, as of a worker on the same bus, refuse fields they do not
    know.
    """

    notes: str | None = None
    baselines: tuple[StoredBaseline, ...] = ()
    age: Age | None = None
    sex: Sex | None = None
    consent: Consent | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()
    arms: dict[str, FeedbackSource] = {}

    def baseline_for(self, checkpoint: Checkpoint) -> StoredBaseline | None:
        """Return the baseline that a model can use, if there is one."""
        return next((each for each in self.baselines if each.serves(checkpoint)), None)

    def baseline_like(self, baseline: StoredBaseline) -> StoredBaseline | None:
        """Return the baseline with the same montage and preprocessing, if there is one."""
        return next((each for each in self.baselines if each.kind == baseline.kind), None)

    def with_baseline(self, baseline: StoredBaseline) -> Person:
        """Return the person with a baseline in the place of the one that is alike."""
        others = [each for each in self.baselines if each.kind != baseline.kind]
        return replace(self, baselines=(baseline, *others))


class PersonFacts(TypedDict, total=False):
    """Facts to change; those that are absent stay."""

    notes: str | None
    age: int | None
    sex: Sex | None
    consent: Consent | None


DECODER = msgspec.json.Decoder(Person)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


class People:
    """People of one folder. Calls block on the disk.

    Parameters
    ----------
    folder
        Created with the first person, readable by its owner only.
    patience
        Seconds to wait while another service changes a file.
    """

    def __init__(self, folder: Path, patience: float = LOCK_SECONDS) -> None:
        self._folder, self._patience = folder, patience

    @property
    def calibrations_folder(self) -> Path:
        """Folder with a folder of calibrations for each person who has one."""
        return self._folder.with_name("calibrations")

    def file_of(self, name: str) -> Path:
        """Return the path of a person's file, which need not exist; raises PersonRefused."""
        return self._path(name)

    def names(self) -> Sequence[str]:
        """Return the pseudonyms that have a file."""
        stems = (path.stem for path in self._folder.glob("*.json") if is_regular(path))
        return sorted(stem for stem in stems if re.fullmatch(NAME, stem))

    def get(self, name: str) -> Person:
        """Return one person.

        Raises
        ------
        PersonRefused
            If the name is not valid.
        NoPerson
            If no person has it.
        DamagedPerson
            If the file cannot be read.
        """
        path = self._path(name)
        try:
            return DECODER.decode(read_regular(path))
        except (FileNotFoundError, NotADirectoryError):
            raise NoPerson(f"No person is named {name!r}. Choose another name.") from None
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            found = getattr(error, "strerror", None) or str(error)
            raise DamagedPerson(
                f"Cannot read the file of {name} at {path}: {found}. "
                "Repair the file, or delete the person."
            ) from error

    @contextmanager
    def alone(self, patience: float | None = None) -> Iterator[None]:
        """Let no other thread or service change files of people and their calibrations.

        Raises LockHeld if one changes them for ``patience`` seconds, else as long as all calls
        wait; and OSError.
        """
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._folder.with_name(LOCK), self._patience if patience is None else patience):
            yield

    @contextmanager
    def _change(self, name: str, patience: float | None = None) -> Iterator[None]:
        """Change one file alone; raises PersonRefused, and CannotKeep for an OSError."""
        self._path(name)
        try:
            with self.alone(patience):
                yield
        except OSError as error:
            raise self._cannot_keep(name, error) from error

    def add(self, name: str) -> Person:
        """Return one person, added if new; raises as ``get``, and CannotKeep."""
        try:
            return self.get(name)
        except NoPerson:
            with self._change(name):
                return self._write(name, self._get_or_new(name))

    def set_notes(self, name: str, notes: str | None) -> Person:
        """Change the notes of a person, added if new; raises as ``add``."""
        return self.change(name, {"notes": notes})

    def change(self, name: str, facts: PersonFacts) -> Person:
        """Change facts about a person, added if new; raises as ``add``."""
        with self._change(name):
            return self._write(name, replace(self._get_or_new(name), **facts))

    def store_acknowledgement(self, name: str, seen: Acknowledgement) -> Person:
        """Store that a person, added if new, has seen a notice; raises as ``add``.

        It replaces an older one of the same outputs.
        """
        with self._change(name):
            person = self._get_or_new(name)
            others = [each for each in person.acknowledgements if each.outputs != seen.outputs]
            return self._write(name, replace(person, acknowledgements=(seen, *others)))

    def store_arm(self, name: str, study: str, arm: FeedbackSource) -> Person:
        """Store the feedback that was drawn for a person, added if new; raises as ``add``."""
        with self._change(name):
            person = self._get_or_new(name)
            return self._write(name, replace(person, arms={**person.arms, study: arm}))

    def store_baseline(
        self, name: str, baseline: StoredBaseline, patience: float | None = None
    ) -> Person:
        """Store a baseline, which replaces one with the same montage and preprocessing.

        A person who was deleted meanwhile stays deleted: raises as ``get``, and CannotKeep, also if
        another service changes files for ``patience`` seconds.
        """
        with self._change(name, patience):
            return self._write(name, self.get(name).with_baseline(baseline))

    def keep_newer(self, name: str, baseline: StoredBaseline) -> bool:
        """Store a baseline that is newer than the stored one of its kind; return whether it is.

        One that another worker has measured again, on the same signal, is not newer.

        Raises as ``store_baseline``.
        """
        with self._change(name):
            person = self.get(name)
            there = person.baseline_like(baseline)
            if there is not None and (
                there.taken >= baseline.taken or there.log_power == baseline.log_power
            ):
                return False
            self._write(name, person.with_baseline(baseline))
            return True

    def delete(self, name: str) -> bool:
        """Delete a person's file, even a damaged one, with all calibrations.

        Returns whether there was a file.

        Raises PersonRefused if the name is not valid, and CannotKeep if the folder is read-only.
        """
        path = self._path(name)
        calibrations = self.calibrations_folder / name
        if not self._folder.exists() and not calibrations.exists():
            return False
        with self._change(name):
            if calibrations.is_dir() and not calibrations.is_symlink():
                shutil.rmtree(calibrations)
            return delete_file(path)

    def _get_or_new(self, name: str) -> Person:
        try:
            return self.get(name)
        except NoPerson:
            return Person()

    def _write(self, name: str, person: Person) -> Person:
        replace_file(self._path(name), msgspec.json.format(msgspec.json.encode(person)))
        return person

    def _cannot_keep(self, name: str, error: OSError) -> CannotKeep:
        return CannotKeep(
            f"Cannot change the file of {name} in {self._folder}: "
            + explain(error, "Free some space there, or choose another folder with --data-dir.")
        )

    def _path(self, name: str) -> Path:
        if not re.fullmatch(NAME, name):
            raise PersonRefused(
                "Expected a pseudonym of up to 81 letters, digits, '-', '_' and '.', but found "
                f"{name!r}. Choose another."
            )
        return self._folder / f"{name}.json"


def people_folder(data: Path) -> Path:
    """Return the folder of people in the data folder."""
    return data / "people"
