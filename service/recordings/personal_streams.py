"""Streams of a recording with a person's own output: one for each head that was used.

A header contains the head's file, the rest that it was aligned by, and the sample at which it
began, so that its rows can be made again from the recording's signal.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.xdf.chunk_writer import StreamHeader, XDFWriter
from mimamba.drivers.formats.xdf.sample_index import PERSONAL_TOPIC
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.recordings.stream_headers import STATUS
from mimamba.service.sessions.epoch_logs import EpochLogs

if TYPE_CHECKING:
    from mimamba.service.sessions.personal_decoder import PersonalDecoder, TimedReading
    from mimamba.service.sessions.session import Session

MODEL_HOPS, OWN_HOPS = "model", "own"
"""Cutters of the hops: the model's, whose state at the file's start the predictions' header has, or
one of its own, which began at ``first``."""
UNSURE = 2.0
"""Value of the channel ``state`` inside the unsure band; 0 and 1 are the two states."""


class PersonalStreams:
    """The streams of all heads that a session uses while it is recorded.

    Parameters
    ----------
    writer
        The file.
    session, logs
        The session, and the logs that are recorded.
    """

    def __init__(self, writer: XDFWriter, session: Session, logs: EpochLogs) -> None:
        self._writer, self._session, self._logs = writer, session, logs
        self._next_head = max(0, len(logs.heads) - 1)
        self._streams: dict[PersonalDecoder, int] = {}
        self._at: dict[PersonalDecoder, int] = {}

    def news(self) -> list[tuple[PersonalDecoder, list[TimedReading]]]:
        """Return the new outputs, to be written after their signal."""
        for decoder in self._logs.heads[self._next_head :]:
            self._next_head += 1
            if decoder is not None:
                self._at[decoder] = 0
        found = []
        for decoder, at in self._at.items():
            entries = decoder.readings.read(at, decoder.readings.next)
            if entries:
                self._at[decoder] = entries[-1][0] + 1
                found.append((decoder, [entry for _, entry in entries]))
        return found

    def write(self, news: list[tuple[PersonalDecoder, list[TimedReading]]]) -> None:
        """Append outputs."""
        for decoder, entries in news:
            if decoder not in self._streams:
                header = personal_header(self._session, decoder)
                self._streams[decoder] = self._writer.declare_late(header, local_clock())
            stamps = np.array([each.timestamp for each in entries])
            kinds = decoder.head.card.kinds
            rows = personal_rows([each.reading for each in entries], kinds)
            self._writer.numbers(self._streams[decoder], stamps, rows)


def personal_header(session: Session, decoder: PersonalDecoder) -> StreamHeader:
    """Return the header of a head's outputs: its file, its rest, its first sample."""
    assert session.info is not None
    assert decoder.first is not None
    card, baseline = decoder.head.card, decoder.baseline
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
                    "file": b64encode(decoder.head.content).decode(),
                },
                "first": str(decoder.first[0]),
                "hops": MODEL_HOPS if decoder.shares else OWN_HOPS,
                "rest": repr(float(decoder.rest)),
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
