"""``mimamba score --verify``: make a recording's predictions again, and hold them against it.

The pipeline starts from what it remembered when the recording began, which the file holds, and runs
over the file's signal. A recording that began in mid-session is confirmed like any other.
"""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import tostring

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.formats.xdf.reader import XDFStream, first_indices, load_streams, recognises
from mimamba.drivers.formats.xdf.sample_index import (
    LINK_TOPIC,
    PREDICTIONS_TOPIC,
    SIGNAL_TOPIC,
    read_events,
)
from mimamba.drivers.lsl.description import read_description
from mimamba.drivers.url import parse_source
from mimamba.models.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    list_own_checkpoints,
    list_packaged_checkpoints,
    load_checkpoint,
)
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.decoding.decoder_state import SnapshotError, unpack_state
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import HopCutter
from mimamba.service.recordings.stream_headers import prediction_rows
from mimamba.service.sessions.session_decoder import parse_baseline_seconds

TOLERANCE = 1e-5
"""Of a probability: batches of other sizes round differently."""


@dataclass(frozen=True, eq=False)
class RecordedPredictions:
    """What a file that mimamba has recorded holds.

    ``index`` is (n_times,) of the signal's samples; ``skipped`` the indices of hops that the
    engine had no time for; ``begun`` has, for each baseline that was begun, the sample from which
    on and the seconds; None in their place where it was broken off.
    """

    path: Path
    signal: XDFStream
    index: NDArray[np.int64]
    predictions: XDFStream
    skipped: frozenset[object]
    begun: tuple[tuple[int, float | None], ...] = ()


@dataclass(frozen=True)
class VerificationResult:
    """How many predictions are confirmed, and the first difference, where there is one."""

    confirmed: int
    recorded: int
    difference: str | None
    largest: float

    def __str__(self) -> str:
        counts = f"{self.confirmed} of {self.recorded} recorded predictions confirmed"
        if self.difference:
            return f"{counts}; {self.difference}"
        return f"{counts}; largest difference {self.largest:.1e}"


def verify(recording: str, model: str | None, models: Path | None = None) -> bool:
    """Print the verdict; whether all is confirmed. ``models`` holds the person's own checkpoints.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If the file is none of ours or has no predictions, or the model is another.
    """
    source = parse_source(recording)
    if source.scheme != "replay" or source.parameters:
        raise BadSource("a recording's path", recording, "name a file that mimamba has recorded")
    recorded = load_recorded(Path(source.target))
    verdict = compare(recorded, _checkpoint(recorded.predictions, model, models))
    style = "red" if verdict.difference else "green"
    Console(stderr=True).print(str(verdict), style=style, highlight=False, markup=False)
    return verdict.difference is None


def compare(recorded: RecordedPredictions, checkpoint: Checkpoint) -> VerificationResult:
    """Make the predictions of a recording again and hold them against it."""
    labels = sum(len(names) for names in checkpoint.outputs.values())
    if recorded.predictions.values.shape[1] != labels + 2:
        raise BadRecording(
            f"predictions of {checkpoint.name} in {recorded.path}",
            f"{recorded.predictions.values.shape[1]} channels",
            "the file is damaged",
        )
    again = list(_again(recorded, checkpoint))
    wanted, stamps = recorded.predictions.values, recorded.predictions.stamps
    made = prediction_rows(again, checkpoint.outputs)
    largest = 0.0
    for n, (row, stamp) in enumerate(zip(wanted, stamps, strict=True)):
        if n == len(made):
            return VerificationResult(n, len(wanted), f"the signal ends before hop {n}", largest)
        error = float(np.nanmax(np.abs(made[n] - row), initial=0.0))
        alike = np.array_equal(np.isnan(made[n]), np.isnan(row))
        if not alike or error > TOLERANCE or again[n].timestamp != stamp:
            found = f"hop {n} is {_text(row, stamp)}, and was {_text(made[n], again[n].timestamp)}"
            return VerificationResult(n, len(wanted), found, max(largest, error))
        largest = max(largest, error)
    return VerificationResult(len(wanted), len(wanted), None, largest)


def _text(row: NDArray[np.float64], stamp: float) -> str:
    return f"{np.array2string(row, precision=6, separator=', ', max_line_width=200)} at {stamp:.3f}"


