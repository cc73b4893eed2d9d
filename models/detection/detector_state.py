"""The state of an event detector as bytes, with which another process continues it.

The bytes are safetensors, as those of a decoder: arrays by name, and a JSON object for all other
values. Nothing in it is ever executed, and what does not fit the stream is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from mimamba.drivers.driver import StreamInfo
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.decoding.decoder_state import SnapshotError
from mimamba.models.detection.band_filter import BandFilterState
from mimamba.models.detection.blink import BlinkMemory
from mimamba.models.detection.event_detector import DetectorState, EventDetector
from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.detection.jaw import JawMemory

KEY = "mimamba-detector"
"""Key of the JSON object in the metadata."""
VERSION = 1
"""Version of the states; one of another version is refused."""

Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _DetectorFields:
    """The JSON object."""

    version: int
    kinds: tuple[EventKind, ...]
    first: int
    next: tuple[int, int] | None
    recorded: tuple[tuple[int, str], ...]
    blink: BlinkMemory | None
    jaw: JawMemory | None


DECODER = msgspec.json.Decoder(_DetectorFields)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def pack_detector(detector: EventDetector) -> bytes:
    """Encode the state of a detector."""
    state = detector.state
    arrays: Arrays = {"stamps": state.stamps}
    if state.values is not None:
        arrays["values"] = state.values
    for name, each in (("blink", state.blink), ("jaw", state.jaw)):
        if each is not None:
            arrays[f"{name}_zi"] = each[0].zi
            if each[0].offset is not None:
                arrays[f"{name}_offset"] = each[0].offset
    fields = _DetectorFields(
        VERSION,
        state.kinds,
        state.first,
        state.next,
        state.recorded,
        state.blink[1] if state.blink else None,
        state.jaw[1] if state.jaw else None,
    )
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata={KEY: msgspec.json.encode(fields).decode()})


def unpack_detector(content: bytes, info: StreamInfo) -> EventDetector:
    """Return a detector of a stream that goes on from a state.

    Raises
    ------
    SnapshotError
        If the bytes are damaged, or of another version or stream.
    """
    try:
        arrays: Arrays = safetensors.numpy.load(content)
        fields = DECODER.decode(read_metadata(content).get(KEY, ""))
    except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError) as error:
        raise _damaged(str(error)) from None
    if fields.version != VERSION:
        raise _damaged(f"it has the version {fields.version} instead of {VERSION}")
    detector = EventDetector(info, fields.kinds)
    detector.state = DetectorState(fields.kinds)  # begun, with filters of the right shapes
    _check_arrays(arrays, fields, detector, info)
    if fields.jaw is not None:
        n = len(detector.columns.get("jaw", ()))
        if len(fields.jaw.power) != n or len(fields.jaw.usual) != n:
            raise _damaged(f"jaw has {len(fields.jaw.power)} channels instead of {n}")
    if fields.blink is not None and fields.blink.peak is not None:
        n = len(detector.columns.get("blink", ()))
        if len(fields.blink.peak.sides) != n or fields.blink.peak.value == 0:
            raise _damaged("the peak of a blink is of other electrodes")
    detector.state = DetectorState(
        fields.kinds,
        fields.first,
        fields.next,
        arrays.get("values"),
        arrays["stamps"],
        fields.recorded,
        (_filter(arrays, "blink"), fields.blink) if fields.blink else None,
        (_filter(arrays, "jaw"), fields.jaw) if fields.jaw else None,
    )
    return detector


def _filter(arrays: Arrays, name: str) -> BandFilterState:
    return BandFilterState(arrays[f"{name}_zi"], arrays.get(f"{name}_offset"))


def _check_arrays(
    arrays: Arrays, fields: _DetectorFields, detector: EventDetector, info: StreamInfo
) -> None:
    """Raise SnapshotError for arrays that are missing or do not fit the stream."""
    fresh = detector.state
    kept = min(len(arrays.get("stamps", ())), detector.kept)
    expected: dict[str, tuple[int, ...]] = {"stamps": (kept,)}
    if "values" in arrays:
        expected["values"] = (1, info.n_channels)
    for name, memory, begun in (
        ("blink", fields.blink, fresh.blink),
        ("jaw", fields.jaw, fresh.jaw),
    ):
        if memory is None:
            continue
        if begun is None:
            raise _damaged(f"this stream does not show a {name}")
        zi = begun[0].zi.shape
        expected[f"{name}_zi"] = zi
        if f"{name}_offset" in arrays:
            expected[f"{name}_offset"] = zi[-1:]
    for name, shape in expected.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != np.float64:
            actual = "none" if found is None else f"{found.shape} {found.dtype}"
            raise _damaged(f"{name} is {actual} instead of {shape} float64")


def _damaged(reason: str) -> SnapshotError:
    return SnapshotError(
        f"Expected the state of a detector of events, but found a damaged one, or one of another "
        f"stream: {reason}."
    )
