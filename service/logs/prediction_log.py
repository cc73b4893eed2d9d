"""Log of predictions, an hour of them in every session, that takes little memory.

As objects, a prediction takes 1.1 to 1.5 kB: eight sessions grew by 1.4 MB a minute for an hour.
Here it is a row of numbers, 79 bytes of a model with two outputs of two labels, and becomes objects
again when it is read. An hour of them takes its memory within the first five minutes, as all logs
do, and no more after that.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mimamba.models.prediction import LabelSet, LabelSetsByOutput, Outputs, Prediction, Status
from mimamba.service.logs.log import Ring
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.topics import Timing

AnyNumber = TypeVar("AnyNumber", bound=np.generic)
Layout: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of outputs with their labels, in order."""
Why: TypeAlias = tuple[Status, str | None]
"""A status and its reason."""
OK: Why = ("ok", None)
ROW = np.dtype(
    [
        ("index", np.int64),
        ("layout", np.uint8),
        ("why", np.int32),
        ("timestamp", np.float64),
        ("received", np.float64),
        ("stepped", np.float64),
        ("published", np.float64),
    ]
)
"""What every prediction has."""
LABELS = 63
"""Labels of a prediction set that one whole number holds, as bits."""
FULL_SET = (1 << LABELS) - 1
"""The number of all these labels."""
NARROW = np.iinfo(np.int8).max
"""Largest number of a set, of seven labels, that one byte holds."""
NO_SET = -1
"""The number where there is no set."""
LEARNT = 2
"""Columns of what an output's set has learnt: the coverage and the number of labelled hops."""
NO_OUTPUTS: Layout = ()
AHEAD = 12
"""Rows that get their memory for each prediction: those of an hour within five minutes."""
AT_ONCE = 16 * AHEAD
"""Rows that get it together, as to see to it takes longer than a row."""


@dataclass(frozen=True, slots=True)
class PublishedPrediction:
    """A prediction and its times, with the person's own output, if there is one."""

    prediction: Prediction
    timing: Timing
    personal: PersonalReading | None = None


