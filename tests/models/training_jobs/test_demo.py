"""The demo: made from the simulator alone, honest about itself, and sound for an hour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import (
    PACKAGE_FOLDER,
    Checkpoint,
    list_packaged_checkpoints,
    load_checkpoint,
)
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.scoring import score_logits, score_network, sequence_logits
from mimamba.models.training.trainer import TrainingConfig, TrainingProgress, new_network
from mimamba.models.training.windowing import HopSequence
from mimamba.models.training_jobs.demo import (
    DEMO,
    INFO,
    OUTPUTS,
    SIZES,
    SimulatedPeople,
    demo_card,
    simulate_chunks,
    simulate_person,
    train_demo,
)

NEW = SimulatedPeople(900_000, 8, 90.0)
"""Nobody of the demo's own splits."""
SMALL = replace(
    DEMO,
    architecture=MSiMambaConfig(
        n_times=64, n_scales=1, kernels=(1,), hidden=2, d_model=8, d_ff=8, n_layers=1, d_state=2
    ),
    signal=SignalConfig(window=64, hop=64),
    training=TrainingConfig(epochs=2, batch=4),
    finish=TrainingConfig(epochs=1, batch=4),
    learn=SimulatedPeople(1, 3, 20.0),
    choose=SimulatedPeople(11, 2, 20.0),
    test=SimulatedPeople(21, 2, 20.0),
)


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    return load_checkpoint("demo")


@pytest.fixture(scope="module")
def people(demo: Checkpoint) -> list[HopSequence]:
    return NEW.sequences(demo.signal)


def test_the_shipped_file_is_what_its_recipe_says(demo: Checkpoint) -> None:
    assert "demo" in list_packaged_checkpoints()
    assert (PACKAGE_FOLDER / "demo.safetensors").stat().st_size < 5e6
    assert (demo.architecture, demo.signal, demo.r) == (DEMO.architecture, DEMO.signal, DEMO.r)
    assert demo.montage == INFO.ch_names
    assert demo.outputs == OUTPUTS
    assert demo.notice is not None
    assert "simulated" in demo.notice
    assert (PACKAGE_FOLDER / "demo.md").read_text(encoding="utf-8") == demo_card(demo, DEMO)


def test_the_shipped_demo_does_well_on_new_people(
    demo: Checkpoint, people: list[HopSequence]
) -> None:
    found = score_network(demo.network, people, SIZES, demo.r)
    assert min(found.accuracies) > 0.7, found
    claimed = [demo.scores[f"subject/{output}/balanced_accuracy"] for output in OUTPUTS]
    assert min(claimed) > 0.7


def test_permuted_labels_come_out_at_chance(demo: Checkpoint, people: list[HopSequence]) -> None:
    rng = np.random.default_rng(1)
    labels = iter(rng.permutation(np.concatenate([s.labels for s in people])))
    permuted = [replace(s, labels=np.stack([next(labels) for _ in s.labels])) for s in people]
    found = score_logits(sequence_logits(demo.network, people, demo.r), permuted, SIZES)
    assert max(abs(a - 0.5) for a in found.accuracies) < 0.06


@torch.inference_mode()
def test_minute_60_is_as_minute_5(demo: Checkpoint, people: list[HopSequence]) -> None:
    """The same minute of the same people, an hour long: only the carried state can differ.

    After four minutes e^-12 of the empty state that it began with is left.
    """
    n_hops = round(60 * demo.signal.sfreq / demo.signal.hop)
    minute = [replace(s, windows=s.windows[:n_hops], labels=s.labels[:n_hops]) for s in people[:4]]
    x = torch.from_numpy(np.stack([s.windows for s in minute]))
    r = torch.full(x.shape[:2], demo.r)
    states, found, largest = demo.network.initial_states(len(minute)), [], []
    for _ in range(60):
        logits, states = demo.network.scan(x, r, states)
        found.append(logits)
        largest.append(float(states.h.abs().max()))
    assert largest[59] == pytest.approx(largest[4], rel=0.01)
    torch.testing.assert_close(found[59], found[4], rtol=1e-3, atol=1e-3)
    fifth, last = (score_logits(list(found[k]), minute, SIZES) for k in (4, 59))
    assert last.accuracies == pytest.approx(fifth.accuracies, abs=0.01)


