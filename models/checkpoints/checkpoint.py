"""Checkpoints: trained weights with everything that is needed to use them on a stream.

The file is safetensors, and its metadata has one key, ``mimamba``, with a JSON header. Nothing in
it is ever executed: no pickle is written or loaded. Equal weights and headers give equal bytes.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields
from pathlib import Path

import msgspec
import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.network.config import MSiMambaConfig, plain_architecture
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.prediction import Outputs
from mimamba.models.signal.baseline import MAX_BASELINE
from mimamba.models.signal.preprocessing import SignalConfig

VERSIONS = (1, 2)
"""Versions of the header that can be read; a file of another version is refused.

Version 2 has an architecture with ``frequencies``, which readers of version 1 would ignore.
"""
PACKAGE_FOLDER = Path(__file__).parent
"""Folder of the checkpoints that come with the package."""
SUFFIX = ".safetensors"
MAX_BYTES = 64 << 20
"""A larger file is refused unread; the reference configuration takes 1.1 MB."""
MAX_SIZE = 4096
"""Largest number in an architecture, so that a header alone cannot exhaust memory."""


class CheckpointError(Mismatch):
    """Raised for a checkpoint that is missing, damaged or invalid."""


@dataclass(frozen=True, kw_only=True)
class CheckpointHeader:
    """Description of the weights in a checkpoint's file.

    Parameters
    ----------
    name
        Name for people.
    architecture
        Architecture of the network.
    montage
        Electrodes of the channels, in order.
    signal
        Settings of the preprocessing.
    r
        Gate at each hop's start used in training, 0 to 1.
    outputs
        Outputs in the order of the logits, each with its labels.
    temperature
        Divisor of the logits before the softmax, by output.
    trained_on
        Training data in words.
    scores
        Scores by ``protocol/output/measure``.
    licence
        Licence of the weights.
    notice
        Text that a person must see before a prediction; None for nothing.
    baseline
        Seconds of the person's rest by which windows were aligned in training; 0 for none.
    set_thresholds
        Thresholds of prediction sets by output, of people held out; empty if there are none.
    """

    name: str
    architecture: MSiMambaConfig
    montage: tuple[str, ...]
    signal: SignalConfig
    r: float
    outputs: dict[str, tuple[str, ...]]
    temperature: dict[str, float]
    trained_on: str
    scores: dict[str, float]
    licence: str
    notice: str | None = None
    baseline: float = 0.0
    set_thresholds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        a = self.architecture
        labels = sum(len(names) for names in self.outputs.values())
        pairs = (
            ("channels of the architecture", a.n_channels, "the montage's", len(self.montage)),
            ("samples of the architecture", a.n_times, "the signal's window", self.signal.window),
            ("outputs of the architecture", a.n_outputs, "the labels", labels),
        )
        for what, value, other, expected in pairs:
            if value != expected:
                raise ValueError(f"{what} ({value}) are not {other} ({expected})")
        if not 0 <= self.r <= 1:
            raise ValueError(f"r is 0 to 1, not {self.r}")
        if not 0 <= self.baseline <= MAX_BASELINE:
            raise ValueError(f"baseline is 0 to {MAX_BASELINE:g} s, not {self.baseline}")
        if list(self.temperature) != list(self.outputs):
            raise ValueError("temperature names other outputs than outputs")
        if not all(0 < t < math.inf for t in self.temperature.values()):
            raise ValueError("a temperature is not a positive number")
        if not self.set_thresholds.keys() <= self.outputs.keys():
            raise ValueError("set_thresholds names other outputs than outputs")
        if not all(0 <= t <= 1 for t in self.set_thresholds.values()):
            raise ValueError("a threshold of sets is not 0 to 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint(CheckpointHeader):
    """A header with its weights.

    Parameters
    ----------
    network
        The network, in eval mode and without gradients.
    sha256
        SHA-256 of the file, in hexadecimal digits.
    """

    network: MSiMamba
    sha256: str

    def probabilities(self, logits: Tensor) -> list[Outputs]:
        """Return calibrated probabilities for each row of logits (B, n_outputs)."""
        # In NumPy, since each PyTorch operation releases the interpreter's lock, which a busy
        # service's engine must then acquire again.
        values, start = logits.numpy(force=True).astype(np.float64), 0
        rows: list[Outputs] = [{} for _ in range(len(values))]
        for output, labels in self.outputs.items():
            shares = values[:, start : start + len(labels)]
            start += len(labels)
            shares /= self.temperature[output]  # SciPy's softmax takes three times as long
            shares -= np.maximum.reduce(shares, -1, keepdims=True)
            np.exp(shares, out=shares)
            shares /= np.add.reduce(shares, -1, keepdims=True)
            for row, share in zip(rows, shares.tolist(), strict=True):
                row[output] = dict(zip(labels, share, strict=True))
        return rows


def list_packaged_checkpoints() -> list[str]:
    """List the names of the checkpoints that come with the package."""
    return sorted(path.stem for path in PACKAGE_FOLDER.glob(f"*{SUFFIX}"))


def list_own_checkpoints(folder: Path) -> list[str]:
    """List the names of a person's own checkpoints in a folder, which may be absent."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def load_checkpoint(name_or_path: str | Path, folder: Path | None = None) -> Checkpoint:
    """Load a checkpoint by its name or path.

    Parameters
    ----------
    name_or_path
        A name (``demo``), or a path, which is a `Path` or ends in ``.safetensors``.
    folder
        Folder with a person's own checkpoints, which are found by name after those of the package.

    Raises
    ------
    CheckpointError
        If it is missing, damaged or invalid.
    """
    path = _find(name_or_path, folder)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(
                f"a checkpoint of at most {MAX_BYTES >> 20} MiB",
                f"{size >> 20} MiB in {path}",
                "choose another file",
            )
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"a readable file {path}",
            error.strerror or str(error),
            "check the path and its permissions",
        ) from error
    return _decode(content, str(path))


