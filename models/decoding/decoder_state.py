"""What a decoder remembers, as bytes: kept beside its predictions, it lets them be made again.

The bytes are safetensors: arrays by name, and a JSON object of the rest. Nothing in them is ever
executed, and what does not fit the model that it is set into is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import DecoderState
from mimamba.models.network.ssm import States
from mimamba.models.signal.baseline import CENTRES, LONGEST, AlignerState, Baseline
from mimamba.models.signal.hops import CutterState
from mimamba.models.signal.preprocessing import PathState, SignalPath
from mimamba.models.signal.segment import Segment

KEY = "mimamba"
STRETCH = ("last", "values", "known", "stamps", "recent")
"""The arrays of a stretch."""


Arrays: TypeAlias = dict[str, NDArray[Any]]
Shapes: TypeAlias = dict[str, tuple[tuple[int, ...], str]]


class SnapshotError(Exception):
    """A snapshot is damaged, or of another model; one clear line."""


@dataclass(frozen=True)
class _Rest:
    """What is no array; without a stretch nothing of the signal is remembered."""

    failed: bool
    epoch: int | None
    end: int
    hops: Annotated[int, msgspec.Meta(ge=0)] | None = None
    newest: int = 0
    poor: int = 0
    restart: bool = True
    wanted: Annotated[float, msgspec.Meta(ge=0, le=LONGEST)] = 0.0
    taken: Annotated[int, msgspec.Meta(ge=0)] = 0
    anew: bool = False
    seconds: float = 0.0


def pack_state(state: DecoderState) -> bytes:
    """The bytes of a state; the same state gives the same bytes."""
    cutter, stretch = state.cutter, state.cutter.stretch
    arrays = {"h": state.states.h.numpy(force=True), "conv": state.states.conv.numpy(force=True)}
    aligner, baseline = state.aligner, state.aligner.baseline
    rest = _Rest(
        state.failed,
        cutter.epoch,
        cutter.end,
        wanted=aligner.wanted,
        taken=aligner.taken,
        anew=aligner.anew,
        seconds=baseline.seconds if baseline else 0.0,
    )
    if baseline is not None:
        arrays["baseline"] = baseline.log_power
    if aligner.total is not None:
        arrays["total"] = aligner.total
    if stretch is not None:
        path = stretch.path
        rest = replace(
            rest,
            hops=path.hops,
            newest=stretch.newest,
            poor=stretch.poor,
            restart=stretch.restart,
        )
        arrays |= {"offset": path.offset, "history": path.history, "zi": path.zi}
        arrays |= {name: getattr(stretch, name) for name in STRETCH}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(whole, metadata={KEY: msgspec.json.encode(rest).decode()})


def unpack_state(content: bytes, checkpoint: Checkpoint, sfreq: float) -> DecoderState:
    """The state in a snapshot, for a decoder of this checkpoint and a source of this rate, Hz.

    Raises
    ------
    SnapshotError
        If it is damaged or does not fit.
    SignalError
        If the source's rate does not serve.
    """
    try:
        arrays = safetensors.numpy.load(content)
        size = int.from_bytes(content[:8], "little")  # checked by safetensors before
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
        rest = msgspec.json.decode(metadata.get(KEY, ""), type=_Rest)
    except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError) as error:
        raise SnapshotError(
            f"Expected a snapshot of a decoder, but found damage: {error}."
        ) from None
    begun = rest.hops is not None
    if begun and rest.newest >= rest.end:
        raise SnapshotError(
            f"Expected a newest sample before {rest.end} in the snapshot, but found {rest.newest}. "
            "It is damaged."
        )
    wanted = _state_shapes(checkpoint) | _aligner_shapes(checkpoint, rest, arrays)
    if begun:
        wanted |= _signal_shapes(checkpoint, sfreq, arrays)
    _check_shapes(arrays, wanted)
    states = States(torch.from_numpy(arrays["h"]), torch.from_numpy(arrays["conv"]))
    cutter = CutterState(rest.epoch, rest.end, _stretch(arrays, rest) if begun else None)
    return DecoderState(cutter, states, rest.failed, _aligner(arrays, rest))


def _stretch(arrays: Arrays, rest: _Rest) -> Segment:
    assert rest.hops is not None
    path = PathState(rest.hops, arrays["offset"], arrays["history"], arrays["zi"])
    kept = {name: arrays[name] for name in STRETCH}
    return Segment(path, rest.newest, **kept, poor=rest.poor, restart=rest.restart)


def _aligner(arrays: Arrays, rest: _Rest) -> AlignerState:
    known = arrays.get("baseline")
    baseline = None if known is None else Baseline(known, rest.seconds)
    return AlignerState(baseline, rest.wanted, rest.taken, arrays.get("total"), rest.anew)


def _aligner_shapes(checkpoint: Checkpoint, rest: _Rest, arrays: Arrays) -> Shapes:
    """A baseline, where there is one, and the sum of what is in the next one so far."""
    shape = ((len(checkpoint.montage), len(CENTRES)), "float64")
    names = ["baseline"] if "baseline" in arrays else []
    return dict.fromkeys([*names, *(["total"] if rest.taken else [])], shape)


def _state_shapes(checkpoint: Checkpoint) -> Shapes:
    fresh = checkpoint.network.initial_states(1)
    return {"h": (tuple(fresh.h.shape), "float32"), "conv": (tuple(fresh.conv.shape), "float32")}


def _signal_shapes(checkpoint: Checkpoint, sfreq: float, arrays: Arrays) -> Shapes:
    n = len(checkpoint.montage)
    fresh = SignalPath(checkpoint.signal, sfreq).start(np.zeros(n))
    waiting = len(arrays.get("known", ()))
    recent = min(len(arrays.get("recent", ())), checkpoint.signal.window)
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


def _check_shapes(arrays: Arrays, wanted: Shapes) -> None:
    for name, (shape, dtype) in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            what = "none" if found is None else f"{found.shape} {found.dtype}"
            raise SnapshotError(
                f"Expected {name} {shape} {dtype} in the snapshot, but found {what}. "
                "It is damaged, or of another model."
            )
