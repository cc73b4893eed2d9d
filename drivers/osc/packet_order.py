"""Order of numbered samples that come by UDP: late ones are sorted in, repeats are dropped."""

from __future__ import annotations

from dataclasses import dataclass

HOLD_SECONDS = 0.1
"""Time for which a missing sample is waited for, s."""
RESTART = 2560
"""Step back of the numbers, 10 s of a Muse, by which they have been started again."""


@dataclass(frozen=True)
class NumberedSample:
    """A sample with its number and its time of arrival, s."""

    number: int
    stamp: float
    values: tuple[float, ...]


class NumberOrder:
    """Buffer that gives samples back by number; each once."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, NumberedSample] = {}

    def push(self, sample: NumberedSample) -> list[NumberedSample]:
        """Add the sample that arrived next; return those that are in order by now."""
        done: list[NumberedSample] = []
        if self._next is not None and sample.number <= self._next - RESTART:
            done += self.flush()
        if self._next is None or sample.number >= self._next:
            self._held.setdefault(sample.number, sample)
        return done + self.expire(sample.stamp)

    def expire(self, now: float) -> list[NumberedSample]:
        """Return the samples in order, with gaps where one is missing for too long."""
        done: list[NumberedSample] = []
        while self._held:
            if self._next not in self._held:
                oldest = min(each.stamp for each in self._held.values())
                if now - oldest <= HOLD_SECONDS:
                    break
                self._next = min(self._held)
            done.append(self._held.pop(self._next))
            self._next += 1
        return done

    def flush(self) -> list[NumberedSample]:
        """Return all samples that are held, in order; the next one may have any number."""
        done = [self._held[number] for number in sorted(self._held)]
        self._held.clear()
        self._next = None
        return done
