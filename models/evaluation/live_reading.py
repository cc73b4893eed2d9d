"""Live reading: scores of predictions on streams that change their label, with nothing reset.

Blocks, each begun with an empty state, hide how long a method stays with the state before. The live
reading shows it: by the accuracy over whole streams, and by the seconds until a switch is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.models.evaluation import metrics
from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    split_outputs,
    without_labels,
)
from mimamba.models.evaluation.live_streams import LiveStream
from mimamba.models.evaluation.results import LivePoint, LiveScores
from mimamba.models.evaluation.smoothing import KEEPS, smooth

RIGHT_HOPS = 3
"""Correct hops in a row after which a switch counts as followed, from the first of them on."""
MAX_LATENCY = 60.0
"""Seconds counted for a switch that is followed later or never."""
STEADY = 20.0
"""Seconds at the end of each part over which the steady accuracy is measured."""


def live_probabilities(
    candidate: Candidate,
    streams: Sequence[LiveStream],
    blocks: Sequence[NDArray[np.float64]],
) -> list[NDArray[np.float64]]:
    """Predict streams; ``blocks`` are the candidate's predictions of the original sequences.

    Predictions of a candidate that carries no state are the same in blocks and streams.
    """
    if candidate.carries_state:
        return candidate.probabilities(without_labels([stream.joined for stream in streams]))
    return [stream.gather(blocks) for stream in streams]


def trace_curve(
    probabilities: Sequence[NDArray[np.float64]],
    streams: Sequence[LiveStream],
    sizes: Sequence[int],
    hop: float,
) -> list[tuple[LivePoint, ...]]:
    """Return, for each output, the live scores at every strength of smoothing in ``KEEPS``.

    Parameters
    ----------
    probabilities
        (n_hops, n_outputs) of each stream.
    streams
        The streams.
    sizes
        Number of labels of each output.
    hop
        Distance of two hops, s.
    """
    rows = []
    for keep in KEEPS:
        smoothed = [
            split_outputs(smooth(p, stream.joined.restart, keep), sizes)
            for p, stream in zip(probabilities, streams, strict=True)
        ]
        rows.append(
            [
                LivePoint(
                    keep,
                    score_live(
                        [stream.joined.labels[:, k] for stream in streams],
                        [heads[k] for heads in smoothed],
                        hop,
                    ),
                )
                for k in range(len(sizes))
            ]
        )
    return [tuple(points) for points in zip(*rows, strict=True)]


def score_live(
    labels: Sequence[NDArray[np.int64]], probabilities: Sequence[NDArray[np.float64]], hop: float
) -> LiveScores:
    """Score one output over streams.

    Parameters
    ----------
    labels
        (n_hops,) of each stream, label indices.
    probabilities
        (n_hops, n_labels) of each stream.
    hop
        Distance of two hops, s.
    """
    matrix = metrics.confusion(np.concatenate(labels), np.concatenate(probabilities))
    last = max(1, round(STEADY / hop))
    ends: dict[int, list[float]] = {}
    latencies = []
    for truth, said in zip(labels, probabilities, strict=True):
        right = said.argmax(1) == truth
        borders = [0, *(np.flatnonzero(np.diff(truth)) + 1).tolist(), len(truth)]
        for start, stop in pairwise(borders):
            ends.setdefault(int(truth[start]), []).append(
                right[max(start, stop - last) : stop].mean()
            )
            if start:
                latencies.append(_latency(right[start:stop], hop))
    return LiveScores(
        balanced_accuracy=metrics.balanced_accuracy(matrix),
        steady_accuracy=float(np.mean([np.mean(parts) for parts in ends.values()])),
        latency=float(np.mean([min(each, MAX_LATENCY) for each in latencies]))
        if latencies
        else None,
        missed=float(np.mean([each > MAX_LATENCY for each in latencies])) if latencies else None,
    )


def _latency(right: NDArray[np.bool_], hop: float) -> float:
    """Return the seconds from a switch to the first of ``RIGHT_HOPS`` correct hops in a row.

    ``right`` are the hops of the part after the switch; infinite if there are none such. The first
    hop comes one hop after the switch.
    """
    needed = min(RIGHT_HOPS, len(right))
    runs = np.lib.stride_tricks.sliding_window_view(right, needed).all(1)
    return float(hop * (1 + runs.argmax())) if runs.any() else np.inf
