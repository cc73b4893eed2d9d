"""Allocation of a study's people to own or sham feedback, drawn in balanced blocks.

The arm of a person is kept in the person's file, so that it is exported and deleted with it. The
study's own file has the counts of the block that is not full yet, and no name: a person who is
deleted keeps the balance. Several services may have one folder: only one draws at a time.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from mimamba.drivers.errors import UserError
from mimamba.service.feedback.wanted_feedback import MOST_IN_BLOCK
from mimamba.service.people.people import People
from mimamba.service.protocol.feedback_state import FeedbackSource
from mimamba.service.storage.private_files import explain, locked, read_regular, replace_file

LOCK = ".lock"
"""No name of a study begins with a dot."""
Left: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MOST_IN_BLOCK)]


class BadAllocation(UserError):
    """The file of a study's allocation cannot be read or written."""


class OpenBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places of a block that nobody has been given yet."""

    real: Left = 0
    sham: Left = 0


DECODER = msgspec.json.Decoder(OpenBlock)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


class Allocations:
    """The allocations of all studies of a service. Calls block on the disk.

    Parameters
    ----------
    people
        The people, who keep their arms.
    folder
        Created with the first allocation, readable by its owner only.
    """

    def __init__(self, people: People, folder: Path) -> None:
        self._people, self._folder = people, folder
        self._drawing = threading.Lock()

    def arm_of(self, study: str, person: str, block: int) -> FeedbackSource:
        """Return a person's arm in a study, drawn if the person has none yet.

        In each ``block`` of people half get each arm, in an order drawn by chance: permuted blocks.

        Raises
        ------
        BadAllocation
            If the study's file cannot be read or written.
        PersonRefused, DamagedPerson, CannotKeep
            As ``People.add``.
        """
        with self._drawing, ExitStack() as locks:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                locks.enter_context(locked(self._folder / LOCK))
            except OSError as error:
                raise _cannot_write(self._folder / LOCK, error) from error
            arms = self._people.add(person).arms
            if study in arms:
                return arms[study]
            path = self._folder / f"{study}.json"
            left = self._read(path)
            if not left.real + left.sham:
                left = OpenBlock(block // 2, block // 2)
            place = secrets.randbelow(left.real + left.sham)
            arm: FeedbackSource = "real" if place < left.real else "sham"
            rest = (
                OpenBlock(left.real - 1, left.sham)
                if arm == "real"
                else OpenBlock(left.real, left.sham - 1)
            )
            self._write(path, rest)
            try:
                self._people.store_arm(person, study, arm)
            except Exception:
                self._write(path, left)  # nobody has been given the place
                raise
            return arm

    def _read(self, path: Path) -> OpenBlock:
        try:
            return DECODER.decode(read_regular(path))
        except (FileNotFoundError, NotADirectoryError):
            return OpenBlock()
        except (OSError, msgspec.MsgspecError) as error:
            raise BadAllocation(
                f"Cannot read the open block of the study's allocation at {path}: {error}. "
                "Restore that file, or remove it to begin a new block."
            ) from error

    def _write(self, path: Path, block: OpenBlock) -> None:
        try:
            replace_file(path, msgspec.json.encode(block))
        except OSError as error:
            raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> BadAllocation:
    return BadAllocation(
        f"Cannot write the open block of the study's allocation at {path}: "
        + explain(error, "Free some space there, or correct its permissions.")
    )
