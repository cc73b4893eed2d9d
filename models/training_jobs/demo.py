"""Training of the checkpoint ``demo`` on simulated people, for trying the service without data.

Simulated EEG is cut into hops as in a live session, the simulator's scripted valence and arousal
are the labels, and no person is in two splits.

``train_demo`` trains the network without its multi-scale block, which takes some six minutes of CPU
time, and then for an epoch with it. The shipped file continues the demo of an earlier release,
which was such a first half. So a training from the start gives other bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.simulator.synthesis import CH_NAMES, RANGE_UV, UV_PER_BIT, Synthesizer
from mimamba.models.checkpoints.card import list_facts
from mimamba.models.checkpoints.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from mimamba.models.evaluation.candidates.candidate import split_outputs
from mimamba.models.evaluation.live_reading import score_live
from mimamba.models.evaluation.smoothing import choose_keep, smooth
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.scoring import (
    fit_set_thresholds,
    score_logits,
    sequence_logits,
)
from mimamba.models.training.trainer import OnProgress, TrainingConfig, new_network, train
from mimamba.models.training.windowing import HopSequence

INFO = StreamInfo(
    "Simulator",
    "simulate_person",
    256.0,
    CH_NAMES,
    UV_PER_BIT,
    RANGE_UV,
    live=False,
    simulated=True,
)
OUTPUTS: dict[str, tuple[str, ...]] = {"valence": ("low", "high"), "arousal": ("low", "high")}
SIZES = [len(labels) for labels in OUTPUTS.values()]
TIE = 0.01
"""Balanced accuracies that differ by less count as equal."""
NOTICE = "Trained on simulated EEG: it shows the machinery, not anybody's emotions."


@dataclass(frozen=True)
class SimulatedPeople:
    """Simulated people of one split: consecutive seeds from ``first``, ``seconds`` of EEG each."""

    first: int
    number: int
    seconds: float

    def sequences(self, signal: SignalConfig) -> list[HopSequence]:
        seeds = range(self.first, self.first + self.number)
        return [simulate_person(seed, signal, self.seconds) for seed in seeds]


@dataclass(frozen=True)
class DemoRecipe:
    """Complete settings of the demo.

    ``memory_seconds`` is the time after which 1/e of the state is left without new input.
    ``training`` trains the network without its multi-scale block, and ``finish`` then with it.
    ``learn``, ``choose`` and ``test`` are the training, validation and test people.
    """

    architecture: MSiMambaConfig
    signal: SignalConfig
    memory_seconds: float
    training: TrainingConfig
    finish: TrainingConfig
    learn: SimulatedPeople
    choose: SimulatedPeople
    test: SimulatedPeople

    @property
    def r(self) -> float:
        return math.exp(-self.signal.hop / (self.signal.sfreq * self.memory_seconds))


TRAINING = TrainingConfig(epochs=15, batch=8, carried=0.9, learning_rate=4e-3, averaging=0.95)
DEMO = DemoRecipe(
    MSiMambaConfig(
        n_times=256,
        n_outputs=sum(SIZES),
        n_scales=2,
        kernels=(1, 3),
        hidden=2,
        d_model=32,
        d_ff=64,
        n_layers=1,
        d_state=4,
        normalisation="scaled",
        embedding="spectral",
        bins=(2, 80),
        bands=39,
        mixer="memory",
        dt=(3e-3, 5e-2),
        mstb_identity=True,
        frequencies=(32, 64),
    ),
    SignalConfig(window=256, hop=64),
    memory_seconds=20.0,
    training=TRAINING,
    finish=replace(TRAINING, epochs=1, learning_rate=1e-3),
    learn=SimulatedPeople(100_000, 1000, 60.0),
    choose=SimulatedPeople(200_000, 32, 120.0),
    test=SimulatedPeople(300_000, 32, 240.0),
)
"""Settings of the checkpoint in the package."""


def simulate_chunks(synthesis: Synthesizer, seconds: float) -> Iterator[Chunk]:
    """Yield the next samples of a simulated person as a driver would; timestamps start at 0 s."""
    left = round(seconds * synthesis.sfreq)
    while left:
        first, n_times = synthesis.position, min(left, 4096)
        stamps = (first + np.arange(n_times)) / synthesis.sfreq
        yield Chunk(synthesis.next(n_times), stamps, first)
        left -= n_times


def simulate_hops(synthesis: Synthesizer, signal: SignalConfig, seconds: float) -> Iterator[Hop]:
    """Yield the hops of a simulated person, including those without a usable window."""
    cutter = HopCutter(signal, INFO, range(len(CH_NAMES)), CH_NAMES)
    for chunk in simulate_chunks(synthesis, seconds):
        yield from cutter.feed(chunk)


def simulate_person(seed: int, signal: SignalConfig, seconds: float) -> HopSequence:
    """Return the good hops of a simulated person, labelled by the script at their last sample."""
    synthesis = Synthesizer("random", seed, INFO.sfreq)
    good = [hop for hop in simulate_hops(synthesis, signal, seconds) if hop.window is not None]
    truth = synthesis.truth([hop.index for hop in good])
    return HopSequence(
        np.stack([hop.window for hop in good if hop.window is not None]),
        np.array([hop.restart for hop in good]),
        np.stack([truth.valence >= 0, truth.arousal >= 0], axis=1).astype(np.int64),
    )


def train_demo(
    path: Path,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    recipe: DemoRecipe = DEMO,
    bare: MSiMamba | None = None,
) -> Checkpoint:
    """Train the demo and write it, with its model card beside it as ``.md``.

    Training uses one thread: a second gains little at this size, and results depend on less.
    The same seed gives the same file on the same processor with the same release of torch.

    Parameters
    ----------
    path
        File of the checkpoint.
    seed
        Seed of the weights, the dropout and the order of the sequences.
    on_progress
        Called after each epoch.
    recipe
        Settings of the demo.
    bare
        The network without its multi-scale block, if it is trained already.

    Raises
    ------
    ValueError
        If ``bare`` has other weights than the recipe's network without its multi-scale block.
    RuntimeError
        If its weights have other shapes.
    """
    network = new_network(recipe.architecture, seed)
    if bare is not None:
        _take_weights(network, bare)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        choose = recipe.choose.sequences(recipe.signal)
        learn = recipe.learn.sequences(recipe.signal)

        def learn_with(network: MSiMamba, config: TrainingConfig) -> dict[str, float]:
            config = replace(config, seed=seed)
            return train(network, OUTPUTS, learn, choose, recipe.r, config, on_progress)

        if bare is None:
            # Training standardises the embedding, so the unit of the windows makes no difference.
            plain = replace(recipe.architecture, mstb=False, normalisation="none")
            bare = new_network(plain, seed)
            learn_with(bare, recipe.training)
            _take_weights(network, bare)
        temperature = learn_with(network, recipe.finish)
        thresholds = fit_set_thresholds(network, OUTPUTS, choose, recipe.r, temperature)
        test = recipe.test.sequences(recipe.signal)
        scores = score_demo(network, choose, test, recipe)
    finally:
        torch.set_num_threads(threads)
    people = recipe.learn
    header = CheckpointHeader(
        name="demo",
        architecture=recipe.architecture,
        montage=CH_NAMES,
        signal=recipe.signal,
        r=recipe.r,
        outputs=OUTPUTS,
        temperature=temperature,
        trained_on=f"simulated EEG, {people.number} people of {people.seconds:g} s each",
        scores=scores,
        licence="same as the project",
        notice=NOTICE,
        set_thresholds=thresholds,
    )
    checkpoint = save_checkpoint(path, header, network)
    path.with_suffix(".md").write_text(demo_card(checkpoint, recipe), encoding="utf-8")
    return checkpoint


def _take_weights(network: MSiMamba, bare: MSiMamba) -> None:
    """Take all weights but those of the multi-scale block from a network without it."""
    missing, unexpected = network.load_state_dict(bare.state_dict(), strict=False)
    lacking = [name for name in missing if not name.startswith("mstb.")]
    if lacking or unexpected or bare.config.mstb:
        raise ValueError(
            "Expected the recipe's network without its multi-scale block, but found one that "
            f"lacks {', '.join(lacking) or 'nothing'} and adds {', '.join(unexpected) or 'nothing'}"
            f"{', with that block' if bare.config.mstb else ''}. Train it by the same recipe."
        )


def score_demo(
    network: MSiMamba,
    choose: Sequence[HopSequence],
    test: Sequence[HopSequence],
    recipe: DemoRecipe = DEMO,
) -> dict[str, float]:
    """Return scores on unseen people, with and without carried state.

    They are balanced accuracies, and the seconds until a change of the label is followed
    (``live_latency``). The fair comparison for a carried state is the same network window by window
    (r = 0) with exponentially smoothed probabilities; the strength is chosen on the validation
    people.
    """
    alone = sequence_logits(network, test, 0.0)
    keep = choose_keep(_probabilities(sequence_logits(network, choose, 0.0)), choose, SIZES)
    smoothed = [
        torch.from_numpy(np.log(smooth(shares, sequence.restart, keep)))
        for shares, sequence in zip(_probabilities(alone), test, strict=True)
    ]
    found = {
        "subject": sequence_logits(network, test, recipe.r),
        "subject (r = 0)": alone,
        "subject (r = 0, smoothed)": smoothed,
    }
    hop, scores = recipe.signal.hop / recipe.signal.sfreq, dict[str, float]()
    for protocol, logits in found.items():
        accuracies = score_logits(logits, test, SIZES).accuracies
        heads = [split_outputs(shares, SIZES) for shares in _probabilities(logits)]
        for k, (output, accuracy) in enumerate(zip(OUTPUTS, accuracies, strict=True)):
            labels = [sequence.labels[:, k] for sequence in test]
            latency = score_live(labels, [own[k] for own in heads], hop).latency
            scores[f"{protocol}/{output}/balanced_accuracy"] = accuracy
            if latency is not None:
                scores[f"{protocol}/{output}/live_latency"] = latency
    return scores


def _probabilities(logits: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Return the softmax of each output, side by side, for each sequence (n_hops, n_outputs)."""
    heads = (torch.split(sequence.double(), SIZES, dim=-1) for sequence in logits)
    return [torch.cat([head.softmax(-1) for head in each], -1).numpy() for each in heads]


