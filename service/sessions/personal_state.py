"""The state of a personal output as bytes, with which another process continues it.

The bytes are safetensors: the head's own file, its hops and the rest that it began with as arrays,
and a JSON object for all other values. Nothing in it is ever executed.
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
from mimamba.models.decoding.decoder_state import SnapshotError, pack_hops, unpack_hops
from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.head import Smoothing
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.service.protocol.personal import HeadCard, PersonalReading
from mimamba.service.sessions.personal_decoder import PersonalDecoder, PersonalState, ServedHead

KEY = "mimamba-personal"
"""Key of the JSON object in the metadata."""
VERSION = 1
"""Version of the states; one of another version is refused."""


@dataclass(frozen=True)
class _PersonalFields:
    """The JSON object; ``began`` is the seconds of the rest that it began with, 0 for none."""

    version: int
    card: HeadCard
    rest: float
    shares: bool
    began: float
    first: tuple[int, int] | None
    epoch: int | None
    smoothing: Smoothing
    newest: PersonalReading | None
    next: int


Arrays: TypeAlias = dict[str, NDArray[Any]]

DECODER = msgspec.json.Decoder(_PersonalFields)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def pack_personal(decoder: PersonalDecoder) -> bytes:
    """Encode a personal output between two chunks, with its head."""
    state, head, began = decoder.state, decoder.head, decoder.baseline
    arrays: Arrays = {
        "head": np.frombuffer(head.content, np.uint8),
        "hops": np.frombuffer(pack_hops(state.cutter, state.aligner), np.uint8),
    }
    if began is not None:
        arrays["began"] = np.ascontiguousarray(began.log_power)
    if state.hops:
        arrays["newest_at"] = np.array([index for index, _ in state.hops])
        arrays["newest"] = np.array([values for _, values in state.hops])
    fields = _PersonalFields(
        VERSION,
        head.card,
        head.rest,
        decoder.shares,
        began.seconds if began else 0.0,
        state.first,
        state.epoch,
        state.smoothing,
        state.newest,
        state.next,
    )
    return safetensors.numpy.save(arrays, metadata={KEY: msgspec.json.encode(fields).decode()})


def unpack_personal(content: bytes, info: StreamInfo) -> PersonalDecoder:
    """Return a personal output of a source that goes on from a state.

    Raises
    ------
    SnapshotError
        If the bytes are damaged, or of another version or source.
    MontageError, SignalError
        If the source does not suit the head.
    """
    try:
        arrays: Arrays = safetensors.numpy.load(content)
        fields = DECODER.decode(read_metadata(content).get(KEY, ""))
        head, hops = (arrays[name].tobytes() for name in ("head", "hops"))
        fit = decode_head(head, "the state of a session")
    except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError, HeadError) as error:
        raise _damaged(str(error)) from None
    if fields.version != VERSION:
        raise _damaged(f"it has the version {fields.version} instead of {VERSION}")
    n_electrodes = len(fit.settings.montage)
    began = None
    if fields.began:
        power = arrays.get("began")
        shape = (n_electrodes, len(BAND_CENTRES))
        if power is None or power.shape != shape or power.dtype != np.float64:
            raise _damaged(f"the rest that it began with is not {shape} float64")
        began = Baseline(power, fields.began)
    served = ServedHead(fields.card, fit, head, fields.rest)
    decoder = PersonalDecoder(served, info, began, shares=fields.shares)
    cutter, aligner = unpack_hops(hops, SIGNAL, n_electrodes, info.sfreq)
    decoder.state = PersonalState(
        fields.first,
        fields.epoch,
        fields.smoothing,
        fields.newest,
        fields.next,
        cutter,
        aligner,
        _newest_hops(arrays),
    )
    return decoder


def _newest_hops(arrays: Arrays) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    at, values = arrays.get("newest_at"), arrays.get("newest")
    if at is None or values is None:
        return ()
    if at.shape != values.shape[:1] or at.dtype != np.int64 or values.dtype != np.float64:
        raise _damaged("its newest hops do not fit their indices")
    return tuple(zip(at.tolist(), values, strict=True))


def _damaged(reason: str) -> SnapshotError:
    return SnapshotError(
        f"Expected the state of a personal output, but found a damaged one: {reason}."
    )
