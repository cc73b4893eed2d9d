"""Joining of the blocks that carry one number, and the order of numbers.

A sensor's parts (the electrodes) arrive in notifications of their own. They are joined by the
number that the device gave them, never by the order of arrival: a block that lacks a part is lost
for all parts, and no channel shifts against another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mimamba.drivers.muse.packets import Sensor, SensorBlock, Values

REORDER_SECONDS = 0.1
"""Time that a late notification is waited for, s."""
PAUSE_SECONDS = 0.05
"""What a pause between two notifications counts of that time at most, s."""
STALE_SECONDS = 0.5
"""Distance below the newest number, s of samples, beyond which a number is not late: the device
started to count again, or more than a cycle of numbers was lost."""


@dataclass(frozen=True, eq=False)
class JoinedBlock:
    """All parts with one number.

    Parameters
    ----------
    number
        The device's number.
    stamp
        Time of the last sample, s: that of reception of the first part, less its age.
    values
        (n_times, n_channels); NaN for the channels of a part that is missing.
    """

    number: int
    stamp: float
    values: Values


@dataclass
class _Waiting:
    """Parts that arrived, when the first did, and when its last sample was measured, s.

    ``since`` is on the joiner's own clock, which pauses while nothing arrives.
    """

    since: float
    measured: float
    parts: dict[int, Values] = field(default_factory=dict)


class BlockJoiner:
    """Converter of one sensor's blocks, in any order, to joined blocks in the device's order.

    A block is given up ``REORDER_SECONDS`` after a part of it, or of a later one, arrived: by then
    everything that was sent before has arrived, if no notification overtakes another by more than
    that. Without a loss nothing waits. A second notification with the same content is left out, and
    so is one that comes after its block was given up.

    Time counts while notifications arrive: a radio or a program that stalls delays all of them, and
    the rest of a block may be the next that comes.

    Parameters
    ----------
    sensor
        What the blocks belong to.
    """

    def __init__(self, sensor: Sensor) -> None:
        self.sensor = sensor
        self._waiting: dict[int, _Waiting] = {}  # by position: the number, counted on without end
        self._next: int | None = None  # the lowest position that is still wanted
        self._newest = 0
        self._now = 0.0  # the time that counts
        self._heard: float | None = None  # the stamp of the latest notification
        self._stale = max(1, round(STALE_SECONDS / sensor.block_seconds))

    def push(self, block: SensorBlock, stamp: float, age: float = 0.0) -> list[JoinedBlock]:
        """Take a block; return the blocks that are decided.

        Parameters
        ----------
        block
            A part with its number.
        stamp
            Time of reception, s.
        age
            Age of the block's last sample at its reception, s.
        """
        decided = self.expire(stamp)
        position = self._position(block.number)
        if self._next is None or position < self._newest - self._stale:
            decided += self.flush()
            position = self._next = self._newest = block.number
        if position < self._next:
            return decided  # it is there already, or was given up
        self._newest = max(self._newest, position)
        waiting = self._waiting.setdefault(position, _Waiting(self._now, stamp - age))
        waiting.parts.setdefault(block.part, block.values)
        return decided + self._emit_complete()

    def expire(self, now: float) -> list[JoinedBlock]:
        """Give up what did not arrive by ``now``, the stamp of any notification.

        Returns what is decided.
        """
        if self._heard is not None:
            self._now += min(max(now - self._heard, 0.0), PAUSE_SECONDS)
        self._heard = now
        # What has waited for so long proves that all before it was sent.
        overdue = [
            at for at, each in self._waiting.items() if self._now - each.since > REORDER_SECONDS
        ]
        if not overdue:
            return []
        return self._give_up_to(max(overdue)) + self._emit_complete()

    def flush(self) -> list[JoinedBlock]:
        """Give up everything that is missing, and return what is there."""
        return self._give_up_to(max(self._waiting)) if self._waiting else []

    def _position(self, number: int) -> int:
        """Count the number on from the newest, to the nearest in either direction."""
        half = self.sensor.n_numbers // 2
        return self._newest + (number - self._newest + half) % self.sensor.n_numbers - half

    def _emit_complete(self) -> list[JoinedBlock]:
        """Return the blocks that are next and complete."""
        emitted = []
        while self._next is not None and self._next in self._waiting:
            if len(self._waiting[self._next].parts) < self.sensor.n_parts:
                break
            emitted.append(self._join(self._next))
            self._next += 1
        return emitted

    def _give_up_to(self, last: int) -> list[JoinedBlock]:
        """Return what there is up to this position, and want what comes after it."""
        emitted = []
        for position in sorted(at for at in self._waiting if at <= last):
            if len(self._waiting[position].parts) == self.sensor.n_parts or not self.sensor.whole:
                emitted.append(self._join(position))
            else:
                del self._waiting[position]
        self._next = last + 1
        return emitted

    def _join(self, position: int) -> JoinedBlock:
        waiting = self._waiting.pop(position)
        if self.sensor.n_parts == 1:
            values = waiting.parts[0]
        else:
            missing = np.full((self.sensor.n_times, 1), np.nan, np.float32)
            values = np.hstack(
                [waiting.parts.get(part, missing) for part in range(self.sensor.n_parts)]
            )
        return JoinedBlock(position % self.sensor.n_numbers, waiting.measured, values)
