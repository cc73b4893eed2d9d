"""Published networks: all are built and learn in our loop, with or without a fitting torchaudio."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("skorch", reason="the extra train is not installed")

from mimamba.models.evaluation.candidates import braindecode_loader
from mimamba.models.evaluation.candidates.braindecode_loader import (
    NETWORK_NAMES,
    NetworkUnavailable,
    build_network,
    load_models,
)
from mimamba.models.evaluation.candidates.candidate import (
    Candidate,
    ClassificationTask,
    without_labels,
)
from mimamba.models.evaluation.candidates.candidate_set import comparison_candidates
from mimamba.models.evaluation.candidates.published_networks import PublishedNetwork, left_first
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.trainer import TrainingConfig
from tests.models.evaluation.people import TASK, people, telling

CONFIG = TrainingConfig(epochs=6, patience=6, batch=16, learning_rate=3e-3, balanced=True)


@pytest.fixture(scope="module")
def _braindecode() -> None:
    try:
        load_models()
    except NetworkUnavailable as error:
        pytest.skip(str(error))


def names(candidates: list[Candidate]) -> list[str]:
    return [candidate.name for candidate in candidates]


def test_left_comes_first() -> None:
    assert left_first(("TP9", "AF7", "AF8", "TP10")) == [0, 1, 2, 3]
    assert left_first(("Fp1", "Fp2", "AF3", "AF4")) == [0, 2, 1, 3]
    assert left_first(("C4", "Cz", "C3")) == [2, 1, 0]


@pytest.mark.usefixtures("_braindecode")
def test_all_rivals_are_had_and_the_networks_learn() -> None:
    sequences = people(4, 4, 8, telling)
    learn, choose, asked = sequences[:12], sequences[12:14], sequences[14:]
    found, missing = comparison_candidates(TASK, CONFIG)
    assert missing == []
    assert names(found)[-4:] == list(NETWORK_NAMES)
    right = {}
    for candidate in found[-4:]:
        candidate.fit(learn, choose)
        shares = candidate.probabilities(without_labels(asked))
        assert [p.shape for p in shares] == [(8, 2)] * 2
        assert np.concatenate(shares).sum(1) == pytest.approx(1.0)
        hits = [p[:, s.labels[0, 0]] > 0.5 for p, s in zip(shares, asked, strict=True)]
        right[candidate.name] = float(np.mean(hits))
    assert min(right["ShallowFBCSPNet"], right["TSception"]) > 0.9, right


@pytest.mark.usefixtures("_braindecode")
def test_the_same_seed_says_the_same_whatever_went_before() -> None:
    sequences = people(2, 4, 4, telling)
    config = TrainingConfig(epochs=1, batch=8)
    found = []
    for _ in range(2):
        network = PublishedNetwork("EEGNet", TASK, config)
        network.fit(sequences[:6], sequences[6:])
        found.append(np.concatenate(network.probabilities(without_labels(sequences[6:]))))
    assert (found[0] == found[1]).all()


@pytest.mark.usefixtures("_braindecode")
def test_a_network_that_wants_longer_windows_is_left_out_in_one_line() -> None:
    task = ClassificationTask(TASK.outputs, TASK.montage, SignalConfig(window=64))
    found, missing = comparison_candidates(task, CONFIG)
    assert "EEGNet" in names(found)
    assert "ShallowFBCSPNet" not in names(found)
    assert any("long enough for ShallowFBCSPNet, but found 64 samples" in line for line in missing)
    with pytest.raises(NetworkUnavailable):
        build_network("ShallowFBCSPNet", task)


def test_without_braindecode_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "braindecode.models", None)
    found, missing = comparison_candidates(TASK, CONFIG)
    assert len(found) == 3
    assert len(missing) == 1
    assert "pip install braindecode" in missing[0]


def test_without_scikit_learn_there_is_the_majority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    found, missing = comparison_candidates(TASK, CONFIG)
    assert names(found) == ["majority label"]
    assert "pip install scikit-learn skorch" in missing[0]


def test_the_stand_in_for_torchaudio_raises_when_used_and_does_not_stay() -> None:
    before = sys.modules.get("torchaudio")
    with braindecode_loader._without_audio():
        import torchaudio.transforms as transforms
        from torchaudio.functional import lfilter

        with pytest.raises(ImportError, match=r"torchaudio.functional.lfilter needs"):
            lfilter([1.0], [1.0])
        with pytest.raises(ImportError, match=r"torchaudio.transforms.Resample needs"):
            transforms.Resample(1, 2)
    assert sys.modules.get("torchaudio") is before
