"""The person in a session, whose baselines are stored and used again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mimamba.models.signal.baseline import AlignerState, Baseline
from mimamba.service.people.carried_people import CarriedPeople, CarriedPerson, TakenBaseline
from mimamba.service.people.people import (
    CannotKeep,
    DamagedPerson,
    NoPerson,
    People,
    Person,
    StoredBaseline,
    stored_baseline,
)

if TYPE_CHECKING:
    from mimamba.models.checkpoints.checkpoint import Checkpoint


STORE_SECONDS = 0.25
"""Seconds to wait for another service that changes files of people: all sessions wait, too."""


@dataclass(frozen=True, eq=False)
class RecordedBaseline:
    """Baseline of a recording that is replayed.

    Parameters
    ----------
    sha256
        Of the model that it belongs to.
    aligner
        The baseline in use when the recording began, and the one being taken then.
    """

    sha256: str
    aligner: AlignerState


class SubjectState(msgspec.Struct, frozen=True):
    """State of a ``Subject``, with which another process continues it.

    ``carried`` and ``taken`` are those of ``CarriedPeople``.
    """

    person: str | None = None
    keep: bool = True
    baseline_person: str | None = None
    carried: dict[str, tuple[StoredBaseline, ...]] = {}
    taken: TakenBaseline | None = None
    person_before: str | None = None


class Subject:
    """The person in one session, if known; used by the compute loop, or while it is held.

    Parameters
    ----------
    people
        Stored people, or those that came over the bus; None to store nothing.
    person
        The pseudonym; None if the person is not known.
    recorded
        Baseline of a recording that the session replays.

    Attributes
    ----------
    keep
        Whether finished baselines are stored: one that a replay completes is older than it seems.
    """

    def __init__(
        self,
        people: People | CarriedPeople | None = None,
        person: str | None = None,
        recorded: RecordedBaseline | None = None,
    ) -> None:
        self._people = people
        self._recorded = recorded
        self.person = person
        self.keep = True
        self.baseline_person: str | None = None
        """Person of the baseline in use, while another person's may be in progress."""
        self.person_before: str | None = None
        """Person of the session when the rest being taken was asked for."""

    @property
    def state(self) -> SubjectState:
        """Complete state; set it to continue from there."""
        known = self._people if isinstance(self._people, CarriedPeople) else CarriedPeople()
        carried = dict(known.baselines)
        return SubjectState(
            self.person,
            self.keep,
            self.baseline_person,
            carried,
            known.taken,
            self.person_before,
        )

    @state.setter
    def state(self, state: SubjectState) -> None:
        self.person, self.keep = state.person, state.keep
        self.baseline_person, self.person_before = state.baseline_person, state.person_before
        if isinstance(self._people, CarriedPeople):
            self._people.baselines, self._people.taken = dict(state.carried), state.taken

    @property
    def taken(self) -> TakenBaseline | None:
        """The newest baseline that others are to store."""
        return self._people.taken if isinstance(self._people, CarriedPeople) else None

    def carry(self, carried: CarriedPerson) -> None:
        """Learn to know a person who came over the bus; raises as ``unpack_person``."""
        if isinstance(self._people, CarriedPeople):
            self._people.put(carried)

    def store(self, person: str) -> None:
        """Store a person, if new, while the loop computes: the disk may take its time.

        Raises as ``People.add``.
        """
        if isinstance(self._people, People):
            self._people.add(person)

    def admit(self, person: str) -> None:
        """Make someone the session's person; raises as ``People.add``."""
        if self._people is not None:
            self._people.add(person)
        self.person = person

    def stored(self, person: str) -> Person:
        """Return what is stored about a person; raises as ``People.get``."""
        if self._people is None:
            raise NoPerson(f"No person is named {person!r}: this session stores nobody.")
        return self._people.get(person)

    def forget(self, person: str) -> None:
        """Remove a person who was deleted."""
        if isinstance(self._people, CarriedPeople):
            self._people.forget(person)
        self.person = None if self.person == person else self.person
        self.baseline_person = None if self.baseline_person == person else self.baseline_person
        self.person_before = None if self.person_before == person else self.person_before

    def recorded_aligner(self, checkpoint: Checkpoint) -> AlignerState | None:
        """Return the recording's baseline for a model, if the session replays one made with it."""
        known = self._recorded
        return known.aligner if known and known.sha256 == checkpoint.sha256 else None

    def find_baseline(self, checkpoint: Checkpoint) -> StoredBaseline | None:
        """Return the person's stored baseline for a model, if there is a readable one."""
        if self._people is None or self.person is None:
            return None
        with contextlib.suppress(NoPerson, DamagedPerson):  # storing a new one reports it
            return self._people.get(self.person).baseline_for(checkpoint)
        return None

    def store_baseline(self, checkpoint: Checkpoint, baseline: Baseline) -> str:
        """Store a finished baseline; returns a message about it without the person's name.

        The message is a link event, and so part of recordings, which people may share.
        """
        done = f"{baseline.seconds:g} s of rest are recorded"
        if self._people is None or self.person is None or not self.keep:
            return f"{done}, for this session"
        try:
            self._keep_baseline(self._people, self.person, stored_baseline(checkpoint, baseline))
        except NoPerson:
            return f"{done}, for this session; not stored: the person was deleted"
        except DamagedPerson:
            return f"{done}, for this session; not stored: the person's file cannot be read"
        except CannotKeep:
            return f"{done}, for this session; not stored: the person's file cannot be written"
        return f"{done} and stored"

    def _keep_baseline(
        self, people: People | CarriedPeople, person: str, baseline: StoredBaseline
    ) -> None:
        if isinstance(people, CarriedPeople):
            people.store_baseline(person, baseline)
        else:
            people.store_baseline(person, baseline, STORE_SECONDS)
