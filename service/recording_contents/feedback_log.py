"""Feedback for studies that is logged in a recording: whose values were shown, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.sample_index import FEEDBACK_TOPIC, SIGNAL_TOPIC
from mimamba.service.protocol.feedback_state import FeedbackSource

if TYPE_CHECKING:
    from mimamba.drivers.formats.xdf.reader import XDFStream

STATES: Final = ("on", "off", "silent")


class FeedbackNote(msgspec.Struct, frozen=True):
    """An event of the log as it is in the recording; fields that are not its own are absent."""

    id: str
    event: str
    quantity: str = ""
    side: str = ""
    at: float = 0.0
    back: float = 0.0
    source: FeedbackSource = "real"
    chosen: str = ""
    blind: bool = False
    among: list[str] = []
    sham: str | None = None
    start: float = msgspec.field(name="from", default=0.0)
    pass_seconds: float = 0.0
    shown: float = 0.0
    number: int = msgspec.field(name="pass", default=1)
    reason: str | None = None


DECODER = msgspec.json.Decoder(FeedbackNote)


@dataclass(frozen=True)
class FeedbackRun:
    """Feedback that was given in a recording.

    Parameters
    ----------
    id, quantity, side, at, back
        Its name, what was followed, and the threshold.
    source
        The wearer's own values, or those of another recording.
    chosen
        ``real`` or ``sham`` if a person chose that, ``drawn`` if the service did, ``balanced`` if
        it did so over the people of a study.
    blind
        Whether nobody was told meanwhile.
    among
        Recordings that were given for a sham.
    sham, sham_from, sham_seconds
        The recording whose values were shown, if so; its values begin so many seconds after its
        first prediction or band power, and start over after so many.
    began, ended
        Seconds from the recording's first sample; the end is that of the log if it has none.
    passes
        Times that the values of a sham began, the first one and earlier steps of a study included.
    on, silent
        Seconds with feedback, and without a value.
    switches
        Seconds from the recording's first sample, and what it was from there on: ``on``, ``off``
        or ``silent``.
    reason
        Why it ended; None if it went on at the end of the recording.
    sham_shown
        Seconds of the sham that earlier steps of the study had shown: it went on there.
    """

    id: str
    quantity: str
    side: str
    at: float
    back: float
    source: FeedbackSource
    chosen: str
    blind: bool
    among: list[str]
    sham: str | None
    sham_from: float
    sham_seconds: float
    began: float
    ended: float
    passes: int = 1
    on: float = 0.0
    silent: float = 0.0
    switches: list[tuple[float, str]] = field(default_factory=list)
    reason: str | None = None
    sham_shown: float = 0.0


def read_feedback_log(path: Path) -> list[FeedbackRun]:
    """Read the feedback that is logged in a recording, in order; none in one of another program.

    Raises
    ------
    BadRecording
        If the file, or its log of feedback, cannot be read.
    """
    from mimamba.drivers.formats.xdf.reader import load_streams, recognises

    try:
        with path.open("rb") as file:
            if not recognises(file.read(8)):
                return []
    except OSError as error:
        raise BadRecording(
            f"a recording at {path}", error.strerror or str(error), "correct the path"
        ) from None
    streams = load_streams(path)[0]
    signal = next((each for each in streams if each.topic == SIGNAL_TOPIC), None)
    logged = next((each for each in streams if each.topic == FEEDBACK_TOPIC), None)
    if logged is None or signal is None or not len(signal.stamps):
        return []
    notes = _notes(logged, float(signal.stamps[0]), path)
    end = float(signal.stamps[-1] - signal.stamps[0])
    runs: dict[str, list[tuple[float, FeedbackNote]]] = {}
    for at, note in notes:
        runs.setdefault(note.id, []).append((at, note))
    return [_run(each, end) for each in runs.values()]


def _notes(stream: XDFStream, start: float, path: Path) -> list[tuple[float, FeedbackNote]]:
    expected, remedy = f"the log of feedback in {path.name}", "use an unchanged copy"
    if not stream.is_text:
        raise BadRecording(expected, "a stream of numbers", remedy)
    if not np.isfinite([start, *stream.stamps]).all():
        raise BadRecording(expected, "a time that is not finite", remedy)
    try:
        return [
            (float(stamp) - start, DECODER.decode(row[0]))
            for stamp, row in zip(stream.stamps, stream.values, strict=True)
        ]
    except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
        raise BadRecording(expected, str(error), remedy) from error


def _run(notes: Sequence[tuple[float, FeedbackNote]], recording_end: float) -> FeedbackRun:
    """Put the events of one run together; it is silent up to its first value."""
    (began, first), (last, closing) = notes[0], notes[-1]
    over = closing.event == "end"
    ended = last if over else max(last, recording_end)
    switches = [(at, note.event) for at, note in notes if note.event in STATES]
    run = FeedbackRun(
        first.id,
        first.quantity,
        first.side,
        first.at,
        first.back,
        first.source,
        first.chosen,
        first.blind,
        first.among,
        first.sham,
        first.start,
        first.pass_seconds,
        began,
        ended,
        max((note.number for _, note in notes if note.event == "pass"), default=1),
        switches=switches,
        reason=closing.reason if over else None,
        sham_shown=first.shown,
    )
    spans = [*pairwise([(began, "silent"), *switches, (ended, "")])]
    return replace(
        run,
        on=sum(after - at for (at, what), (after, _) in spans if what == "on"),
        silent=sum(after - at for (at, what), (after, _) in spans if what == "silent"),
    )
