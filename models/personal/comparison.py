"""Comparison of features on recordings with blocks: band power, and a frozen network's insides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.datasets.bids import find_recordings
from mimamba.models.datasets.bids_tables import column_spans
from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.decoding.decoder import gate
from mimamba.models.personal.features import (
    BANDS_OF,
    CHUNK_SECONDS,
    FeatureTrack,
    columns,
    track_features,
)
from mimamba.models.personal.learning_curve import cut_state
from mimamba.models.personal.statistics import BlockScores, LabelledBlocks, score_blocks
from mimamba.models.personal.verdict import LEAST_BLOCKS
from mimamba.models.personal.verdict_counts import PersonRecording
from mimamba.models.signal.baseline import BaselineAligner
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.montage import match_montage

NETWORK_FEATURES = ("tokens", "state")
"""Features from a frozen network: its embedded window, and the state that it carries on."""


@dataclass(frozen=True, eq=False)
class ComparedPerson:
    """Scores of one person's blocks by set of features, with the number of blocks of each kind."""

    person: str
    n_blocks: tuple[int, int]
    scores: dict[str, BlockScores]


def read_people(
    roots: Sequence[Path], tasks: Sequence[str] = ()
) -> Iterator[tuple[PersonRecording, Path]]:
    """Read the recordings of BIDS folders, with the task as the state.

    Raises
    ------
    DatasetError
        If there is no recording of a task.
    """
    n_found = 0
    for root in roots:
        for found in find_recordings(root):
            if not tasks or found.task in tasks:
                n_found += 1
                person = f"{root.resolve().name} {found.person}"
                recording = read_recording(found.path)
                yield PersonRecording(person, found.name, found.task, recording), found.path
    if not n_found:
        raise DatasetError(
            f"recordings of the tasks {', '.join(tasks)}", "none", "correct --tasks or --root"
        )


def track_network(
    recording: Recording, checkpoint: Checkpoint, baseline: float = 0.0
) -> dict[str, FeatureTrack]:
    """Measure a frozen network's tokens and states at all hops of a recording.

    Raises
    ------
    MontageError, SignalError
        If the recording is unsuitable for the checkpoint.
    """
    info, signal, network = recording.info, checkpoint.signal, checkpoint.network
    rows = [electrode.row for electrode in match_montage(checkpoint.montage, info.ch_names)]
    cutter = HopCutter(signal, info, rows, checkpoint.montage)
    aligner = BaselineAligner(signal)
    if baseline:
        aligner.start(baseline)
    states = network.initial_states(1)
    index: list[int] = []
    values: dict[str, list[NDArray[np.float64] | None]] = {name: [] for name in NETWORK_FEATURES}
    with torch.inference_mode():
        for chunk in recording.chunks(round(CHUNK_SECONDS * info.sfreq)):
            for hop in (aligner.feed(each) for each in cutter.feed(chunk)):
                index.append(hop.index)
                if hop.window is None:
                    for each in values.values():
                        each.append(None)
                    continue
                tokens = network.embed(torch.from_numpy(hop.window)[np.newaxis])
                gates = torch.tensor([[gate(hop, checkpoint.r)]])
                _, states = network.scan_tokens(tokens[np.newaxis], gates, states)
                values["tokens"].append(tokens.numpy().ravel().astype(np.float64))
                values["state"].append(states.h.numpy().ravel().astype(np.float64))
    reach = round(signal.window / signal.sfreq * info.sfreq)
    return {
        name: FeatureTrack(np.array(index, np.int64), _rows(each), reach, None)
        for name, each in values.items()
    }


def track_all(
    recording: Recording,
    montage: Sequence[str],
    checkpoint: Checkpoint | None = None,
    baseline: float = 0.0,
) -> dict[str, FeatureTrack]:
    """Measure every set of features at all hops of a recording, those of a network if given."""
    bands = track_features(recording, montage, baseline)
    every: dict[str, FeatureTrack] = {}
    for features in BANDS_OF:
        every[features] = _columns(bands, columns(features, len(montage)))
    if checkpoint is not None:
        every |= track_network(recording, checkpoint, baseline)
    return every