class PredictionLog(Ring[PublishedPrediction]):
    """A bounded, append-only log of predictions, each a row of numbers.

    Parameters
    ----------
    capacity
        Number of entries kept.
    first
        The ``seq`` of its first entry.
    """

    def __init__(self, capacity: int, first: int = 0) -> None:
        super().__init__(capacity, first)
        # The system gives a page of np.zeros when it is first written, by ``_take_pages`` or a row.
        self._rows = np.zeros(capacity, ROW)
        self._shares = np.zeros((capacity, 0))
        self._sets: NDArray[np.int8 | np.int64] = np.zeros((capacity, 0), np.int8)
        self._learnt = np.zeros((capacity, 0))  # only once a true label has come
        self._taken = 0
        """Rows that have their memory."""
        self._layouts = [NO_OUTPUTS]
        self._whys: list[Why] = [OK]
        self._numbers: dict[Why, int] = {OK: 0}
        """Place of each in that list."""
        self._personal = _PersonalRows(0)

    def widen(self, capacity: int) -> None:
        """Keep at least this many entries from now on."""
        with self._lock:
            if capacity <= self._capacity:
                return
            kept = np.arange(self.oldest, self._next) - self._begin
            old, new = kept % self._capacity, kept % capacity
            for name in ("_rows", "_shares", "_sets", "_learnt"):
                array = getattr(self, name)
                wider = np.zeros((capacity, *array.shape[1:]), array.dtype)
                wider[new] = array[old]
                setattr(self, name, wider)
            if self._personal.capacity:
                moved = dict(zip(old.tolist(), new.tolist(), strict=True))
                self._personal = self._personal.moved(moved, capacity)
            self._first_kept, self._capacity, self._taken = self.oldest, capacity, 0

    def _store(self, row: int, entry: PublishedPrediction) -> None:
        made, timing = entry.prediction, entry.timing
        layout = self._find_layout(made.outputs)
        times = made.timestamp, timing.received, timing.stepped, timing.published
        why = self._number_of((made.status, made.reason))
        self._rows[row] = (made.index, layout, why, *times)
        shares = [each for labels in (made.outputs or {}).values() for each in labels.values()]
        sets, written = _pack_sets(made), min(self._next - self._begin, self._capacity)
        if self._sets.itemsize == 1 and max(sets, default=NO_SET) > NARROW:
            self._sets = self._sets.astype(np.int64)
        columns = self._columns()
        self._shares = _write_row(self._shares, row, shares, np.nan, written)
        self._sets = _write_row(self._sets, row, sets, NO_SET, written)
        self._learnt = _write_row(self._learnt, row, _pack_learnt(made), np.nan, written)
        if self._columns() > columns:
            self._taken = 0
        if self._taken < min(AHEAD * (written + 1), self._capacity):
            self._take_pages()
        if entry.personal is not None and not self._personal.capacity:
            self._personal = _PersonalRows(self._capacity)
        self._personal.write(row, entry.personal)

    def _columns(self) -> int:
        """Return the number of columns, which only grows."""
        columns: int = self._shares.shape[1] + self._sets.shape[1] + self._learnt.shape[1]
        return columns

    def _take_pages(self) -> None:
        """Let the next rows have their memory, and keep what is in them.

        Rows would else get it as predictions come, and a service would grow for an hour.
        """
        begin, self._taken = self._taken, min(self._taken + AT_ONCE, self._capacity)
        for array in (self._rows, self._shares, self._sets, self._learnt):
            if array.size:
                first, stop = array.strides[0] * begin, array.strides[0] * self._taken
                pages = array.reshape(-1).view(np.uint8)[first : stop : mmap.PAGESIZE]
                pages |= 0

    def _find_layout(self, outputs: Outputs | None) -> int:
        layout = tuple((name, tuple(labels)) for name, labels in (outputs or {}).items())
        if layout not in self._layouts:
            self._layouts.append(layout)
        return self._layouts.index(layout)

    def _number_of(self, why: Why) -> int:
        """Return the number of a status and its reason; a signal that stays poor has few."""
        number = self._numbers.get(why)
        if number is None:
            if len(self._whys) > 2 * self._capacity:
                self._drop_whys()
            number = self._numbers[why] = len(self._whys)
            self._whys.append(why)
        return number

    def _drop_whys(self) -> None:
        """Forget those that no row has any more."""
        kept, numbers = np.unique(np.append(self._rows["why"], 0), return_inverse=True)
        self._rows["why"] = numbers[:-1]
        self._whys = [self._whys[number] for number in kept.tolist()]
        self._numbers = {why: number for number, why in enumerate(self._whys)}

    def _load(self, row: int) -> PublishedPrediction:
        index, number, why, timestamp, *times = self._rows[row].item()
        layout, values = self._layouts[number], iter(self._shares[row].tolist())
        outputs = {name: {label: next(values) for label in labels} for name, labels in layout}
        sets = _unpack_sets(layout, self._sets[row].tolist(), self._learnt[row].tolist())
        status, reason = self._whys[why]
        made = Prediction(index, timestamp, status, reason, outputs or None, sets)
        return PublishedPrediction(made, Timing(*times), self._personal.read(row))


def _write_row(
    array: NDArray[AnyNumber], row: int, values: Sequence[float], none: float, written: int
) -> NDArray[AnyNumber]:
    """Write values to a row, and ``none`` behind them; return the array, wider where they need it.

    What was in this row before is gone. Of a wider array only the rows ``written`` so far are
    touched, so that the others take no memory yet.
    """
    width = array.shape[1]
    if len(values) > width:  # a model with more labels
        narrower, array = array, np.zeros((len(array), len(values)), array.dtype)
        array[:written, :width] = narrower[:written]
        array[:written, width:] = none
    if array.shape[1]:
        array[row] = [*values, *[none] * (array.shape[1] - len(values))]
    return array


