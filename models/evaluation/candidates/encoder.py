"""Pretrained encoder as a candidate: a saved braindecode network, frozen, with a head of its own.

The folder is what ``save_pretrained`` of a braindecode model writes: ``config.json``,
``model.safetensors``, and ``README.md``, whose tags name the class. Nothing is downloaded, and
``pytorch_model.bin`` is not read, because a pickle can execute code. Needs the extras ``train`` and
``rivals``.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.signal import resample_poly
from torch import Tensor, nn

from mimamba.drivers.formats.recording import one_line
from mimamba.models.datasets.resampling import MAX_DENOMINATOR
from mimamba.models.evaluation.candidates.band_power_classifiers import (
    FeatureCandidate,
    logistic_regressions,
)
from mimamba.models.evaluation.candidates.braindecode_loader import (
    NetworkUnavailable,
    load_models,
    without_warnings,
)
from mimamba.models.evaluation.candidates.candidate import ClassificationTask, UnlabelledSequence
from mimamba.models.signal.montage import MontageError, match_montage
from mimamba.models.training.windowing import HopSequence

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MICROVOLTS = 100.0
"""Windows are divided by this, µV, as for LaBraM and CBraMod."""
MAX_BATCH = 64
"""Windows per call; it limits memory."""
SAFE_TYPES = ("torch.nn.", "braindecode.")
"""Beginnings of the class names that a configuration may hold."""
REMEDY = "save it with save_pretrained of braindecode, and give its folder with --encoder"


@dataclass(frozen=True, eq=False)
class SavedEncoder:
    """Network with the signal that it takes.

    Parameters
    ----------
    name
        Name of its class.
    network
        The network, in eval mode.
    n_times, sfreq
        Length of its windows, samples, and their rate, Hz.
    n_channels, ch_names
        Its channels; the names are None if they were not saved.
    """

    name: str
    network: nn.Module
    n_times: int
    sfreq: float
    n_channels: int
    ch_names: tuple[str, ...] | None

    def rows(self, montage: Sequence[str]) -> list[int]:
        """Return the montage's channel for each of its channels; raises NetworkUnavailable."""
        if self.ch_names is None:
            if self.n_channels != len(montage):
                raise NetworkUnavailable(
                    f"{self.n_channels} channels for {self.name}",
                    f"{len(montage)} ({', '.join(montage)})",
                    "choose others with --montage",
                )
            return [*range(self.n_channels)]
        try:
            return [each.row for each in match_montage(self.ch_names, montage)]
        except MontageError as error:
            raise NetworkUnavailable(
                f"the channels of {self.name} ({', '.join(self.ch_names)})",
                ", ".join(montage),
                f"choose them with --montage {','.join(self.ch_names)}",
            ) from error

    @torch.inference_mode()
    def features(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute what its own head would get: (n, n_features) of windows (n, n_chans, n_times)."""
        parts = [
            self._features(torch.from_numpy(windows[i : i + MAX_BATCH]))
            for i in range(0, len(windows), MAX_BATCH)
        ]
        return np.asarray(torch.cat(parts).double().numpy())

    def _features(self, x: Tensor) -> Tensor:
        taken = inspect.signature(self.network.forward).parameters
        named = {"ch_names": [*self.ch_names]} if self.ch_names and "ch_names" in taken else {}
        if "return_features" in taken:
            found = self.network(x, return_features=True, **named)
            values: Tensor = found["features"] if isinstance(found, dict) else found
        else:
            values = self._before_head(x)
        if values.ndim == 3:  # tokens of channels and times
            values = values.mean(1)
        return values.flatten(1).float()

    def _before_head(self, x: Tensor) -> Tensor:
        """Return the input of ``final_layer``, or the outputs of a network without one."""
        head = getattr(self.network, "final_layer", None)
        caught: list[Tensor] = []
        if not isinstance(head, nn.Module):
            outputs: Tensor = self.network(x)
            return outputs
        hook = head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
        try:
            self.network(x)
        finally:
            hook.remove()
        return caught[0].flatten(1)


def load_encoder(folder: Path) -> SavedEncoder:
    """Load a saved network; raises NetworkUnavailable."""
    try:
        config: Any = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise NetworkUnavailable(
            f"{CONFIG} and {WEIGHTS} of a braindecode model in {folder}",
            f"the error: {one_line(str(error))}",
            REMEDY,
        ) from error
    name = _class_name(folder)
    models = load_models()
    network: Any = getattr(models, name, None)
    if not isinstance(config, dict) or network is None:
        raise NetworkUnavailable(
            f"a class of braindecode.models named by the tags of {folder / CARD}",
            name or "none",
            REMEDY,
        )
    _check_types(folder, config)
    config = {key: value for key, value in config.items() if key != "braindecode_version"}
    channels = config.get("chs_info")
    try:
        with without_warnings(), torch.random.fork_rng(devices=[]):
            if channels is not None:
                config["chs_info"] = network._deserialize_chs_info(channels)
            made: Any = network.from_config(config)
            made.load_state_dict(weights)
            found = SavedEncoder(
                name,
                made.eval().requires_grad_(False),
                int(made.n_times),
                float(made.sfreq),
                int(made.n_chans),
                tuple(each["ch_name"] for each in channels) if channels else None,
            )
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise NetworkUnavailable(
            f"a configuration and weights of {name} with n_chans, n_times and sfreq in {folder}",
            f"the error: {one_line(str(error))[:200]}",
            REMEDY,
        ) from error
    return found


def _class_name(folder: Path) -> str:
    """Return the name of the class in the card's tags, as ``save_pretrained`` writes them."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    tags = re.findall(r"^\s*- ['\"]?(\w+)['\"]?\s*$", card.partition("\n---")[0], re.MULTILINE)
    models = load_models()
    return next((tag for tag in tags if isinstance(getattr(models, tag, None), type)), "")