def _rows(values: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    width = next((each.size for each in values if each is not None), 1)
    none = np.full(width, np.nan)
    return np.array([none if each is None else each for each in values]).reshape(-1, width)


def compare_features(
    people: Sequence[tuple[PersonRecording, Path]],
    montage: Sequence[str],
    kinds: tuple[str, str],
    checkpoint: Checkpoint | None = None,
    events: bool = False,
    seconds: float | None = None,
    baseline: float = 0.0,
    permute: bool = False,
    seed: int = 0,
) -> list[ComparedPerson]:
    """Score every set of features on each person's blocks.

    Parameters
    ----------
    people
        Recordings, as ``read_people`` gives them.
    montage
        Electrodes.
    kinds
        The two tasks, or types of events.
    checkpoint
        Network whose tokens and states are compared as well; None for none.
    events
        True for blocks at events with these types; false if each recording is in one state.
    seconds
        Length of a block, s: of an event, or by which a recording is cut. None for the event's own
        duration, or the whole recording.
    baseline
        Seconds of rest at each recording's start.
    permute
        Exchange the kinds of blocks at random first: every result should be at chance.
    seed
        Seed of drawn relabellings and of the bootstrap.
    """
    names = [*BANDS_OF, *(NETWORK_FEATURES if checkpoint else ())]
    blocks: dict[str, dict[str, list[list[NDArray[np.float64]]]]] = {}
    for one, path in people:
        mine = blocks.setdefault(one.person, {name: [[], []] for name in names})
        for name, track in track_all(one.recording, montage, checkpoint, baseline).items():
            cut = (
                _at_events(one, path, track, kinds, seconds)
                if events
                else _whole(one, track, kinds, seconds)
            )
            for kind, hops in cut:
                mine[name][kind].append(hops)
    rng = np.random.default_rng(seed)
    return [
        compared
        for person, by_name in blocks.items()
        if (compared := _score(person, by_name, rng if permute else None, seed)) is not None
    ]


def _columns(track: FeatureTrack, chosen: slice) -> FeatureTrack:
    return FeatureTrack(track.index, track.values[:, chosen], track.reach, track.baseline)


def _at_events(
    one: PersonRecording,
    path: Path,
    track: FeatureTrack,
    kinds: tuple[str, str],
    seconds: float | None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for span in column_spans(path, one.recording, "trial_type", seconds):
        if span.labels[0] in kinds:
            inside = track.within(span.start, span.stop)
            hops = inside[track.ok[inside]]
            if len(hops):
                yield kinds.index(span.labels[0]), track.values[hops]


def _whole(
    one: PersonRecording, track: FeatureTrack, kinds: tuple[str, str], seconds: float | None
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    if one.state not in kinds:
        return
    kind = kinds.index(one.state)
    if seconds is not None:
        for hops in cut_state([track], one.recording.info.sfreq, seconds):
            yield kind, hops
    elif track.ok.any():
        yield kind, track.values[track.ok]


def _score(
    person: str,
    by_name: dict[str, list[list[NDArray[np.float64]]]],
    rng: np.random.Generator | None,
    seed: int,
) -> ComparedPerson | None:
    """Score a person's blocks, as many of each kind, permuted by ``rng``; None with too few."""
    n_blocks = min(len(each) for pair in by_name.values() for each in pair)
    if n_blocks < LEAST_BLOCKS:
        return None
    kinds = np.repeat([0, 1], n_blocks)
    if rng is not None:
        kinds = rng.permutation(kinds)
    scores = {}
    for name, (first, second) in by_name.items():
        parts = (*first[:n_blocks], *second[:n_blocks])
        labelled = LabelledBlocks(parts, kinds, np.zeros(2 * n_blocks, np.int64))
        scores[name] = score_blocks(labelled, seed)
    return ComparedPerson(person, (n_blocks, n_blocks), scores)
