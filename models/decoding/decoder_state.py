"""Snapshots: a decoder's state as bytes. Stored beside predictions, they make these reproducible.

A snapshot is safetensors: arrays by name, and a JSON object for all other values. Nothing in it is
ever executed, and a snapshot that does not fit the model is refused. The names of the arrays and of
the JSON fields are part of the format of recordings and never change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.conformal.label_sets import RECENT, OutputSets
from mimamba.models.decoding.decoder import DecoderState
from mimamba.models.network.ssm import States
from mimamba.models.signal.baseline import BAND_CENTRES, MAX_BASELINE, AlignerState, Baseline
from mimamba.models.signal.hops import BlankRun, CutterState, Restart, Segment
from mimamba.models.signal.preprocessing import Preprocessor, PreprocessorState, SignalConfig

KEY = "mimamba"
"""Key of the JSON object in the metadata."""
SEGMENT_ARRAYS = ("last", "values", "known", "stamps", "recent")
"""Arrays of a segment."""


Arrays: TypeAlias = dict[str, NDArray[Any]]
Shapes: TypeAlias = dict[str, tuple[tuple[int, ...], str]]


class SnapshotError(Exception):
    """Raised for a snapshot that is damaged or of another model."""


@dataclass(frozen=True)
class _SnapshotFields:
    """The JSON object. Without ``hops`` there is no segment.

    ``wanted``, ``taken`` and ``anew`` are the aligner's ``target``, ``n_hops`` and ``restart``.
    """

    failed: bool
    epoch: int | None
    end: int
    hops: Annotated[int, msgspec.Meta(ge=0)] | None = None
    newest: int = 0
    poor: int = 0
    restart: bool = True
    wanted: Annotated[float, msgspec.Meta(ge=0, le=MAX_BASELINE)] = 0.0
    taken: Annotated[int, msgspec.Meta(ge=0)] = 0
    anew: bool = False
    seconds: float = 0.0
    blank: BlankRun | None = None
    sets: tuple[OutputSets, ...] = ()
    restarts: tuple[Restart, ...] = ()


DECODER = msgspec.json.Decoder(_SnapshotFields)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def pack_state(state: DecoderState) -> bytes:
    """Encode a state; the same state gives the same bytes."""
    arrays = {"h": state.states.h.numpy(force=True), "conv": state.states.conv.numpy(force=True)}
    return _pack(state.cutter, state.aligner, arrays, state.failed, state.sets)


def pack_hops(cutter: CutterState, aligner: AlignerState) -> bytes:
    """Encode the state of a cutter and an aligner alone, without a model."""
    return _pack(cutter, aligner, {})


def _pack(
    cutter: CutterState,
    aligner: AlignerState,
    arrays: Arrays,
    failed: bool = False,
    sets: tuple[OutputSets, ...] = (),
) -> bytes:
    segment, baseline = cutter.segment, aligner.baseline
    rest = _SnapshotFields(
        failed,
        cutter.epoch,
        cutter.end,
        wanted=aligner.target,
        taken=aligner.n_hops,
        anew=aligner.restart,
        seconds=baseline.seconds if baseline else 0.0,
        blank=cutter.blank,
        sets=sets,
        restarts=cutter.restarts,
    )
    if baseline is not None:
        arrays["baseline"] = baseline.log_power
    if aligner.total is not None:
        arrays["total"] = aligner.total
    if segment is not None:
        path = segment.path
        rest = replace(
            rest,
            hops=path.hops,
            newest=segment.newest,
            poor=segment.poor,
            restart=segment.restart,
        )
        arrays |= {"offset": path.offset, "history": path.history, "zi": path.zi}
        arrays |= {name: getattr(segment, name) for name in SEGMENT_ARRAYS}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata={KEY: msgspec.json.encode(rest).decode()})


def unpack_state(content: bytes, checkpoint: Checkpoint, sfreq: float) -> DecoderState:
    """Decode a snapshot for a decoder of this checkpoint and a source of ``sfreq``, Hz.

    Raises
    ------
    SnapshotError
        If the snapshot is damaged or does not fit.
    SignalError
        If the source's sampling frequency is unsuitable.
    """
    arrays, rest = _read_snapshot(content)
    n_channels = len(checkpoint.montage)
    _check_shapes(arrays, _state_shapes(checkpoint) | _aligner_shapes(n_channels, rest, arrays))
    states = States(torch.from_numpy(arrays["h"]), torch.from_numpy(arrays["conv"]))
    cutter = _cutter(arrays, rest, checkpoint.signal, n_channels, sfreq)
    _check_sets(rest.sets, checkpoint)
    return DecoderState(cutter, states, rest.failed, _aligner(arrays, rest), rest.sets)


def unpack_cutter(
    content: bytes, signal: SignalConfig, n_channels: int, sfreq: float
) -> CutterState:
    """Decode the state of the cutter alone, for these settings; raises as ``unpack_state``."""
    return _cutter(*_read_snapshot(content), signal, n_channels, sfreq)


def unpack_hops(
    content: bytes, signal: SignalConfig, n_channels: int, sfreq: float
) -> tuple[CutterState, AlignerState]:
    """Decode the states of ``pack_hops``, for these settings; raises as ``unpack_state``."""
    arrays, rest = _read_snapshot(content)
    _check_shapes(arrays, _aligner_shapes(n_channels, rest, arrays))
    return _cutter(arrays, rest, signal, n_channels, sfreq), _aligner(arrays, rest)


def unpack_aligner(content: bytes, checkpoint: Checkpoint) -> AlignerState:
    """Decode the baseline alone, which does not depend on the source; raises SnapshotError."""
    arrays, rest = _read_snapshot(content)
    _check_shapes(arrays, _aligner_shapes(len(checkpoint.montage), rest, arrays))
    return _aligner(arrays, rest)


def _read_snapshot(content: bytes) -> tuple[Arrays, _SnapshotFields]:
    try:
        arrays = safetensors.numpy.load(content)
        rest = DECODER.decode(read_metadata(content).get(KEY, ""))
    except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError) as error:
        raise SnapshotError(
            f"Expected a snapshot of a decoder, but found a damaged one: {error}."
        ) from None
    return arrays, rest


def _cutter(
    arrays: Arrays, rest: _SnapshotFields, signal: SignalConfig, n_channels: int, sfreq: float
) -> CutterState:
    has_segment = rest.hops is not None
    if has_segment and rest.newest >= rest.end:
        raise SnapshotError(
            f"Expected a newest sample before {rest.end} in the snapshot, but found {rest.newest}. "
            "It is damaged."
        )
    if has_segment:
        _check_shapes(arrays, _signal_shapes(signal, n_channels, sfreq, arrays))
    if rest.blank is not None and len(rest.blank.channels) != n_channels:
        raise SnapshotError(
            f"Expected {n_channels} channels in the snapshot, but found "
            f"{len(rest.blank.channels)}. It is damaged or of another model."
        )
    segment = _segment(arrays, rest) if has_segment else None
    return CutterState(rest.epoch, rest.end, segment, rest.blank, rest.restarts)


def _segment(arrays: Arrays, rest: _SnapshotFields) -> Segment:
    assert rest.hops is not None
    path = PreprocessorState(rest.hops, arrays["offset"], arrays["history"], arrays["zi"])
    stored = {name: arrays[name] for name in SEGMENT_ARRAYS}
    return Segment(path, rest.newest, **stored, poor=rest.poor, restart=rest.restart)


def _aligner(arrays: Arrays, rest: _SnapshotFields) -> AlignerState:
    known = arrays.get("baseline")
    baseline = None if known is None else Baseline(known, rest.seconds)
    return AlignerState(baseline, rest.wanted, rest.taken, arrays.get("total"), rest.anew)


def _aligner_shapes(n_channels: int, rest: _SnapshotFields, arrays: Arrays) -> Shapes:
    """Shapes of the baseline, if there is one, and of the sum for one being measured."""
    shape = ((n_channels, len(BAND_CENTRES)), "float64")
    names = ["baseline"] if "baseline" in arrays else []
    return dict.fromkeys([*names, *(["total"] if rest.taken else [])], shape)


def _state_shapes(checkpoint: Checkpoint) -> Shapes:
    fresh = checkpoint.network.initial_states(1)
    return {"h": (tuple(fresh.h.shape), "float32"), "conv": (tuple(fresh.conv.shape), "float32")}


def _signal_shapes(signal: SignalConfig, n: int, sfreq: float, arrays: Arrays) -> Shapes:
    fresh = Preprocessor(signal, sfreq).start(np.zeros(n))
    waiting = len(arrays.get("known", ()))
    recent = min(len(arrays.get("recent", ())), signal.window)
    return {
        "offset": ((n,), "float64"),
        "history": (fresh.history.shape, "float64"),
        "zi": (fresh.zi.shape, "float64"),
        "last": ((n,), "float64"),
        "values": ((waiting, n), "float64"),
        "known": ((waiting,), "int64"),
        "stamps": ((waiting,), "float64"),
        "recent": ((recent, n), "float64"),
    }


def _check_sets(sets: tuple[OutputSets, ...], checkpoint: Checkpoint) -> None:
    """Raise SnapshotError unless there are prediction sets for each output, or for none."""
    known = [{None, *labels} for labels in checkpoint.outputs.values()]
    fits = not sets or len(sets) == len(known)
    for state, labels in zip(sets, known, strict=False):
        fits = fits and state.label in labels and len(state.hits) <= RECENT
        fits = fits and not state.hits.strip("01")
    if not fits:
        raise SnapshotError(
            f"Expected prediction sets of {', '.join(checkpoint.outputs)} in the snapshot, but "
            "found others. It is damaged or of another model."
        )


def _check_shapes(arrays: Arrays, expected: Shapes) -> None:
    for name, (shape, dtype) in expected.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            actual = "none" if found is None else f"{found.shape} {found.dtype}"
            raise SnapshotError(
                f"Expected {name} {shape} {dtype} in the snapshot, but found {actual}. "
                "It is damaged or of another model."
            )