def _check_types(folder: Path, config: dict[str, Any]) -> None:
    """Refuse names of classes that are none of PyTorch's or braindecode's modules."""
    for key, value in config.items():
        named = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", value)
        if named and not value.startswith(SAFE_TYPES):
            raise NetworkUnavailable(
                f"classes of PyTorch and braindecode in {folder / CONFIG}",
                f"{value} as {key}",
                "do not use the file",
            )


class EncoderCandidate(FeatureCandidate):
    """Logistic regression on the features of a frozen network, window by window.

    Windows are resampled to the network's rate; it gets the newest ``n_times`` samples. Features
    are computed once per sequence, for all folds.

    Raises
    ------
    NetworkUnavailable
        If the network does not suit the task's channels or windows.
    """

    def __init__(self, encoder: SavedEncoder, task: ClassificationTask) -> None:
        super().__init__(f"{encoder.name}, frozen", task, logistic_regressions())
        self._encoder, self._rows = encoder, encoder.rows(task.montage)
        seconds = encoder.n_times / encoder.sfreq
        if task.signal.window / task.signal.sfreq < seconds:
            raise NetworkUnavailable(
                f"windows of at least {seconds:g} s for {encoder.name}",
                f"{task.signal.window / task.signal.sfreq:g} s",
                f"use --windows {seconds:g}",
            )
        silence = np.zeros((1, encoder.n_channels, encoder.n_times), np.float32)
        try:
            with without_warnings():
                encoder.features(silence)
        except (ValueError, RuntimeError) as error:
            raise NetworkUnavailable(
                f"a network that takes {encoder.n_channels} channels of {encoder.n_times} samples",
                f"the error: {one_line(str(error))[:200]}",
                "save it with chs_info, for the names of its channels",
            ) from error
        self._known: dict[int, tuple[NDArray[np.float32], NDArray[np.float64]]] = {}

    def features(
        self, sequences: Sequence[HopSequence] | Sequence[UnlabelledSequence]
    ) -> NDArray[np.float64]:
        return np.concatenate([self._encode(sequence.windows) for sequence in sequences])

    def _encode(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        kept = self._known.get(id(windows))
        if kept is None or kept[0] is not windows:
            kept = windows, self._encoder.features(self._prepared(windows))
            self._known[id(windows)] = kept
        return kept[1]

    def _prepared(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        ours, theirs = self._task.signal.sfreq, self._encoder.sfreq
        chosen = windows[:, self._rows] / MICROVOLTS
        if ours != theirs:
            ratio = Fraction(theirs / ours).limit_denominator(MAX_DENOMINATOR)
            up, down = ratio.numerator, ratio.denominator
            chosen = resample_poly(chosen, up, down, axis=-1, padtype="line")
        return np.ascontiguousarray(chosen[..., -self._encoder.n_times :], np.float32)
