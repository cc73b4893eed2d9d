"""Verification of a recording: reproduce its predictions and compare them.

The pipeline starts from its state at the start of the recording, which the file contains, and
decodes the file's signal. It can verify a recording that started in the middle of a session, too.
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

from mimamba.drivers.driver import Chunk, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording, BadSource
from mimamba.drivers.formats.xdf.reader import XDFStream, first_indices, load_streams, recognises
from mimamba.drivers.formats.xdf.sample_index import (
    LINK_TOPIC,
    PERSONAL_TOPIC,
    PREDICTIONS_TOPIC,
    SETS_TOPIC,
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
from mimamba.models.signal.hops import NO_NUMBERS, HopCutter
from mimamba.service.recordings.stream_headers import prediction_rows, set_rows
from mimamba.service.recordings.verify_personal import compare_personal
from mimamba.service.sessions.session_decoder import parse_baseline_seconds

TOLERANCE = 1e-5
"""Of a probability: batches of other sizes are rounded differently."""


@dataclass(frozen=True, eq=False)
class RecordedPredictions:
    """Streams of a file that mimamba has recorded.

    Parameters
    ----------
    index
        (n_times,) of the signal's samples.
    skipped
        Indices of hops that the engine had no time for.
    begun
        For each baseline its first sample and its seconds; None as seconds if it was cancelled.
    personal
        Outputs of each personal head that was used.
    sets
        Prediction sets; None if there are none.
    labelled
        True labels, each with its first sample.
    """

    path: Path
    signal: XDFStream
    index: NDArray[np.int64]
    predictions: XDFStream
    skipped: frozenset[object]
    begun: tuple[tuple[int, float | None], ...] = ()
    personal: tuple[XDFStream, ...] = ()
    sets: XDFStream | None = None
    labelled: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class VerificationResult:
    """Number of confirmed predictions, and the first difference if there is one.

    ``sets`` of the recorded predictions have a set of labels.
    """

    confirmed: int
    recorded: int
    difference: str | None
    largest: float
    sets: int = 0

    def __str__(self) -> str:
        counts = f"{self.confirmed} of {self.recorded} recorded predictions confirmed"
        if self.sets:
            counts += f", {self.sets} with their sets"
        if self.difference:
            return f"{counts}; {self.difference}"
        return f"{counts}; largest difference {self.largest:.1e}"


def verify(recording: str, model: str | None, models: Path | None = None) -> bool:
    """Verify a recording and print the result; returns whether all predictions are confirmed.

    Parameters
    ----------
    recording
        A path.
    model
        Name or path of the checkpoint; by default the one that the file names.
    models
        Folder of the person's own checkpoints.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If mimamba has not recorded the file, it has no predictions, or the model is another one.
    """
    source = parse_source(recording)
    if source.scheme != "replay" or source.parameters:
        raise BadSource("a recording's path", recording, "choose a file that mimamba has recorded")
    recorded = load_recorded(Path(source.target))
    result = compare(recorded, _checkpoint(recorded.predictions, model, models))
    style = "red" if result.difference else "green"
    Console(stderr=True).print(str(result), style=style, highlight=False, markup=False)
    return verify_personal(recorded) and result.difference is None


def verify_personal(recorded: RecordedPredictions) -> bool:
    """Make the personal outputs of a recording again, print the result; True if all are equal."""
    info, same = _info(recorded.signal), True
    for stream in recorded.personal:
        chunks = _chunks(recorded, 0)
        snapshot = recorded.predictions.text("desc/mimamba/snapshot")
        n, total, difference = compare_personal(stream, chunks, info, recorded.path, snapshot)
        counts = f"{n} of {total} recorded personal outputs confirmed"
        style = "red" if difference else "green"
        text = f"{counts}; {difference}" if difference else counts
        Console(stderr=True).print(text, style=style, highlight=False, markup=False)
        same = same and difference is None
    return same


def compare(recorded: RecordedPredictions, checkpoint: Checkpoint) -> VerificationResult:
    """Reproduce the predictions of a recording and compare them."""
    labels = sum(len(names) for names in checkpoint.outputs.values())
    if recorded.predictions.values.shape[1] != labels + 2:
        raise BadRecording(
            f"predictions of {checkpoint.name} in {recorded.path}",
            f"{recorded.predictions.values.shape[1]} channels",
            "do not use the file: it is damaged",
        )
    wanted, stamps = recorded.predictions.values, recorded.predictions.stamps
    reproduced = _without_new_reports(_reproduce(recorded, checkpoint), stamps)
    found = prediction_rows(reproduced, checkpoint.outputs)
    largest = 0.0
    for n, (row, stamp) in enumerate(zip(wanted, stamps, strict=True)):
        if n == len(found):
            return VerificationResult(n, len(wanted), f"the signal ends before hop {n}", largest)
        error = float(np.nanmax(np.abs(found[n] - row), initial=0.0))
        alike = np.array_equal(np.isnan(found[n]), np.isnan(row))
        if not alike or error > TOLERANCE or reproduced[n].timestamp != stamp:
            other = _text(found[n], reproduced[n].timestamp)
            text = f"hop {n} is {_text(row, stamp)}, but was reproduced as {other}"
            return VerificationResult(n, len(wanted), text, max(largest, error))
        largest = max(largest, error)
    n_sets = len(recorded.sets.values) if recorded.sets else 0
    difference = _compare_sets(recorded, reproduced[: len(wanted)], checkpoint)
    return VerificationResult(len(wanted), len(wanted), difference, largest, n_sets)


def _compare_sets(
    recorded: RecordedPredictions, reproduced: list[Prediction], checkpoint: Checkpoint
) -> str | None:
    """Return the first difference of the sets of labels in words; None if they are the same.

    A recording of a release without sets has no stream of them, which is no difference.
    """
    if recorded.sets is None:
        return None
    wanted = recorded.sets.values
    made = [each for each in reproduced if each.set]
    found = set_rows(made, checkpoint.outputs)
    if found.shape != wanted.shape:
        return f"{len(wanted)} sets of labels were recorded, but {len(found)} reproduced"
    same = np.isclose(found, wanted, rtol=0, atol=1e-9, equal_nan=True).all(axis=1)
    if same.all():
        return None
    n = int(np.argmin(same))
    return f"the set {n} is {_text(wanted[n], made[n].timestamp)}, but was reproduced as " + _text(
        found[n], made[n].timestamp
    )


def _without_new_reports(made: Iterable[Prediction], stamps: Seconds) -> list[Prediction]:
    """Leave out reports of channels without numbers that the file has none of.

    Older recordings have no prediction at all where a channel gave no numbers.
    """
    recorded = set(stamps.tolist())
    return [
        each for each in made if each.timestamp in recorded or NO_NUMBERS not in (each.reason or "")
    ]


def _text(row: NDArray[np.float64], stamp: float) -> str:
    return f"{np.array2string(row, precision=6, separator=', ', max_line_width=200)} at {stamp:.3f}"


def _reproduce(recorded: RecordedPredictions, checkpoint: Checkpoint) -> Iterator[Prediction]:
    """Reproduce the predictions from the file's snapshot and signal."""
    signal, header = recorded.signal, recorded.predictions
    info = _info(signal)
    r = header.number("desc/mimamba/model/r")
    try:
        decoder = StreamingDecoder(checkpoint, info, r)
        content = b64decode(header.text("desc/mimamba/snapshot"), validate=True)
        state = unpack_state(content, checkpoint, info.sfreq)
    except (SnapshotError, ValueError) as error:
        raise BadRecording(
            f"a snapshot of the pipeline in {recorded.path}",
            str(error),
            "do not use the file: it is damaged",
        ) from error
    if len(recorded.index) and recorded.index[0] < state.cutter.end:
        raise BadRecording(
            f"a snapshot from before sample {recorded.index[0]} in {recorded.path}",
            f"one from sample {state.cutter.end}",
            "do not use the file: it is damaged",
        )
    rows = [electrode.row for electrode in decoder.montage]
    cutter = HopCutter(checkpoint.signal, info, rows, checkpoint.montage)
    cutter.state, decoder.state = state.cutter, state
    begun, labelled = deque(recorded.begun), deque(recorded.labelled)
    for chunk in _chunks(recorded, state.cutter.epoch or 0):
        for hop in cutter.feed(chunk):
            while begun and begun[0][0] <= hop.index:
                _apply_baseline(decoder, begun.popleft()[1])
            while labelled and labelled[0][0] <= hop.index:
                label = decoder.label_sets.parse(labelled.popleft()[1])
                if label is not None:
                    decoder.label_sets.use(label)
            if hop.index in recorded.skipped:
                decoder.skip(hop)
            else:
                yield decoder.predict(hop)