def demo_card(checkpoint: Checkpoint, recipe: DemoRecipe) -> str:
    """Return the model card as Markdown."""
    measured = dict.fromkeys(key.rpartition("/")[0] for key in checkpoint.scores)
    table = "\n".join(_row(checkpoint.scores, each) for each in measured)
    return f"""# {checkpoint.name}

MS-iMamba for {", ".join(checkpoint.montage)}: {" and ".join(checkpoint.outputs)}, low or high.

**{checkpoint.notice}**

Its labels come from the simulator's script. It knows nothing about real people, does not measure
feelings, and is not a medical device. It is included so that drivers, engine, dashboard and
recordings can be tried without training a model.

{list_facts(checkpoint)}

Balanced accuracy over all hops of {recipe.test.number} simulated people who are not in its training
data, including the transitions between states; chance is 0.5. Their state changes all the time, so
this is a live reading. Followed: seconds from a change to the first of three correct hops in a row:

| protocol | output | balanced accuracy | followed, s |
|---|---|---|---|
{table}

`subject` carries the state with r, `r = 0` uses each window alone, and `smoothed` is `r = 0` with
exponentially smoothed probabilities.
{_verdict(checkpoint)}

`mimamba train demo` trains a checkpoint with the same recipe.
The project's licence is BSD-3-Clause.
"""


def _row(scores: Mapping[str, float], measured: str) -> str:
    latency = scores.get(f"{measured}/live_latency")
    followed = "" if latency is None else f"{latency:.1f}"
    accuracy = scores[f"{measured}/balanced_accuracy"]
    return f"| {measured.replace('/', ' | ')} | {accuracy:.3f} | {followed} |"


def _verdict(checkpoint: Checkpoint) -> str:
    """Compare the carried state with smoothing, a sentence for each output."""
    lines = []
    for output in checkpoint.outputs:
        carried, smoothed = (
            checkpoint.scores[f"{protocol}/{output}/balanced_accuracy"]
            for protocol in ("subject", "subject (r = 0, smoothed)")
        )
        if abs(carried - smoothed) < TIE:
            verdict = "as accurate as"
        else:
            verdict = "better than" if carried > smoothed else "worse than"
        lines.append(f"For {output}, the carried state is {verdict} smoothing.")
    return "\n".join(lines)