def save_checkpoint(path: Path, header: CheckpointHeader, network: MSiMamba) -> Checkpoint:
    """Write a checkpoint atomically and return it as it would be loaded."""
    tensors = {name: t.detach().contiguous().cpu() for name, t in network.state_dict().items()}
    entries = {f.name: getattr(header, f.name) for f in fields(CheckpointHeader)}
    entries["architecture"] = plain_architecture(header.architecture)
    if not header.set_thresholds:  # releases that do not know them wrote these bytes
        del entries["set_thresholds"]
    version = 2 if header.architecture.frequencies else 1
    text = msgspec.json.encode({"version": version, **entries}).decode()
    content = safetensors.torch.save(tensors, metadata={"mimamba": text})
    checkpoint = _decode(content, str(path))  # a file that cannot be loaded is never written
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return checkpoint


def _find(name_or_path: str | Path, folder: Path | None) -> Path:
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix == SUFFIX or len(path.parts) != 1:
        return path
    places = [PACKAGE_FOLDER, folder] if folder else [PACKAGE_FOLDER]
    for place in places:
        if (found := place / f"{name_or_path}{SUFFIX}").is_file():
            return found
    own = ", ".join(list_own_checkpoints(folder)) if folder else ""
    raise CheckpointError(
        f"a checkpoint named {name_or_path}",
        f"{', '.join(list_packaged_checkpoints()) or 'none'} with the package"
        + (f", and your own {own}" if own else ""),
        f"use one of these names, or the path of a {SUFFIX} file",
    )


def _decode(content: bytes, source: str) -> Checkpoint:
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            "a safetensors file", f"another or a damaged file: {source}", "choose a checkpoint"
        ) from error
    header = _decode_header(content, source)
    network = _build(header.architecture, tensors, source)
    entries = {f.name: getattr(header, f.name) for f in fields(CheckpointHeader)}
    return Checkpoint(**entries, network=network, sha256=hashlib.sha256(content).hexdigest())


def _decode_header(content: bytes, source: str) -> CheckpointHeader:
    metadata = read_metadata(content)
    if "mimamba" not in metadata:
        raise CheckpointError(
            "weights with a mimamba header",
            f"none in {source}",
            "choose a file written by mimamba",
        )
    try:
        entries = msgspec.json.decode(metadata["mimamba"], type=dict[str, object])
        if (version := entries.pop("version", None)) not in VERSIONS:
            raise CheckpointError(
                f"a checkpoint of version {' or '.join(map(str, VERSIONS))}",
                f"version {version} in {source}",
                "update mimamba, or train it again",
            )
        _check_options(entries.get("architecture"), source)
        return msgspec.convert(entries, type=CheckpointHeader)
    except msgspec.MsgspecError as error:
        raise CheckpointError(
            "a valid header", f"{error} in {source}", "download the file again: it is damaged"
        ) from error


def _check_options(architecture: object, source: str) -> None:
    """Refuse options that this version does not know: without them it would compute otherwise."""
    if not isinstance(architecture, dict):
        return  # msgspec then says what is wrong
    if unknown := sorted(architecture.keys() - {f.name for f in fields(MSiMambaConfig)}):
        raise CheckpointError(
            "an architecture of known options",
            f"{', '.join(unknown)} in {source}",
            "update mimamba: a newer version made this file",
        )


def _build(config: MSiMambaConfig, tensors: dict[str, Tensor], source: str) -> MSiMamba:
    """Check the weights against the architecture before memory is allocated for it."""
    values = (getattr(config, f.name) for f in fields(config))
    sizes = [*(v for v in values if type(v) is int), *config.kernels]  # no bool
    if not all(1 <= v <= MAX_SIZE for v in sizes) or config.n_layers > len(tensors):
        raise CheckpointError(
            f"an architecture of sizes 1 to {MAX_SIZE}",
            f"{config} in {source}",
            "download the file again: it is damaged",
        )
    if _count_weights(config) > MAX_BYTES // 4:
        raise CheckpointError(
            f"an architecture whose weights fit {MAX_BYTES >> 20} MiB",
            f"{config} in {source}",
            "download the file again: it is damaged",
        )
    # Not on the device "meta", whose arithmetic loads PyTorch's compiler (1.4 s).
    with torch.random.fork_rng(devices=[]):
        network = MSiMamba(config)
    expected = {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}
    found = {name: (t.shape, t.dtype) for name, t in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"the weights {name} {_describe(expected.get(name))}",
                f"{_describe(found.get(name))} in {source}",
                "download the file again: it contradicts its own header",
            )
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _count_weights(config: MSiMambaConfig) -> int:
    """Count the large weights alone, nearly all of them."""
    d, inner = config.d_model, config.expand * config.d_model
    layer = 3 * d * inner + 3 * inner * config.d_state + 2 * d * config.d_ff + inner * config.d_conv
    blocks = sum(k * k for k in config.kernels) * config.n_channels * config.hidden
    ends = d * (config.n_times + config.n_channels * config.n_outputs)
    return config.n_layers * layer + 2 * blocks + ends


def _describe(entry: tuple[torch.Size, torch.dtype] | None) -> str:
    return "none" if entry is None else f"{tuple(entry[0])} {str(entry[1]).removeprefix('torch.')}"
