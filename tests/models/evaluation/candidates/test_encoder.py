"""Encoders: a saved network is frozen, encodes each sequence once, and its head learns."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("sklearn", reason="the extra train is not installed")

from mimamba.models.evaluation.candidates.braindecode_loader import (
    NetworkUnavailable,
    load_models,
    without_warnings,
)
from mimamba.models.evaluation.candidates.candidate import without_labels
from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
from mimamba.models.evaluation.candidates.encoder import EncoderCandidate, load_encoder
from mimamba.models.signal.preprocessing import SignalConfig
from tests.models.evaluation.people import TASK, people, telling


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, as braindecode's ``save_pretrained`` lays it out."""
    try:
        models: Any = load_models()
    except NetworkUnavailable as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    channels = [{"ch_name": name, "kind": 2} for name in ("AF8", "TP9")]
    with without_warnings():
        network = models.ShallowFBCSPNet(
            n_chans=2, n_outputs=4, n_times=100, sfreq=100.0, chs_info=channels
        )
    config = network.get_config() | {"braindecode_version": "1.8.1"}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "README.md").write_text(
        "---\nlicense: bsd-3-clause\ntags:\n- braindecode\n- ShallowFBCSPNet\n---\n# A model\n"
    )
    return folder


def test_a_frozen_network_with_a_head_that_learns(saved: Path) -> None:
    encoder = load_encoder(saved)
    assert (encoder.name, encoder.ch_names) == ("ShallowFBCSPNet", ("AF8", "TP9"))
    assert encoder.rows(TASK.montage) == [2, 0]
    before = {name: t.clone() for name, t in encoder.network.state_dict().items()}
    sequences = people(4, 4, 8, telling)
    candidate = EncoderCandidate(encoder, TASK)
    candidate.fit(sequences[:12], sequences[12:14])
    candidate.refit(sequences[:14])
    shares = candidate.probabilities(without_labels(sequences[14:]))
    assert [each.shape for each in shares] == [(8, 2)] * 2
    right = [p[:, s.labels[0, 0]] > 0.5 for p, s in zip(shares, sequences[14:], strict=True)]
    assert np.mean(right) > 0.9  # random filters tell 6 from 20 Hz
    after = encoder.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    again = candidate.probabilities(without_labels(sequences[14:]))
    assert all((a == b).all() for a, b in zip(shares, again, strict=True))


def test_two_encoders_of_a_class_are_told_apart_by_their_folders(
    saved: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(saved, tmp_path / "other")
    found, _ = CandidateSet((), comparisons=False, encoders=(saved, other)).candidates(TASK, 0)
    assert [each.name for each in found] == [
        f"ShallowFBCSPNet, frozen, {saved.name}",
        "ShallowFBCSPNet, frozen, other",
        "majority label",
    ]


def test_what_does_not_suit_is_one_sentence(saved: Path) -> None:
    encoder = load_encoder(saved)
    with pytest.raises(NetworkUnavailable, match="Use --windows 1"):
        EncoderCandidate(encoder, replace(TASK, signal=SignalConfig(window=64)))
    with pytest.raises(NetworkUnavailable, match="Choose them with --montage AF8,TP9"):
        EncoderCandidate(encoder, replace(TASK, montage=("O1", "O2")))
    with pytest.raises(NetworkUnavailable, match="2 channels for ShallowFBCSPNet, but found 4"):
        EncoderCandidate(replace(encoder, ch_names=None), TASK)


@pytest.mark.parametrize(
    ("file", "content", "word"),
    [
        ("config.json", None, "config.json and model.safetensors"),
        ("model.safetensors", b"\x80\x02pickle", "model.safetensors"),
        ("README.md", None, "named by the tags"),
        ("README.md", b"---\ntags:\n- braindecode\n---\n- EEGNet\n", "named by the tags"),
        ("config.json", b'{"n_chans": 2, "activation": "os.system"}', "os.system as activation"),
        (
            "config.json",
            b'{"n_chans": 3, "n_outputs": 4, "n_times": 100}',
            "weights of ShallowFBCSPNet",
        ),
        ("config.json", b"[]", "named by the tags"),
    ],
)
def test_a_damaged_folder_is_one_sentence(
    saved: Path, tmp_path: Path, file: str, content: bytes | None, word: str
) -> None:
    folder = shutil.copytree(saved, tmp_path / "damaged")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(NetworkUnavailable, match=word):
        load_encoder(folder)


def test_what_save_pretrained_writes(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    models: Any = load_models()
    with without_warnings():
        network = models.EEGNet(n_chans=4, n_outputs=2, n_times=128, sfreq=128.0)
        network.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    encoder = load_encoder(tmp_path)
    assert (encoder.name, encoder.n_times, encoder.ch_names) == ("EEGNet", 128, None)
    assert EncoderCandidate(encoder, TASK).features(people(1, 1, 3, telling)).shape[0] == 3
