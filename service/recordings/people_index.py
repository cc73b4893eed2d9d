"""Index of people: their files, together with the recordings that name them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mimamba.service.people.facts import Acknowledgement, Consent, Sex
from mimamba.service.people.people import DamagedPerson, NoPerson, People, Person, PersonRefused
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.storage.private_files import NAME


@dataclass(frozen=True)
class BaselineInfo:
    """A stored baseline.

    Parameters
    ----------
    montage
        The electrodes.
    seconds
        Seconds of good signal.
    taken
        Time of the recording (ISO 8601, UTC).
    """

    montage: list[str]
    seconds: float
    taken: str


@dataclass(frozen=True)
class PersonInfo:
    """A person; ``damaged`` says what is wrong with a file that cannot be read.

    ``acknowledgements`` are the notices about emotion that they have seen, the newest first.
    """

    person: str
    notes: str | None
    baselines: list[BaselineInfo]
    recordings: list[str]
    damaged: str | None = None
    age: int | None = None
    sex: Sex | None = None
    consent: Consent | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()


@dataclass(frozen=True)
class DeletionResult:
    """A person and their recordings that were deleted."""

    person: str
    recordings: list[str]


class PeopleIndex:
    """People with their recordings. Calls block on the disk.

    Parameters
    ----------
    people, recordings
        Of the same folder.
    """

    def __init__(self, people: People, recordings: Recordings) -> None:
        self._people = people
        self._recordings = recordings

    def all(self) -> list[PersonInfo]:
        """Return everybody who has a file or is named by a recording."""
        named = {each.person for each in self._recordings.all() if each.person}
        names = {*self._people.names(), *(each for each in named if re.fullmatch(NAME, each))}
        return [self.get(name) for name in sorted(names)]

    def get(self, name: str) -> PersonInfo:
        """Return one person; raises NoPerson, and PersonRefused if the name is not valid."""
        recordings = self._recordings.of_person(name)
        try:
            person = self._people.get(name)
        except DamagedPerson as error:
            return PersonInfo(name, None, [], recordings, str(error))
        except NoPerson:
            if not recordings:
                raise
            person = Person()
        baselines = [
            BaselineInfo(list(each.montage), each.seconds, each.taken) for each in person.baselines
        ]
        return PersonInfo(
            name,
            person.notes,
            baselines,
            recordings,
            age=person.age,
            sex=person.sex,
            consent=person.consent,
            acknowledgements=person.acknowledgements,
        )

    def delete(self, name: str, confirm: str) -> DeletionResult:
        """Delete a person's file and all their recordings permanently.

        Raises
        ------
        PersonRefused
            If ``confirm`` is not the name, or the name is not valid.
        NoPerson
            If there is neither a file nor a recording.
        RecordingRefused
            If the person is being recorded; nothing is deleted then.
        CannotKeep
            If the folder is read-only.
        """
        if confirm != name:
            raise PersonRefused(
                f"Expected the person's name as confirmation, but found {confirm!r}. "
                f"Confirm with {name}."
            )
        recordings = self._recordings.delete_of_person(name)
        if not self._people.delete(name) and not recordings:
            raise NoPerson(f"No person is named {name!r}. Choose another name.")
        return DeletionResult(name, recordings)