def _pack_sets(made: Prediction) -> list[int]:
    """Write the labels of the prediction sets as numbers; nothing without any."""
    if made.set is None or made.outputs is None:
        return []
    packed: list[int] = []
    for output, shares in made.outputs.items():
        found = made.set.get(output)
        if found is None:
            packed += [NO_SET] * _numbers_for(len(shares))
        else:
            bits = sum(1 << n for n, label in enumerate(shares) if label in found.labels)
            packed += [bits >> LABELS * n & FULL_SET for n in range(_numbers_for(len(shares)))]
    return packed


def _numbers_for(n_labels: int) -> int:
    """Return how many whole numbers the prediction set of an output takes."""
    return -(-n_labels // LABELS)


def _pack_learnt(made: Prediction) -> list[float]:
    """Write what the prediction sets have learnt as numbers; nothing as long as it is nothing."""
    if made.set is None or made.outputs is None:
        return []
    if not any(each.labelled or each.coverage is not None for each in made.set.values()):
        return []
    values: list[float] = []
    for output in made.outputs:
        found = made.set.get(output, LabelSet((), None, 0))
        coverage = np.nan if found.coverage is None else found.coverage
        values += [coverage, float(found.labelled)]
    return values


def _unpack_sets(
    layout: Layout, bits: Sequence[int], learnt: Sequence[float]
) -> LabelSetsByOutput | None:
    """Read the prediction sets; None if there are none."""
    found: LabelSetsByOutput = {}
    begin = 0
    for place, (output, labels) in enumerate(layout):
        end = begin + _numbers_for(len(labels))
        held, begin = bits[begin:end], end
        if held and held[0] != NO_SET:
            there = tuple(
                label for n, label in enumerate(labels) if held[n // LABELS] >> n % LABELS & 1
            )
            coverage, labelled = learnt[LEARNT * place :][:LEARNT] or (math.nan, math.nan)
            found[output] = LabelSet(
                there,
                None if math.isnan(coverage) else coverage,
                0 if math.isnan(labelled) else int(labelled),
            )
    return found or None


UNSURE, NO_READING = 2, 255
"""Codes of a personal output that is not sure, and of a row without one."""


class _PersonalRows:
    """Personal outputs as rows of numbers; with a capacity of 0 it has none."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._index = np.zeros(capacity, np.int64)
        self._second = np.zeros(capacity)
        self._state = np.full(capacity, NO_READING, np.uint8)
        self._kinds = np.zeros(capacity, np.uint8)
        self._pairs: list[tuple[str, ...]] = []
        self._abstained: dict[int, tuple[Status, str | None]] = {}

    def write(self, row: int, reading: PersonalReading | None) -> None:
        """Write a row; None for no personal output."""
        if not self.capacity:
            return
        self._abstained.pop(row, None)
        self._state[row] = NO_READING
        if reading is None:
            return
        self._index[row] = reading.index
        self._state[row] = UNSURE
        if reading.probabilities is None:
            self._abstained[row] = reading.status, reading.reason
            return
        pair = tuple(reading.probabilities)
        if pair not in self._pairs:
            self._pairs.append(pair)
        self._kinds[row] = self._pairs.index(pair)
        self._second[row] = reading.probabilities[pair[1]]
        if reading.state is not None:
            self._state[row] = pair.index(reading.state)

    def read(self, row: int) -> PersonalReading | None:
        """Read a row."""
        if not self.capacity or self._state[row] == NO_READING:
            return None
        index, state = int(self._index[row]), int(self._state[row])
        if row in self._abstained:
            return PersonalReading(index, *self._abstained[row], None, None)
        one, other = self._pairs[self._kinds[row]]
        second = float(self._second[row])
        name = None if state == UNSURE else (one, other)[state]
        return PersonalReading(index, "ok", None, {one: 1.0 - second, other: second}, name)

    def moved(self, rows: dict[int, int], capacity: int) -> _PersonalRows:
        """Return the same with other rows."""
        made = _PersonalRows(capacity)
        for old, new in rows.items():
            made.write(new, self.read(old))
        return made
