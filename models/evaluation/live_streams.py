"""Joining of labelled sequences into the streams of the live reading.

A live session is never reset when a person's state changes. So the parts of different labels of one
person are joined into one stream, as if they had been recorded without a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.models.training.windowing import HopSequence

EVENT = "_event-"
"""Text before an event's number in a trial's name; the recording's name stands before it."""


@dataclass(frozen=True)
class StreamPart:
    """Hops ``start`` to ``stop`` (excluded) of the sequence at the index ``sequence``."""

    sequence: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class LiveStream:
    """Stream of one person, with the parts of the original sequences that it consists of."""

    joined: HopSequence
    parts: tuple[StreamPart, ...]

    def gather(self, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Join values of hops, given one array (n_hops, ...) per original sequence."""
        return np.concatenate([values[p.sequence][p.start : p.stop] for p in self.parts])

    @property
    def n_switches(self) -> int:
        """Number of hops with another label than the hop before."""
        labels = self.joined.labels
        return int((labels[1:] != labels[:-1]).any(1).sum())


def join_streams(sequences: Sequence[HopSequence]) -> list[LiveStream]:
    """Join the sequences of each person into streams; those without hops are left out.

    Recordings that hold several labels stay as they are: one stream for each recording. Otherwise a
    person's sequences become one stream, in the order of the data set. If there is only one
    sequence of each label, the longest is cut in half and surrounds the others, so that every label
    is entered from another one. No state is reset where parts join; gaps of the signal within a
    part reset it, as they do in a live session.
    """
    people = dict.fromkeys(sequence.person for sequence in sequences if len(sequence.windows))
    return [
        _join(sequences, parts)
        for person in people
        for parts in _streams_of(
            sequences,
            [i for i, s in enumerate(sequences) if s.person == person and len(s.windows)],
        )
    ]


def has_switches(streams: Sequence[LiveStream]) -> bool:
    """Check that the live reading is possible: some stream changes its label."""
    return any(stream.n_switches for stream in streams)


def _streams_of(
    sequences: Sequence[HopSequence], places: Sequence[int]
) -> list[tuple[StreamPart, ...]]:
    """Return the parts of each stream of one person, whose sequences are at ``places``."""
    whole = [StreamPart(i, 0, len(sequences[i].windows)) for i in places]
    if any((sequences[i].labels != sequences[i].labels[0]).any() for i in places):
        return [(part,) for part in whole]
    recordings: dict[str, list[StreamPart]] = {}
    for part in whole:
        name = sequences[part.sequence].trial.partition(EVENT)[0]
        recordings.setdefault(name, []).append(part)
    if any(len(_labels(sequences, parts)) > 1 for parts in recordings.values()):
        return [tuple(parts) for parts in recordings.values()]
    if 1 < len(whole) == len(_labels(sequences, whole)):
        longest = max(whole, key=lambda part: part.stop)
        middle = longest.stop // 2
        others = [part for part in whole if part is not longest]
        first = StreamPart(longest.sequence, 0, middle)
        last = StreamPart(longest.sequence, middle, longest.stop)
        return [(*([first] if middle else []), *others, last)]
    return [tuple(whole)]


def _labels(sequences: Sequence[HopSequence], parts: Sequence[StreamPart]) -> set[tuple[int, ...]]:
    return {tuple(sequences[part.sequence].labels[0].tolist()) for part in parts}


def _join(sequences: Sequence[HopSequence], parts: Sequence[StreamPart]) -> LiveStream:
    def cut(part: StreamPart) -> HopSequence:
        s, rows = sequences[part.sequence], slice(part.start, part.stop)
        return HopSequence(s.windows[rows], s.restart[rows], s.labels[rows], s.person, s.trial)

    pieces = [cut(part) for part in parts]
    if len(pieces) == 1:
        return LiveStream(pieces[0], tuple(parts))
    restart = np.concatenate([piece.restart for piece in pieces])
    starts = np.cumsum([0, *(len(piece.windows) for piece in pieces)])[:-1]
    joins = [start for start, part in zip(starts, parts, strict=True) if part.start == 0]
    restart[joins] = False
    restart[0] = True
    joined = HopSequence(
        np.concatenate([piece.windows for piece in pieces]),
        restart,
        np.concatenate([piece.labels for piece in pieces]),
        pieces[0].person,
        pieces[0].trial,
    )
    return LiveStream(joined, tuple(parts))
