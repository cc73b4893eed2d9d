"""Checkpoints: what is written is what is read, and a wrong file is told in one line."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from mimamba.models.checkpoints.checkpoint import (
    MAX_BYTES,
    Checkpoint,
    CheckpointError,
    CheckpointHeader,
    list_packaged_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.signal.preprocessing import SignalConfig

TINY = MSiMambaConfig(n_times=32, d_model=8, d_ff=8, hidden=2, n_layers=1, d_state=2, n_outputs=5)
HEADER = CheckpointHeader(
    name="tiny",
    architecture=TINY,
    montage=("TP9", "AF7", "AF8", "TP10"),
    signal=SignalConfig(window=32, hop=16),
    r=0.9 ** (1 / 3),
    outputs={"valence": ("low", "high"), "mood": ("glum", "calm", "glad")},
    temperature={"valence": 1.25, "mood": 0.7},
    trained_on="nothing",
    scores={"none/valence/balanced_accuracy": 1 / 3},
    licence="none",
)


def network(seed: int = 0) -> MSiMamba:
    torch.manual_seed(seed)
    return MSiMamba(TINY)


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    return save_checkpoint(tmp_path / "tiny.safetensors", HEADER, network())


def header_of(path: Path) -> dict[str, Any]:
    """The header's JSON."""
    content = path.read_bytes()
    n_bytes = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(
        json.loads(content[8 : 8 + n_bytes])["__metadata__"]["mimamba"]
    )
    return header


def rewrite(path: Path, **changes: Any) -> None:
    """Change entries of the header's JSON; None takes one out."""
    tensors = safetensors.torch.load_file(path)
    header = {k: v for k, v in (header_of(path) | changes).items() if v is not None}
    safetensors.torch.save_file(tensors, path, metadata={"mimamba": json.dumps(header)})


def refused(path: Path | str, *words: str) -> None:
    with pytest.raises(CheckpointError) as info:
        load_checkpoint(path)
    line = str(info.value)
    assert "\n" not in line
    assert line.startswith("Expected ")
    for word in words:
        assert word in line


def test_what_is_written_is_what_is_read(saved: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    loaded = load_checkpoint(path)
    for name in CheckpointHeader.__dataclass_fields__:
        assert getattr(loaded, name) == getattr(HEADER, name) == getattr(saved, name)
    assert list(loaded.outputs) == ["valence", "mood"]
    assert loaded.sha256 == saved.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())
    x = torch.randn(2, 4, 32)
    assert loaded.network(x).equal(network().eval()(x))
    assert load_checkpoint(str(path)).sha256 == saved.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = (
        save_checkpoint(tmp_path / f"{i}.safetensors", HEADER, network(seed)).sha256
        for i, seed in enumerate((0, 0, 1))
    )
    assert first == second != other


@pytest.mark.parametrize(("frequencies", "version"), [((), 1), ((4, 8, 16), 2)])
def test_what_older_releases_would_compute_otherwise_has_a_newer_version(
    tmp_path: Path, frequencies: tuple[int, ...], version: int
) -> None:
    path, architecture = tmp_path / "x.safetensors", replace(TINY, frequencies=frequencies)
    save_checkpoint(path, replace(HEADER, architecture=architecture), MSiMamba(architecture))
    assert header_of(path)["version"] == version
    assert ("frequencies" in header_of(path)["architecture"]) == bool(frequencies)
    assert load_checkpoint(path).architecture == architecture


def test_thresholds_of_sets_are_kept_and_absent_without_any(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    plain = save_checkpoint(path, HEADER, network())
    assert b"set_thresholds" not in path.read_bytes()
    save_checkpoint(path, replace(HEADER, set_thresholds={"mood": 0.6}), network())
    assert load_checkpoint(path).set_thresholds == {"mood": 0.6}
    for wrong in ({"joy": 0.5}, {"mood": 1.5}):
        with pytest.raises(ValueError, match="set"):
            replace(HEADER, set_thresholds=wrong)
    assert plain.set_thresholds == {}


def test_probabilities_are_calibrated_softmaxes(saved: Checkpoint) -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 0.0, -1.0], [3.0, 3.0, 0.0, 0.0, 0.0]])
    first, second = saved.probabilities(logits)
    assert list(first) == ["valence", "mood"]
    assert first["valence"]["high"] == pytest.approx(1 / (1 + math.exp(-1 / 1.25)), abs=1e-12)
    weights = [math.exp(v / 0.7) for v in (2, 0, -1)]
    assert first["mood"]["glum"] == pytest.approx(weights[0] / sum(weights), abs=1e-12)
    assert second["valence"] == {"low": 0.5, "high": 0.5}
    assert sum(second["mood"].values()) == pytest.approx(1.0, abs=1e-12)


