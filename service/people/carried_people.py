"""People of a session whose worker has no folder of theirs: what is needed comes over the bus."""

from __future__ import annotations

import re

import msgspec

from mimamba.service.people.people import (
    DECODER,
    DamagedPerson,
    NoPerson,
    Person,
    PersonRefused,
    StoredBaseline,
)
from mimamba.service.storage.private_files import NAME


class CarriedPerson(msgspec.Struct, frozen=True):
    """A person on the way to a worker: the pseudonym, and the file's bytes without the notes."""

    name: str
    content: bytes


class TakenBaseline(msgspec.Struct, frozen=True):
    """A baseline that a session has taken, for whoever has the person's folder."""

    person: str
    baseline: StoredBaseline


def pack_person(name: str, person: Person) -> CarriedPerson:
    """Encode what a worker needs of a person."""
    return CarriedPerson(name, msgspec.json.encode(Person(None, person.baselines)))


def unpack_person(carried: CarriedPerson) -> Person:
    """Decode a person, as if it were a file.

    Raises
    ------
    PersonRefused
        If the name is not valid.
    DamagedPerson
        If the rest is not.
    """
    if not re.fullmatch(NAME, carried.name):
        raise PersonRefused(f"Expected a pseudonym, but found {carried.name!r}. Choose another.")
    try:
        return DECODER.decode(carried.content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DamagedPerson(
            f"Expected the baselines of {carried.name}, but found damaged ones: {error}."
        ) from error


class CarriedPeople:
    """The people that one session has named; it keeps nothing on a disk.

    Attributes
    ----------
    baselines
        Stored baselines of each of them.
    taken
        The newest baseline that the session has taken of one of them.
    """

    def __init__(self) -> None:
        self.baselines: dict[str, tuple[StoredBaseline, ...]] = {}
        self.taken: TakenBaseline | None = None

    def put(self, carried: CarriedPerson) -> None:
        """Learn to know a person; raises as ``unpack_person``."""
        self.baselines[carried.name] = unpack_person(carried).baselines

    def get(self, name: str) -> Person:
        """Return one person; raises NoPerson."""
        if name not in self.baselines:
            raise NoPerson(f"No person is named {name!r} in this session. Choose another name.")
        return Person(None, self.baselines[name])

    def add(self, name: str) -> Person:
        """Return one person, added if new."""
        self.baselines.setdefault(name, ())
        return self.get(name)

    def store_baseline(self, name: str, baseline: StoredBaseline) -> Person:
        """Keep a baseline for the gateway that stores it; raises NoPerson for a deleted person."""
        self.baselines[name] = self.get(name).with_baseline(baseline).baselines
        self.taken = TakenBaseline(name, baseline)
        return self.get(name)

    def forget(self, name: str) -> None:
        """Remove a person who was deleted."""
        self.baselines.pop(name, None)
        if self.taken is not None and self.taken.person == name:
            self.taken = None
