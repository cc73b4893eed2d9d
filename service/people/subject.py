"""The person of a session, if any, with the baseline that is stored and used again."""

from __future__ import annotations

import contextlib

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.signal.baseline import Baseline
from mimamba.service.people.people import (
    CannotKeep,
    DamagedPerson,
    KeptBaseline,
    NoPerson,
    People,
    stored_baseline,
)


class Subject:
    """Used by a session's thread, between two chunks.

    Parameters
    ----------
    people
        The stored people; None stores nothing.
    person
        The pseudonym; None if there is no person.
    """

    def __init__(self, people: People | None = None, person: str | None = None) -> None:
        self._people = people
        self.person = person
        self.rested: str | None = None
        """The person of the baseline in use, while another person's may be taken."""

    def forget(self, person: str) -> None:
        """Forget this person, if the session is theirs."""
        self.person = None if self.person == person else self.person
        self.rested = None if self.rested == person else self.rested

    def find(self, checkpoint: Checkpoint) -> KeptBaseline | None:
        """Find the person's baseline for a model, if one is stored and can be read."""
        if self._people is None or self.person is None:
            return None
        with contextlib.suppress(NoPerson, DamagedPerson):  # a new one is not stored, and says why
            return self._people.get(self.person).baseline_for(checkpoint)
        return None

    def keep(self, checkpoint: Checkpoint, baseline: Baseline) -> str:
        """Store a baseline that was taken; return the link event's detail, without a name.

        The detail goes into recordings, which can be given away.
        """
        taken = f"{baseline.seconds:g} s of rest are taken"
        if self._people is None or self.person is None:
            return f"{taken}, for this session"
        try:
            self._people.keep(self.person, stored_baseline(checkpoint, baseline))
        except NoPerson:
            return f"{taken}, for this session; not kept: the person was deleted"
        except DamagedPerson:
            return f"{taken}, for this session; not kept: the person's file cannot be read"
        except CannotKeep:
            return f"{taken}, for this session; not kept: the person's file cannot be written"
        return f"{taken}, and kept"
