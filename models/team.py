"""Several processes step one network side by side, and are one stepper to whoever asks.

A stream's row stays in its process; a batch is split, sent to all of them and awaited together. A
new stream goes to the process that has fewest. Where one has many more than another, as when the
other has just come, some of its streams move before each batch, so that no batch waits for long.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.apart import ApartStepper
from models.frames import MOST_HOPS
from models.pool import EMPTY
from models.processor import BLOCK
from models.ssm import States
from models.worker import ApartFailed

MOVED = 16
"""Streams that move before a batch at most, and by which two processes may differ: 1.5 ms in the
reference configuration, so that 128 that move hold nobody up."""


@dataclass(eq=False)
class Member:
    """A process, and its streams."""

    stepper: ApartStepper
    rows: dict[int, int] = field(default_factory=dict)
    """By the team's row, the process's."""


class TeamPool:
    """Which row is whose, and in which process. Who opens and closes need not wait for a step."""

    full = False
    """It grows there."""

    def __init__(self, first: ApartStepper) -> None:
        taken = first.pool.taken()
        member = Member(first, {row: row for row in taken})
        self.members = [member]
        self.whose = dict.fromkeys(taken, member)
        """By row, the process that has it."""
        self._rows = max(taken, default=EMPTY) + 1
        self._free = sorted(set(range(EMPTY + 1, self._rows)) - set(taken), reverse=True)
        self._lock = threading.Lock()

    def open(self) -> int:
        """A row, its state zero, in the process that has fewest."""
        with self._lock:
            if self._free:
                row = self._free.pop()
            else:
                row, self._rows = self._rows, self._rows + 1
            self.whose[row] = member = min(self.members, key=_count)
            member.rows[row] = member.stepper.pool.open()
            return row

    def close(self, row: int) -> None:
        """Give a row back."""
        with self._lock:
            member = self.whose.pop(row)
            member.stepper.pool.close(member.rows.pop(row))
            self._free.append(row)

    def row(self, row: int) -> States:
        """A copy of one row, as the pool's; raises ApartFailed."""
        member = self.whose[row]
        return member.stepper.pool.row(member.rows[row])

    def level(self) -> None:
        """Move some streams from who has most to who has fewest; raises ApartFailed."""
        with self._lock:
            most, fewest = max(self.members, key=_count), min(self.members, key=_count)
            if (surplus := _count(most) - _count(fewest)) > MOVED:
                rows = list(most.rows)
                # From all of them evenly: who came one after the other may be due so, too.
                self._move(rows[:: len(rows) // MOVED][: min(MOVED, surplus // 2)], most, fewest)

    def _move(self, rows: Sequence[int], source: Member, target: Member) -> None:
        here, there = source.stepper.pool, target.stepper.pool
        opened = {row: there.open() for row in rows}
        stepped = [row for row in rows if source.rows[row] not in here.fresh]
        if stepped:
            content = here.snapshot([source.rows[row] for row in stepped])
            there.restore([opened[row] for row in stepped], content)
        for row, place in opened.items():
            here.close(source.rows.pop(row))
            target.rows[row], self.whose[row] = place, target


class Team:
    """A ``Stepper`` of prepared ones, which it closes; raises ApartFailed where one has ended."""

    def __init__(self, first: ApartStepper) -> None:
        self.pool = TeamPool(first)

    def add(self, stepper: ApartStepper) -> None:
        """Have another one step, too, which has no streams yet."""
        self.pool.members.append(Member(stepper))

    @property
    def largest(self) -> int:
        """As many as are best for each, but no more than one alone can be sent."""
        return min(len(self.pool.members) * BLOCK, MOST_HOPS)

    def step(
        self,
        rows: Sequence[int],
        windows: Sequence[NDArray[np.float32]],
        gates: Sequence[float],
    ) -> Tensor:
        self.pool.level()
        shares: dict[Member, list[int]] = {}
        for nth, row in enumerate(rows):
            shares.setdefault(self.pool.whose[row], []).append(nth)
        for member, share in shares.items():
            member.stepper.begin(
                [member.rows[rows[nth]] for nth in share],
                [windows[nth] for nth in share],
                [gates[nth] for nth in share],
            )
        order = [nth for share in shares.values() for nth in share]
        logits = np.concatenate(_ended([member.stepper for member in shares]))
        return torch.from_numpy(logits[np.argsort(order)])

    def close(self) -> None:
        """End all processes."""
        for member in self.pool.members:
            member.stepper.close()


def _count(member: Member) -> int:
    return len(member.rows)


def _ended(steppers: Sequence[ApartStepper]) -> list[NDArray[np.float32]]:
    """What each has stepped; where one fails, the others' answers are waited for nevertheless, or
    they would be taken for those to what is asked next.
    """
    answers, failures = [], []
    for stepper in steppers:
        try:
            answers.append(stepper.end())
        except ApartFailed as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return answers
