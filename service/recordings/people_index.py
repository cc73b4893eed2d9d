"""The register of people: their files, and the recordings whose cards name them, together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mimamba.service.people.people import DamagedPerson, NoPerson, People, Person, PersonRefused
from mimamba.service.recordings.library import Recordings
from mimamba.service.storage.private_files import NAME


@dataclass(frozen=True)
class Rest:
    """A baseline that is kept: of which electrodes, how many seconds, and when it was taken."""

    montage: list[str]
    seconds: float
    taken: str


@dataclass(frozen=True)
class PersonInfo:
    """A person, as far as is known; ``damaged`` says what is wrong with a file that has no more."""

    person: str
    notes: str | None
    baselines: list[Rest]
    recordings: list[str]
    damaged: str | None = None


@dataclass(frozen=True)
class DeletionResult:
    """What is gone for good."""

    person: str
    recordings: list[str]


class PeopleIndex:
    """Its calls block on the disk.

    Parameters
    ----------
    people, recordings
        Of the same folder.
    """

    def __init__(self, people: People, recordings: Recordings) -> None:
        self._people = people
        self._recordings = recordings

    def all(self) -> list[PersonInfo]:
        """Everybody who has a file, or whom a recording names."""
        named = {each.person for each in self._recordings.all() if each.person}
        names = {*self._people.names(), *(each for each in named if re.fullmatch(NAME, each))}
        return [self.get(name) for name in sorted(names)]

    def get(self, name: str) -> PersonInfo:
        """One person; raises NoPerson, and PersonRefused if the name is none."""
        recordings = self._recordings.of(name)
        try:
            person = self._people.get(name)
        except DamagedPerson as error:
            return PersonInfo(name, None, [], recordings, str(error))
        except NoPerson:
            if not recordings:
                raise
            person = Person()
        kept = [Rest(list(each.montage), each.seconds, each.taken) for each in person.baselines]
        return PersonInfo(name, person.notes, kept, recordings)

    def delete(self, name: str, confirm: str) -> DeletionResult:
        """Delete a person's file and all recordings of theirs, for good.

        Raises
        ------
        PersonRefused
            If ``confirm`` is not the name, or the name is none.
        NoPerson
            If there is neither a file nor a recording.
        RecordingRefused
            If the person is being recorded; nothing is deleted then.
        CannotKeep
            If the folder may not be changed.
        """
        if confirm != name:
            raise PersonRefused(
                f"Expected the person's name as confirmation, but found {confirm!r}. "
                f"Confirm with {name}."
            )
        recordings = self._recordings.delete_of(name)
        if not self._people.delete(name) and not recordings:
            raise NoPerson(f"Expected a person, but found nobody named {name!r}.")
        return DeletionResult(name, recordings)
