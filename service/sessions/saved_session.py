"""A session's state as bytes, with which another process continues it.

It goes on with the same epoch, the same numbers, and the predictions, quality and bands that the
first process would have made. The bytes are safetensors: arrays by name, and a JSON object for all
other values. Nothing in it is ever executed, and what does not fit the source is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from mimamba.drivers.driver import Chunk, Marker, StreamInfo
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.push_driver import InboxState
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.decoding.decoder_state import SnapshotError
from mimamba.models.signal.channel_meters import MetersState
from mimamba.models.signal.channel_quality import QuartersState
from mimamba.models.signal.chunk_buffer import JoinedSamples
from mimamba.models.signal.sliding_window import QUARTERS, WindowState, quarter_length
from mimamba.service.logs.epoch_logs import LinkEntry
from mimamba.service.people.subject import SubjectState
from mimamba.service.sessions.session_counters import SessionCounters
from mimamba.service.sessions.session_decoder import SavedDecoder
from mimamba.service.sessions.session_sensors import pack_auxiliary, unpack_auxiliary
from mimamba.service.topics import TOPICS, Topic

KEY = "mimamba-session"
"""Key of the JSON object in the metadata."""

PARTS = "detector", "personal", "sensors"
"""Names of parts with a form of their own."""

Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class SavedSession:
    """A session between two packets of its source.

    Parameters
    ----------
    token, epoch
        Its epoch's name: a word that is its own, and the number in the source's counting.
    next
        The ``seq`` that each topic's next entry will have.
    expected
        Index of the next sample, if none is lost; None before the first one.
    newest
        Index and timestamp of the newest sample.
    link
        The newest event that says whether the stream runs.
    counters
        Its counts so far.
    meters
        State of quality and bands.
    decoder
        State of its decoder; None without a model.
    waiting
        Chunks that came and were not computed yet.
    pending
        Markers that wait for their sample.
    inbox
        State of its remote source.
    detector
        State of the detector of events, as ``pack_detector`` gives it; None without one.
    personal
        State of the personal output, as ``pack_personal`` gives it; None without one.
    subject
        State of its person.
    next_head
        Number that its next personal output will have.
    sensors
        State of what is measured beside the EEG, as ``SessionSensors.pack`` gives it, or None.
    """

    token: str
    epoch: int
    next: dict[Topic, int]
    expected: int | None
    newest: tuple[int, float] | None
    link: LinkEntry | None
    counters: SessionCounters
    meters: MetersState
    decoder: SavedDecoder | None
    waiting: tuple[Chunk, ...]
    pending: tuple[ReceivedMarker, ...] = ()
    inbox: InboxState = field(default_factory=InboxState)
    detector: bytes | None = None
    personal: bytes | None = None
    subject: SubjectState = field(default_factory=SubjectState)
    next_head: int = 0
    sensors: bytes | None = None

    @property
    def head_number(self) -> int:
        """Number of its personal output, or of the next one if there is none."""
        return max(0, self.next_head - 1) if self.personal is not None else self.next_head


class _WaitingChunk(msgspec.Struct, frozen=True):
    first: int
    epoch: int
    n_times: int
    markers: tuple[Marker, ...]
    auxiliary: bytes = b""


class _SavedFields(msgspec.Struct, frozen=True):
    """The JSON object. ``model`` is None without a decoder."""

    token: str
    epoch: int
    next: dict[Topic, int]
    expected: int | None
    newest: tuple[int, float] | None
    link: LinkEntry | None
    counters: dict[str, float]
    buffered: tuple[int | None, int]
    end: int | None
    number: int | None
    model: tuple[str, str, float, bool] | None
    waiting: tuple[_WaitingChunk, ...]
    pending: tuple[ReceivedMarker, ...]
    inbox: InboxState
    subject: SubjectState = SubjectState()
    next_head: int = 0


def pack_session(saved: SavedSession) -> bytes:
    """Encode a session's state."""
    window, quarters = saved.meters.window, saved.meters.quarters
    arrays: Arrays = {
        "samples": window.samples,
        "missing": window.missing,
        "known": window.known,
        "known_at": window.known_at,
        "faulty": quarters.faulty,
        "medians": quarters.medians,
    }
    if window.waiting is not None:
        arrays["buffered_index"] = window.waiting.index
        arrays["buffered_stamps"] = window.waiting.stamps
        arrays["buffered"] = window.waiting.data
    if saved.waiting:
        arrays["waiting"] = np.concatenate([each.data for each in saved.waiting])
        arrays["waiting_stamps"] = np.concatenate([each.timestamps for each in saved.waiting])
    parts = saved.detector, saved.personal, saved.sensors
    for name, part in zip(PARTS, parts, strict=True):
        if part is not None:
            arrays[name] = np.frombuffer(part, np.uint8)
    decoder, model = saved.decoder, None
    if decoder is not None:
        arrays["decoder"] = np.frombuffer(decoder.state, np.uint8)
        model = decoder.model, decoder.sha256, decoder.r, decoder.stepped
    fields = _SavedFields(
        saved.token,
        saved.epoch,
        saved.next,
        saved.expected,
        saved.newest,
        saved.link,
        {name: value for name, value in vars(saved.counters).items() if name != "period"},
        (window.epoch, window.last),
        window.end,
        quarters.number,
        model,
        tuple(
            _WaitingChunk(
                each.first,
                each.epoch,
                each.n_times,
                each.markers,
                pack_auxiliary(each.auxiliary) if each.auxiliary else b"",
            )
            for each in saved.waiting
        ),
        saved.pending,
        saved.inbox,
        saved.subject,
        saved.next_head,
    )
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata={KEY: msgspec.json.encode(fields).decode()})