def test_an_unknown_name_lists_the_known() -> None:
    refused("no-such-model", "no-such-model", *list_packaged_checkpoints())


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "none.safetensors", "No such file")
    refused(tmp_path, "directory")


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, pickle.dumps({"weights": [1, 2]})])
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    refused(path, "safetensors", str(path))


def test_a_truncated_file(saved: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    content = path.read_bytes()
    for n_bytes in (7, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:n_bytes])
        refused(path, "safetensors")
    assert saved.r == HEADER.r


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    refused(path, "64 MiB")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_weights_without_a_header(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "bare.safetensors"
    safetensors.torch.save_file(network().state_dict(), path, metadata=metadata)
    refused(path, "mimamba header")


ARCHITECTURE = {k: getattr(TINY, k) for k in TINY.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"version": 3}, "version 1 or 2, but found version 3"),
        ({"montage": None}, "montage"),
        ({"montage": ["TP9"]}, "montage"),
        ({"r": 1.5}, "r is 0 to 1"),
        ({"r": "1"}, "float"),
        ({"baseline": -1.0}, "baseline is 0 to 600 s"),
        ({"baseline": 601.0}, "baseline is 0 to 600 s"),
        ({"signal": {"window": 64}}, "window"),
        ({"signal": {"window": 32, "band": [40, 1]}}, "band"),
        ({"outputs": {"valence": ["low", "high"]}}, "labels"),
        ({"temperature": {"valence": 1.0}}, "temperature"),
        ({"temperature": {"valence": 1.0, "mood": 0.0}}, "temperature"),
        ({"architecture": ARCHITECTURE | {"d_model": 16}}, "electrode (4, 16)"),
        ({"architecture": ARCHITECTURE | {"n_layers": 2}}, "layers.1"),
        ({"architecture": ARCHITECTURE | {"n_layers": 4000}}, "4000"),
        ({"architecture": ARCHITECTURE | {"d_ff": 10**9}}, "1000000000"),
        ({"architecture": ARCHITECTURE | {"d_model": -8}}, "-8"),
        ({"architecture": ARCHITECTURE | {"kernels": [2]}}, "kernels"),
        ({"architecture": ARCHITECTURE | {"ranking": "best"}}, "best"),
        ({"architecture": ARCHITECTURE | {"depth": 2, "age": 1}}, "age, depth"),
        ({"architecture": ["linear"]}, "architecture"),
    ],
)
@pytest.mark.usefixtures("saved")
def test_a_header_that_does_not_fit(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    path = tmp_path / "tiny.safetensors"
    rewrite(path, **changes)
    refused(path, word, str(path))


@pytest.mark.usefixtures("saved")
def test_a_file_from_before_baselines_has_none(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    rewrite(path, baseline=None)
    assert load_checkpoint(path).baseline == 0.0


def test_a_name_is_the_packages_first_then_one_of_the_folder(tmp_path: Path) -> None:
    saved = save_checkpoint(tmp_path / "own.safetensors", HEADER, network())
    save_checkpoint(tmp_path / "demo.safetensors", HEADER, network())
    assert load_checkpoint("own", tmp_path).sha256 == saved.sha256
    assert load_checkpoint("demo", tmp_path).sha256 == load_checkpoint("demo").sha256
    with pytest.raises(CheckpointError, match=r"your own demo, own\."):
        load_checkpoint("none", tmp_path)
    refused("own", "own")


def test_a_header_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    safetensors.torch.save_file(network().state_dict(), path, metadata={"mimamba": "{"})
    refused(path, "header")


@pytest.mark.parametrize("change", ["missing", "extra", "half"])
@pytest.mark.usefixtures("saved")
def test_weights_that_do_not_fit_the_header(tmp_path: Path, change: str) -> None:
    path = tmp_path / "tiny.safetensors"
    tensors = safetensors.torch.load_file(path)
    content = path.read_bytes()
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    if change == "missing":
        del tensors["head.bias"]
    elif change == "extra":
        tensors["tail.bias"] = torch.zeros(2)
    else:
        tensors["head.bias"] = tensors["head.bias"].half()
    safetensors.torch.save_file(tensors, path, metadata=metadata)
    refused(path, "tail.bias" if change == "extra" else "head.bias")


def test_what_cannot_be_loaded_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = replace(HEADER, scores={"none": math.nan})
    with pytest.raises(CheckpointError):
        save_checkpoint(path, header, network())
    with pytest.raises(CheckpointError):
        save_checkpoint(path, HEADER, MSiMamba(replace(TINY, d_model=16)))
    assert not list(tmp_path.iterdir())
