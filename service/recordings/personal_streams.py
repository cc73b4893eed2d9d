"""Streams of a recording with a person's own output: one for each head that was used.

A header contains the head's file, the rest that it was aligned by, and the sample at which it
began, so that its rows can be made again from the recording's signal.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.xdf.chunk_writer import StreamHeader, XDFWriter
from mimamba.drivers.formats.xdf.sample_index import PERSONAL_TOPIC
from mimamba.service.logs.epoch_logs import EpochLogs
from mimamba.service.logs.head_use import HeadOrigin, TimedReading
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.recordings.stream_headers import STATUS

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session

MODEL_HOPS, OWN_HOPS = "model", "own"
"""Cutters of the hops: the model's, whose state at the file's start the predictions' header has, or
one of its own, which began at ``first``."""
UNSURE = 2.0
"""Value of the channel ``state`` inside the unsure band; 0 and 1 are the two states."""


@dataclass(frozen=True)
class RecordedHead:
    """A head in a file.

    Parameters
    ----------
    stream
        Number of its stream.
    kinds
        Its two states.
    at
        Number of the reading that comes next.
    """

    stream: int
    kinds: tuple[str, str]
    at: int


@dataclass(frozen=True)
class RecordedHeads:
    """The heads of a file, by their numbers in the session's epoch, from ``first`` on."""

    first: int = 0
    heads: dict[int, RecordedHead] = field(default_factory=dict)


PersonalNews: TypeAlias = "list[tuple[int, int, list[TimedReading]]]"
"""New outputs of heads: the head's number, that of the reading after them, and they."""


class PersonalStreams:
    """The streams of all heads that a session uses while it is recorded.

    Parameters
    ----------
    writer
        The file.
    session, logs
        The session, and the logs that are recorded.
    recorded
        The heads in the file so far, and the first one to be recorded.
    """

    def __init__(
        self, writer: XDFWriter, session: Session, logs: EpochLogs, recorded: RecordedHeads
    ) -> None:
        self._writer, self._session, self._logs = writer, session, logs
        self._first, self._heads = recorded.first, dict(recorded.heads)

    @property
    def recorded(self) -> RecordedHeads:
        """The heads in the file, with everything that was written."""
        return RecordedHeads(self._first, dict(self._heads))

    def news(self) -> PersonalNews:
        """Return the new outputs, to be written after their signal."""
        found = []
        for number, use in list(self._logs.heads.items()):
            there = self._heads.get(number)
            if number < self._first or (there is None and use.output.origin is None):
                continue
            entries = use.read(use.since if there is None else there.at)
            if entries:
                found.append((number, entries[-1][0] + 1, [entry for _, entry in entries]))
        return found

    def write(self, news: PersonalNews) -> None:
        """Append outputs."""
        for number, after, entries in news:
            there = self._heads.get(number) or self._declare(number)
            stamps = np.array([each.timestamp for each in entries])
            rows = personal_rows([each.reading for each in entries], there.kinds)
            self._writer.numbers(there.stream, stamps, rows)
            self._heads[number] = replace(there, at=after)

    def _declare(self, number: int) -> RecordedHead:
        origin = self._logs.heads[number].output.origin
        assert origin is not None
        header = personal_header(self._session, origin)
        stream = self._writer.declare_late(header, self._session.now())
        return RecordedHead(stream, origin.card.kinds, 0)


def personal_header(session: Session, origin: HeadOrigin) -> StreamHeader:
    """Return the header of a head's outputs: its file, its rest, its first sample."""
    assert session.info is not None
    card, baseline = origin.card, origin.baseline
    power = b"" if baseline is None else np.ascontiguousarray(baseline.log_power, "<f8").tobytes()
    channels = [
        *({"label": kind, "unit": "probability", "type": "Personal"} for kind in card.kinds),
        {"label": "state", "unit": "code", "type": "State"},
        {"label": "index", "unit": "sample", "type": "Index"},
        {"label": "status", "unit": "code", "type": "Status"},
    ]
    return StreamHeader(
        name=f"{session.info.name} personal",
        kind="Personal",
        channel_format="double64",
        sfreq=0.0,
        source_id=card.id,
        channels=channels,
        desc={
            "mimamba": {
                "topic": PERSONAL_TOPIC,
                "head": {
                    "id": card.id,
                    "contrast": card.contrast,
                    "verdict": card.verdict,
                    "served": card.served,
                    "sentence": card.sentence,
                    "day": card.day,
                    "confirmed": str(int(card.confirmed)),
                    "file": b64encode(origin.content).decode(),
                },
                "first": str(origin.first),
                "hops": MODEL_HOPS if origin.shares else OWN_HOPS,
                "rest": repr(float(origin.rest)),
                "baseline": {
                    "seconds": repr(float(baseline.seconds if baseline else 0.0)),
                    "log_power": b64encode(power).decode(),
                },
                "state": {"unsure": f"{UNSURE:g}"},
                "status": {name: f"{value:g}" for name, value in STATUS.items()},
            }
        },
    )


def personal_rows(
    readings: Sequence[PersonalReading], kinds: tuple[str, str]
) -> NDArray[np.float64]:
    """Return (n_hops, 5): both probabilities and the state, NaN without; index; status."""
    rows = []
    for each in readings:
        chances = [np.nan, np.nan, np.nan]
        if each.probabilities is not None:
            state = UNSURE if each.state is None else float(kinds.index(each.state))
            chances = [each.probabilities[kind] for kind in kinds] + [state]
        rows.append([*chances, each.index, STATUS[each.status]])
    return np.array(rows)
