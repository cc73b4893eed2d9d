"""A shipped model's untouched output on a person's blocks: tested first, as it needs no training.

Nothing is fitted here, so nothing is held out: each block's share of right hops counts as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.blocks import Block
from mimamba.models.personal.statistics import (
    TIE,
    BlockScores,
    accuracies,
    bootstrap,
    relabellings,
)
from mimamba.models.prediction import Prediction
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError

if TYPE_CHECKING:  # PyTorch takes longer to load than a calibration to judge
    from mimamba.models.checkpoints.checkpoint import Checkpoint


@dataclass(frozen=True)
class Claim:
    """A contrast that a shipped model claims to tell.

    Parameters
    ----------
    model
        Name of the checkpoint.
    output
        Its output.
    labels
        Label of the output by the name of the state.
    rest
        Seconds of rest that the model needs before the first block: its checkpoint's baseline.
    """

    model: str
    output: str
    labels: dict[str, str]
    rest: float = 60.0


CLAIMS: dict[frozenset[str], Claim] = {
    frozenset({"calm", "strained"}): Claim(
        "workload", "workload", {"calm": "rest", "strained": "arithmetic"}
    ),
    frozenset({"rest", "arithmetic"}): Claim(
        "workload", "workload", {"rest": "rest", "arithmetic": "arithmetic"}
    ),
}
"""Claims of the checkpoints that come with the package, by the names of the two states."""


def score_claim(
    claim: Claim,
    recordings: Sequence[Recording],
    blocks: Sequence[Sequence[Block]],
    kinds: tuple[str, str],
    seed: int = 0,
) -> BlockScores | str:
    """Test a model's output on blocks, or say in words why that is not possible.

    Parameters
    ----------
    claim
        The model's claim.
    recordings
        One recording per attempt; each begins with the rest that the model needs.
    blocks
        Blocks of each recording, in the order of time.
    kinds
        Names of the two states.
    seed
        Seed of drawn relabellings and of the bootstrap.
    """
    for recording, mine in zip(recordings, blocks, strict=True):
        if mine[0].start < claim.rest * recording.info.sfreq:
            return (
                f"{claim.model} was not tested: it needs {claim.rest:g} s of rest before "
                "the first block"
            )
    from mimamba.models.checkpoints.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(claim.model)
    shares: list[float] = []
    labels: list[int] = []
    attempts: list[int] = []
    for attempt, (recording, mine) in enumerate(zip(recordings, blocks, strict=True)):
        try:
            predictions = _predict(checkpoint, recording)
        except (MontageError, SignalError) as error:
            return f"{claim.model} was not tested: {error}"
        for block in mine:
            if (share := _share(predictions, block, claim, kinds)) is not None:
                shares.append(share)
                labels.append(kinds.index(block.kind))
                attempts.append(attempt)
    truth = np.array(labels, np.int64)
    if min(truth.sum(), len(truth) - truth.sum()) < 2:
        return f"{claim.model} was not tested: it had too few good seconds"
    return score_output(np.array(shares), truth, np.array(attempts, np.int64), seed)


def _predict(checkpoint: Checkpoint, recording: Recording) -> list[Prediction]:
    from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder

    decoder = StreamingDecoder(checkpoint, recording.info)
    if checkpoint.baseline:
        decoder.start_baseline(checkpoint.baseline)
    chunks = recording.chunks(round(OFFLINE_CHUNK * recording.info.sfreq))
    return [prediction for chunk in chunks for prediction in decoder.feed(chunk)]


def _share(
    predictions: Sequence[Prediction], block: Block, claim: Claim, kinds: tuple[str, str]
) -> float | None:
    """Return the share of a block's hops that are taken for the second kind; None without any."""
    second = claim.labels[kinds[1]]
    found = [
        each.outputs[claim.output][second] > 0.5
        for each in predictions
        if each.outputs is not None and block.start <= each.index < block.stop
    ]
    return float(np.mean(found)) if found else None


def score_output(
    second: NDArray[np.float64],
    kinds: NDArray[np.int64],
    attempts: NDArray[np.int64],
    seed: int = 0,
) -> BlockScores:
    """Score an output that is fixed, so that it has a right direction.

    Parameters
    ----------
    second
        (B,) share of each block's hops that the output takes for kind 1.
    kinds, attempts
        As in ``LabelledBlocks``.
    seed
        Seed of drawn relabellings and of the bootstrap.
    """
    labels = relabellings(kinds, attempts, seed)
    every = accuracies(np.where(labels == 1, second, 1 - second), labels)
    shares = np.where(kinds == 1, second, 1 - second)
    p = float(np.mean(every >= every[0] - TIE))
    interval = bootstrap(shares, kinds, seed)
    return BlockScores(shares, float(every[0]), interval, p, len(labels))