def _again(recorded: RecordedPredictions, checkpoint: Checkpoint) -> Iterator[Prediction]:
    """The predictions, made from the file's snapshot and signal."""
    signal, header = recorded.signal, recorded.predictions
    info = _info(signal)
    r = header.number("desc/mimamba/model/r")
    try:
        decoder = StreamingDecoder(checkpoint, info, r)
        content = b64decode(header.text("desc/mimamba/snapshot"), validate=True)
        state = unpack_state(content, checkpoint, info.sfreq)
    except (SnapshotError, ValueError) as error:
        raise BadRecording(
            f"a snapshot of the pipeline in {recorded.path}", str(error), "it is damaged"
        ) from error
    if len(recorded.index) and recorded.index[0] < state.cutter.end:
        raise BadRecording(
            f"a snapshot from before sample {recorded.index[0]} in {recorded.path}",
            f"one from sample {state.cutter.end}",
            "it is damaged",
        )
    rows = [electrode.row for electrode in decoder.montage]
    cutter = HopCutter(checkpoint.signal, info, rows, checkpoint.montage)
    cutter.state, decoder.state = state.cutter, state
    begun = deque(recorded.begun)
    for chunk in _chunks(recorded, state.cutter.epoch or 0):
        for hop in cutter.feed(chunk):
            while begun and begun[0][0] <= hop.index:
                _rest(decoder, begun.popleft()[1])
            if hop.index in recorded.skipped:
                decoder.skip(hop)
            else:
                yield decoder.predict(hop)


def _rest(decoder: StreamingDecoder, seconds: float | None) -> None:
    """Begin a baseline, or break it off."""
    if seconds is None:
        decoder.cancel_baseline()
    else:
        decoder.start_baseline(seconds)


def _chunks(recorded: RecordedPredictions, epoch: int) -> Iterator[Chunk]:
    """The signal in stretches of up to 1 s without a gap."""
    index, signal = recorded.index, recorded.signal
    longest = max(1, round(signal.rate))
    edges = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
    for begin, end in pairwise(edges):
        for start in range(begin, end, longest):
            part = slice(start, min(start + longest, end))
            data = signal.values[part]
            yield Chunk(data, signal.stamps[part], int(index[start]), epoch)


def load_recorded(path: Path) -> RecordedPredictions:
    """A file's streams.

    Raises
    ------
    BadRecording
        If it is none of ours, or holds no predictions.
    """
    try:
        with path.open("rb") as file:
            ours = recognises(file.read(8))
    except OSError as error:
        raise BadRecording(
            f"a recording at {path}", error.strerror or str(error), "check the path"
        ) from error
    if not ours:
        raise BadRecording(f"an XDF file at {path}", "another format", "name one of mimamba's")
    streams, _ = load_streams(path)
    by_topic = {stream.topic: stream for stream in streams if stream.topic}
    missing = [
        topic for topic in (SIGNAL_TOPIC, LINK_TOPIC, PREDICTIONS_TOPIC) if topic not in by_topic
    ]
    index = None if missing else first_indices(by_topic[SIGNAL_TOPIC], streams)
    if index is None:
        what = f"no stream {' and no '.join(missing)}" if missing else "indices that contradict"
        raise BadRecording(
            f"a recording of mimamba with predictions at {path}", what, "record with a model"
        )
    events = list(read_events(entry[0] for entry in by_topic[LINK_TOPIC].values))
    skipped = {each.get("first") for each in events if each.get("event") == "hops_skipped"}
    try:
        begun = sorted(_begun(events), key=lambda each: each[0])
    except ValueError as error:
        raise BadRecording(f"baselines in {path}", str(error), "it is damaged") from error
    made = by_topic[PREDICTIONS_TOPIC]
    return RecordedPredictions(
        path, by_topic[SIGNAL_TOPIC], index, made, frozenset(skipped), tuple(begun)
    )


def _begun(events: Iterable[dict[str, object]]) -> Iterator[tuple[int, float | None]]:
    """The baselines, begun or broken off; one from before the first sample has no index."""
    for each in events:
        if each.get("event") in ("baseline_begun", "baseline_stopped"):
            first = each.get("first", 0)
            if type(first) is not int:
                raise ValueError(f"Expected a sample's index, but found {first!r}.")
            begins = each["event"] == "baseline_begun"
            yield first, parse_baseline_seconds(str(each.get("detail"))) if begins else None


def _checkpoint(predictions: XDFStream, model: str | None, models: Path | None) -> Checkpoint:
    """The model that was asked for, or the one that the file names; of the same bytes."""
    name = predictions.text("desc/mimamba/model/name")
    wanted = predictions.text("desc/mimamba/model/sha256")
    known = [*list_packaged_checkpoints(), *(list_own_checkpoints(models) if models else ())]
    checkpoint = load_checkpoint(model or (name if name in known else DEFAULT_MODEL), models)
    if checkpoint.sha256 != wanted:
        raise CheckpointError(
            f"the checkpoint {name} with SHA-256 {wanted}",
            f"{checkpoint.name} with {checkpoint.sha256}",
            "pass the file that was used with --model",
        )
    return checkpoint


def _info(signal: XDFStream) -> StreamInfo:
    """The source as the session knew it."""
    xml = tostring(signal.header, encoding="unicode")
    described = read_description(xml, signal.values.shape[1])
    return StreamInfo(
        signal.name,
        signal.text("source_id"),
        signal.rate,
        described.labels,
        signal.number("desc/acquisition/uv_per_bit"),
        signal.number("desc/acquisition/range_uv"),
    )
