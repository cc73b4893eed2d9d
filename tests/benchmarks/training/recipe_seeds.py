"""Live reading of the recipe ``whole`` by seed, and with permuted labels.

Figures that hang on the seed are luck, and figures above chance with permuted labels are a leak.

The 24 people of the arithmetic set in six folds, a minute of rest. In each fold the recipe is
trained on the other people with its own numbers; nothing is chosen in it, and nothing is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mimamba.models.datasets.dataset import Dataset
from mimamba.models.datasets.open import BidsOptions, open_dataset
from mimamba.models.evaluation.live_reading import score_live
from mimamba.models.evaluation.live_streams import join_streams
from mimamba.models.evaluation.permutation import permute_labels
from mimamba.models.evaluation.protocols import make_splits
from mimamba.models.evaluation.results import LiveScores, mean_live
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training.recipes import WHOLE, Recipe
from mimamba.models.training.scoring import sequence_logits
from mimamba.models.training.trainer import limit_crop_length, new_network, train_epochs
from mimamba.models.training.windowing import HopSequence, cut_hops
from mimamba.service.bench.figures import Figure, NotRun, at_most

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "bids" / "arith"
REST = 60.0
FOLDS = 6
SPREAD = 0.03
"""Aim: difference of the live accuracy between seeds, at most."""
CHANCE = (0.4, 0.6)
"""Aim: live accuracy with permuted labels. 48 trials leave it a deviation of about 0.05."""


def measure(seeds: float) -> list[Figure]:
    """Measure with this many seeds; a training takes a minute or two of a core."""
    if not DATA.is_dir():
        raise NotRun("the arithmetic set in ../shared/data/bids", "none", "put it there")
    torch.set_num_threads(1)
    dataset = open_dataset("bids", DATA, outputs="workload", options=BidsOptions(rest="rest"))
    sequences = cut_hops(dataset, WHOLE.signal, REST)
    found = [read_live(dataset, sequences, WHOLE, seed) for seed in range(max(1, round(seeds)))]
    figures = [figure for seed, each in enumerate(found) for figure in _figures(each, seed)]
    if len(found) > 1:
        live = [each.balanced_accuracy for each in found]
        figures.append(at_most("live, between seeds", max(live) - min(live), "", SPREAD))
    permuted = permute_labels("subject", sequences, 0)
    chance = read_live(dataset, permuted, WHOLE, 0).balanced_accuracy
    least, most = CHANCE
    met = least <= chance <= most
    return [*figures, Figure("live, permuted labels", chance, "", f"{least:g} to {most:g}", met)]


def read_live(
    dataset: Dataset, sequences: Sequence[HopSequence], recipe: Recipe, seed: int
) -> LiveScores:
    """Return the live reading of a recipe's first output, mean over the folds.

    ``sequences`` are the hops of the data set.
    """
    setting = DataFingerprint.of(dataset, REST)
    sizes = [len(labels) for labels in setting.outputs.values()]
    recipe = recipe.adapted(setting.electrodes, sum(sizes))
    plan = make_splits("subject", sequences, FOLDS, 0)
    longest = max(len(sequence.windows) for sequence in plan.sequences)
    config = limit_crop_length(replace(recipe.training, seed=seed), longest)
    found = []
    for fold in plan.folds:
        learn = [plan.sequences[i] for i in (*fold.train, *fold.validation)]
        streams = [s.joined for s in join_streams([plan.sequences[i] for i in fold.test])]
        network = new_network(recipe.architecture, seed)
        epochs = config.all_epochs
        train_epochs(network, setting.outputs, learn, epochs, recipe.r, config)
        logits = sequence_logits(network, streams, recipe.r)
        said = [np.asarray(each[:, : sizes[0]].double().softmax(-1)) for each in logits]
        labels = [stream.labels[:, 0] for stream in streams]
        found.append(score_live(labels, said, recipe.signal.hop / recipe.signal.sfreq))
    return mean_live(found)


def _figures(scores: LiveScores, seed: int) -> list[Figure]:
    figures = [
        Figure(f"live, seed {seed}", scores.balanced_accuracy, ""),
        Figure(f"steady, seed {seed}", scores.steady_accuracy, ""),
    ]
    if scores.latency is not None:
        figures.append(Figure(f"followed, seed {seed}", scores.latency, "s"))
    return figures