def _apply_baseline(decoder: StreamingDecoder, seconds: float | None) -> None:
    """Begin a baseline, or cancel it."""
    if seconds is None:
        decoder.cancel_baseline()
    else:
        decoder.start_baseline(seconds)


def _chunks(recorded: RecordedPredictions, epoch: int) -> Iterator[Chunk]:
    """Cut the signal into chunks of up to 1 s without a gap."""
    index, signal = recorded.index, recorded.signal
    longest = max(1, round(signal.rate))
    edges = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
    for begin, end in pairwise(edges):
        for start in range(begin, end, longest):
            part = slice(start, min(start + longest, end))
            data = signal.values[part]
            yield Chunk(data, signal.stamps[part], int(index[start]), epoch)


def load_recorded(path: Path) -> RecordedPredictions:
    """Load the streams of a file.

    Raises
    ------
    BadRecording
        If mimamba has not recorded it, or it contains no predictions.
    """
    try:
        with path.open("rb") as file:
            ours = recognises(file.read(8))
    except OSError as error:
        raise BadRecording(
            f"a recording at {path}", error.strerror or str(error), "check the path"
        ) from error
    if not ours:
        raise BadRecording(
            f"an XDF file at {path}", "another format", "choose a file that mimamba has recorded"
        )
    streams, _ = load_streams(path)
    by_topic = {stream.topic: stream for stream in streams if stream.topic}
    missing = [
        topic for topic in (SIGNAL_TOPIC, LINK_TOPIC, PREDICTIONS_TOPIC) if topic not in by_topic
    ]
    index = None if missing else first_indices(by_topic[SIGNAL_TOPIC], streams)
    if index is None:
        what = f"no stream {' and no '.join(missing)}" if missing else "contradictory indices"
        raise BadRecording(
            f"a recording of mimamba with predictions at {path}",
            what,
            "choose a recording with a model",
        )
    events = list(read_events(entry[0] for entry in by_topic[LINK_TOPIC].values))
    skipped = {each.get("first") for each in events if each.get("event") == "hops_skipped"}
    try:
        begun = sorted(_begun(events), key=lambda each: each[0])
    except ValueError as error:
        raise BadRecording(
            f"baselines in {path}", str(error), "do not use the file: it is damaged"
        ) from error
    made = by_topic[PREDICTIONS_TOPIC]
    return RecordedPredictions(
        path,
        by_topic[SIGNAL_TOPIC],
        index,
        made,
        frozenset(skipped),
        tuple(begun),
        tuple(stream for stream in streams if stream.topic == PERSONAL_TOPIC),
        by_topic.get(SETS_TOPIC),
        tuple(_labelled(events)),
    )


