"""People as files: NAME.json, a pseudonym with notes and with what the person's rest was like.

A person is known by a pseudonym alone, and is there from when they are first named. A file is only
ever replaced as a whole; one that cannot be read is told of, and stays as it is.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec.structs import replace

from mimamba.drivers.errors import UserError
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.service.storage.private_files import NAME, delete_file, replace_file

LONGEST_NOTES = 10_000
"""Characters."""


class NoPerson(UserError, LookupError):
    """Nobody has this pseudonym."""


class PersonRefused(UserError):
    """What was asked cannot be done with this person; one clear line."""


class DamagedPerson(UserError):
    """A person's file cannot be read; one clear line."""


class CannotKeep(UserError):
    """A person's file cannot be written; one clear line."""


class KeptBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person's rest was like, for models that see the signal in the same way.

    Parameters
    ----------
    montage
        The electrodes.
    band
        Hz, that the signal was filtered to.
    window
        Seconds that were looked at at once: a short one blurs the spectrum.
    seconds
        Of good signal.
    taken
        ISO 8601, UTC.
    log_power
        By electrode, as ``models.signal.baseline.Baseline`` has it.
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

    def serves(self, checkpoint: Checkpoint) -> bool:
        """Whether a model's windows can be aligned by it."""
        signal = checkpoint.signal
        sees = (checkpoint.montage, signal.band, signal.window / signal.sfreq)
        return (self.montage, self.band, self.window) == sees

    @property
    def baseline(self) -> Baseline:
        """As a model uses it."""
        return Baseline(np.array(self.log_power), self.seconds)


def stored_baseline(checkpoint: Checkpoint, baseline: Baseline) -> KeptBaseline:
    """A baseline that was taken just now, as it is kept."""
    signal = checkpoint.signal
    return KeptBaseline(
        checkpoint.montage,
        signal.band,
        signal.window / signal.sfreq,
        baseline.seconds,
        datetime.now(UTC).isoformat(timespec="seconds"),
        baseline.log_power.tolist(),
    )


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a person: notes, and one baseline for each way of seeing the signal."""

    notes: str | None = None
    baselines: tuple[KeptBaseline, ...] = ()

    def baseline_for(self, checkpoint: Checkpoint) -> KeptBaseline | None:
        """The one that serves a model."""
        return next((each for each in self.baselines if each.serves(checkpoint)), None)


class People:
    """The people of one folder. Its calls block on the disk.

    Parameters
    ----------
    folder
        Made when the first person is named, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()

    def names(self) -> Sequence[str]:
        """The pseudonyms that have a file."""
        stems = (path.stem for path in self._folder.glob("*.json"))
        return sorted(stem for stem in stems if re.fullmatch(NAME, stem))

    def get(self, name: str) -> Person:
        """One person.

        Raises
        ------
        PersonRefused
            If the name is none.
        NoPerson
            If nobody has it.
        DamagedPerson
            If the file cannot be read.
        """
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Person)
        except (FileNotFoundError, NotADirectoryError):
            raise NoPerson(f"Expected a person, but found nobody named {name!r}.") from None
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            found = getattr(error, "strerror", None) or str(error)
            raise DamagedPerson(
                f"Expected what is known of {name} in {path}, but found: {found}. "
                "Mend that file, or delete the person."
            ) from error

    def name(self, name: str) -> Person:
        """One person, from now on if not before; raises as ``get``, and CannotKeep."""
        with self._changing:
            try:
                return self.get(name)
            except NoPerson:
                return self._write(name, Person())

    def note(self, name: str, notes: str | None) -> Person:
        """Change the notes of a person, who is there from now on; raises as ``name``."""
        with self._changing:
            try:
                person = self.get(name)
            except NoPerson:
                person = Person()
            return self._write(name, replace(person, notes=notes))

    def keep(self, name: str, kept: KeptBaseline) -> Person:
        """Keep a baseline in place of one like it.

        A person who was deleted meanwhile stays so: raises as ``get``, and CannotKeep.
        """
        with self._changing:
            person = self.get(name)
            seen = (kept.montage, kept.band, kept.window)
            others = [b for b in person.baselines if (b.montage, b.band, b.window) != seen]
            return self._write(name, replace(person, baselines=(kept, *others)))

    def delete(self, name: str) -> bool:
        """Delete a person's file, in whatever state it is; whether there was one.

        Raises PersonRefused if the name is none, and CannotKeep if the folder may not be changed.
        """
        with self._changing:
            try:
                return delete_file(self._path(name))
            except OSError as error:
                raise self._cannot_keep(name, error) from error

    def _write(self, name: str, person: Person) -> Person:
        path = self._path(name)
        try:
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, msgspec.json.format(msgspec.json.encode(person)))
        except OSError as error:
            raise self._cannot_keep(name, error) from error
        return person

    def _cannot_keep(self, name: str, error: OSError) -> CannotKeep:
        return CannotKeep(
            f"Expected to change the file of {name} in {self._folder}, but found: "
            f"{error.strerror or error}. Make room there, or choose another folder with --data-dir."
        )

    def _path(self, name: str) -> Path:
        if not re.fullmatch(NAME, name):
            raise PersonRefused(
                "Expected a pseudonym of up to 81 letters, digits, '-', '_' and '.', but "
                f"found {name!r}. Choose another."
            )
        return self._folder / f"{name}.json"


def people_folder(data: Path) -> Path:
    """Where people lie in the folder of the recordings."""
    return data / "people"
