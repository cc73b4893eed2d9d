"""Made-up sittings: noise like EEG's on a Muse, with effects in the blocks of one kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.blocks import Block
from mimamba.models.personal.pseudo_calibrations import Effect, add_effect, draw_pairs, make_blocks

SFREQ = 128.0
MUSE = ("TP9", "AF7", "AF8", "TP10")
ALPHA = Effect("alpha", (8.0, 13.0), 4.0)
MUSCLE = Effect("muscle", (20.0, 40.0), 4.0, ("AF7", "AF8"))
INFO = StreamInfo("made up", "nowhere", SFREQ, MUSE, live=False)


def noise(seconds: float, seed: int) -> Recording:
    """Pink-like noise of some 20 µV, with alpha."""
    rng = np.random.default_rng(seed)
    n_times = round(seconds * SFREQ)
    slow = lfilter([1.0], [1.0, -0.95], rng.standard_normal((n_times, 4)), axis=0)
    b, a = butter(2, (8, 13), "bandpass", fs=SFREQ)
    alpha = lfilter(b, a, rng.standard_normal((n_times, 4)), axis=0)
    data = (5 * slow + 20 * alpha).astype(np.float32)
    return Recording(INFO, data, np.arange(n_times) / SFREQ, np.arange(n_times))


def spans(n_blocks: int = 12, seconds: float = 12.0, start: float = 6.0) -> list[tuple[int, int]]:
    """Blocks in a row."""
    return [
        (round((start + n * seconds) * SFREQ), round((start + (n + 1) * seconds) * SFREQ))
        for n in range(n_blocks)
    ]


def sitting(
    effect: Effect | None,
    seed: int = 0,
    kinds: NDArray[np.int64] | None = None,
    n_blocks: int = 12,
    start: float = 6.0,
) -> tuple[Recording, tuple[Block, ...]]:
    """A recording and its blocks ``a`` and ``b``, in random pairs unless kinds are given."""
    rng = np.random.default_rng(seed)
    kinds = draw_pairs(n_blocks, rng) if kinds is None else kinds
    cut = spans(len(kinds), start=start)
    recording = noise(cut[-1][1] / SFREQ + 1, seed)
    if effect is not None:
        recording = add_effect(recording, cut, kinds, effect, MUSE, rng)
    return recording, make_blocks(cut, kinds)


def marked(recording: Recording, blocks: tuple[Block, ...]) -> Recording:
    """The recording with a marker at the start of each block, and one after the last."""
    markers = [Marker(b.start / SFREQ, b.start, f"begin {b.kind}", "test") for b in blocks]
    markers.append(Marker(blocks[-1].stop / SFREQ, blocks[-1].stop, "end", "test"))
    return replace(recording, markers=tuple(markers))


def rated(blocks: tuple[Block, ...], flipped: tuple[int, ...] = ()) -> tuple[Block, ...]:
    """Blocks with ratings of 70 for ``b`` and 30 for ``a``, some of them the wrong way."""
    return tuple(
        replace(block, rating=70.0 if (block.kind == "b") != (n in flipped) else 30.0)
        for n, block in enumerate(blocks)
    )