def test_the_decoder_says_what_was_scored(demo: Checkpoint) -> None:
    """Hop by hop from chunks, as a session does, and offline, as the scores were made."""
    decoder = StreamingDecoder(demo, INFO)
    said = [p for c in simulate_chunks(Synthesizer("random", 5), 20.0) for p in decoder.feed(c)]
    offline = sequence_logits(demo.network, [simulate_person(5, demo.signal, 20.0)], demo.r)[0]
    given = [p.outputs for p in said if p.outputs is not None]
    for one, other in zip(given, demo.probabilities(offline), strict=True):
        assert one["valence"] == pytest.approx(other["valence"], abs=1e-5)
        assert one["arousal"] == pytest.approx(other["arousal"], abs=1e-5)
    assert len(given) > 25


def test_a_person_is_good_hops_labelled_by_the_script() -> None:
    sequence = simulate_person(3, DEMO.signal, 30.0)
    assert sequence.windows.dtype == np.float32
    assert sequence.windows.shape[1:] == (4, DEMO.signal.window)
    assert len(sequence.windows) == len(sequence.restart) == len(sequence.labels) > 50
    assert sequence.restart[0]
    synthesis = Synthesizer("random", 3, 256.0)
    decoder = StreamingDecoder(load_checkpoint("demo"), INFO)
    good = [
        p for c in simulate_chunks(synthesis, 30.0) for p in decoder.feed(c) if p.status == "ok"
    ]
    truth = synthesis.truth([p.index for p in good])
    assert sequence.labels[:, 0].tolist() == (truth.valence >= 0).astype(int).tolist()
    assert sequence.labels[:, 1].tolist() == (truth.arousal >= 0).astype(int).tolist()


def test_a_small_demo_is_made_written_and_reported(tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    path = tmp_path / "small.safetensors"
    threads = torch.get_num_threads()
    made = train_demo(path, 3, told.append, SMALL)
    again = train_demo(tmp_path / "again.safetensors", 3, None, SMALL)
    assert made.sha256 == again.sha256 == load_checkpoint(path).sha256
    assert [p.epoch for p in told] == [1, 2, 1]  # without the multi-scale block, then with it
    assert torch.get_num_threads() == threads
    assert made.sha256 in path.with_suffix(".md").read_text(encoding="utf-8")
    protocols = ("subject", "subject (r = 0)", "subject (r = 0, smoothed)")
    measured = {f"{protocol}/{output}" for protocol in protocols for output in OUTPUTS}
    assert {key.removesuffix("/balanced_accuracy") for key in made.scores} >= measured
    assert {key.rpartition("/")[0] for key in made.scores} == measured


def test_the_block_is_added_to_the_weights_of_a_network_that_has_none(tmp_path: Path) -> None:
    """Of another seed, and followed by training that changes next to nothing."""
    bare = new_network(replace(SMALL.architecture, mstb=False), 4)
    still = replace(SMALL, finish=replace(SMALL.finish, learning_rate=1e-9))
    told: list[TrainingProgress] = []
    made = train_demo(tmp_path / "whole.safetensors", 3, told.append, still, bare)
    assert len(told) == 1
    found, given = made.network.state_dict(), bare.state_dict()
    added = found.keys() - given.keys()
    assert added
    assert all(name.startswith("mstb.") for name in added)
    for name, weights in given.items():
        torch.testing.assert_close(found[name], weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("changes", [{"n_layers": 2, "mstb": False}, {"mstb": True}])
def test_another_network_is_no_beginning(tmp_path: Path, changes: dict[str, Any]) -> None:
    other = new_network(replace(SMALL.architecture, **changes), 3)
    with pytest.raises(ValueError, match="without its multi-scale block"):
        train_demo(tmp_path / "none.safetensors", 3, None, SMALL, other)


def test_no_person_is_in_two_splits() -> None:
    splits = (DEMO.learn, DEMO.choose, DEMO.test, NEW)
    seeds = [seed for split in splits for seed in range(split.first, split.first + split.number)]
    assert len(set(seeds)) == len(seeds)