def _labelled(events: Iterable[dict[str, object]]) -> Iterator[tuple[int, str]]:
    """Return the true labels with the hops from which they hold, in order."""
    for each in events:
        first = each.get("first")
        if each.get("event") == "labelled" and type(first) is int:
            yield first, str(each.get("detail"))


def _begun(events: Iterable[dict[str, object]]) -> Iterator[tuple[int, float | None]]:
    """Return baselines, begun or cancelled; one from before the first sample has no index."""
    for each in events:
        if each.get("event") in ("baseline_begun", "baseline_stopped"):
            first = each.get("first", 0)
            if type(first) is not int:
                raise ValueError(f"Expected a sample's index, but found {first!r}.")
            begins = each["event"] == "baseline_begun"
            yield first, parse_baseline_seconds(str(each.get("detail"))) if begins else None


def _checkpoint(predictions: XDFStream, model: str | None, models: Path | None) -> Checkpoint:
    """Load the chosen model or the one that the file names; checks its SHA-256."""
    name = predictions.text("desc/mimamba/model/name")
    wanted = predictions.text("desc/mimamba/model/sha256")
    known = [*list_packaged_checkpoints(), *(list_own_checkpoints(models) if models else ())]
    checkpoint = load_checkpoint(model or (name if name in known else DEFAULT_MODEL), models)
    if checkpoint.sha256 != wanted:
        raise CheckpointError(
            f"the checkpoint {name} with SHA-256 {wanted}",
            f"{checkpoint.name} with {checkpoint.sha256}",
            "name the file that was used with --model",
        )
    return checkpoint


def _info(signal: XDFStream) -> StreamInfo:
    """Return the source's description from the signal's header."""
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