def unpack_session(content: bytes, info: StreamInfo) -> SavedSession:
    """Decode a session's state for a source; its decoder's is decoded with the model.

    Raises
    ------
    SnapshotError
        If the bytes are damaged, or of another source.
    """
    try:
        arrays: Arrays = safetensors.numpy.load(content)
        fields = msgspec.json.decode(read_metadata(content).get(KEY, ""), type=_SavedFields)
        counters = SessionCounters(**fields.counters)  # type: ignore[arg-type]
    except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise _damaged(str(error)) from None
    _check_shapes(arrays, fields, info)
    epoch, last = fields.buffered
    buffered = None
    if "buffered" in arrays:
        index, stamps = arrays["buffered_index"], arrays["buffered_stamps"]
        buffered = JoinedSamples(index, stamps, arrays["buffered"])
    window = WindowState(
        epoch,
        last,
        buffered,
        fields.end,
        arrays["samples"],
        arrays["missing"],
        arrays["known"],
        arrays["known_at"],
    )
    quarters = QuartersState(fields.number, arrays["faulty"], arrays["medians"])
    decoder = None
    if fields.model is not None:
        decoder = SavedDecoder(*fields.model, arrays["decoder"].tobytes())
    return SavedSession(
        fields.token,
        fields.epoch,
        dict.fromkeys(TOPICS, 0) | fields.next,  # an older version may have had fewer topics
        fields.expected,
        fields.newest,
        fields.link,
        counters,
        MetersState(window, quarters),
        decoder,
        _waiting(arrays, fields),
        fields.pending,
        fields.inbox,
        _part(arrays, "detector"),
        _part(arrays, "personal"),
        fields.subject,
        fields.next_head,
        _part(arrays, "sensors"),
    )


def _part(arrays: Arrays, name: str) -> bytes | None:
    return arrays[name].tobytes() if name in arrays else None


def _waiting(arrays: Arrays, fields: _SavedFields) -> tuple[Chunk, ...]:
    chunks, start = [], 0
    for each in fields.waiting:
        part = slice(start, start + each.n_times)
        start += each.n_times
        data, stamps = arrays["waiting"][part], arrays["waiting_stamps"][part]
        measured = unpack_auxiliary(each.auxiliary) if each.auxiliary else ()
        chunks.append(Chunk(data, stamps, each.first, each.epoch, each.markers, measured))
    return tuple(chunks)


def _check_shapes(arrays: Arrays, fields: _SavedFields, info: StreamInfo) -> None:
    """Raise SnapshotError for arrays that are missing or do not fit the source."""
    n, step = info.n_channels, quarter_length(info.sfreq)
    kept = len(arrays.get("samples", ()))
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "samples": ((min(kept, QUARTERS), n, step), "float64"),
        "missing": ((kept, step, n), "bool"),
        "known": ((n,), "float64"),
        "known_at": ((n,), "int64"),
        "faulty": ((QUARTERS, 3, n), "bool"),
        "medians": ((QUARTERS, n), "float64"),
    }
    if "buffered" in arrays:
        n_times = len(arrays["buffered"])
        expected["buffered"] = (n_times, n), "float32"
        expected["buffered_index"] = (n_times,), "int64"
        expected["buffered_stamps"] = (n_times,), "float64"
    if fields.waiting:
        n_times = sum(each.n_times for each in fields.waiting)
        expected["waiting"] = (n_times, n), "float32"
        expected["waiting_stamps"] = (n_times,), "float64"
    parts = ["decoder"] if fields.model is not None else []
    for name in (*parts, *(each for each in PARTS if each in arrays)):
        expected[name] = (len(arrays.get(name, ())),), "uint8"
    for name, (shape, dtype) in expected.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            actual = "none" if found is None else f"{found.shape} {found.dtype}"
            raise _damaged(f"{name} is {actual} instead of {shape} {dtype}")
    if min(fields.next.values(), default=0) < 0:
        raise _damaged("a log has a number below 0")


def _damaged(reason: str) -> SnapshotError:
    return SnapshotError(
        f"Expected the state of a session, but found a damaged one, or one of another source: "
        f"{reason}."
    )
