"""Published networks from braindecode, also where its torchaudio cannot be loaded.

Imported where it is used: it needs the extra ``rivals``.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn

from mimamba.drivers.errors import Mismatch
from mimamba.models.evaluation.candidates.candidate import ClassificationTask

NETWORK_NAMES = ("EEGNet", "ShallowFBCSPNet", "TSception", "EEGConformer")
AUDIO = ("torchaudio", "torchaudio.functional", "torchaudio.transforms")


class NetworkUnavailable(Mismatch):
    """A rival cannot be had here; one clear line."""


class _Absent(ModuleType):
    """Stands in for a part of torchaudio: its names can be imported, and raise when used."""

    def __getattr__(self, name: str) -> type[nn.Module]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_args: object, **_settings: object) -> None:
            raise ImportError(f"{self.__name__}.{name} needs a torchaudio that fits this torch")

        return type(name, (nn.Module,), {"__init__": refuse})


@contextmanager
def _without_audio() -> Iterator[None]:
    """Let modules be imported that import torchaudio, then forget the stand-in."""
    parts = {name: _Absent(name) for name in AUDIO}
    parts["torchaudio"].__dict__.update(
        functional=parts["torchaudio.functional"], transforms=parts["torchaudio.transforms"]
    )
    sys.modules.update(parts)
    try:
        yield
    finally:
        for name in parts:
            sys.modules.pop(name, None)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to themselves what libraries say about each other; MNE says it on stdout, too."""
    from mne.utils import use_log_level

    with warnings.catch_warnings(), use_log_level("error"):
        warnings.simplefilter("ignore")
        yield


def load_models() -> ModuleType:
    """Import ``braindecode.models``, with or without a working torchaudio.

    braindecode imports torchaudio, whose compiled part needs the exact build of torch it was made
    for: beside a CPU build the published wheels fail (``libc10_cuda.so``: OSError). None of
    ``NETWORK_NAMES`` uses torchaudio. Where it cannot be loaded, a placeholder replaces it during
    the import and raises if anything in it is used.

    Raises
    ------
    NetworkUnavailable
        If braindecode is not installed, or not importable all the same.
    """
    with _quietly():
        try:
            try:
                importlib.import_module("torchaudio")
            except (ImportError, OSError, RuntimeError):  # the last: made for another CUDA
                with _without_audio():
                    return importlib.import_module("braindecode.models")
            return importlib.import_module("braindecode.models")
        except ImportError as error:
            raise NetworkUnavailable(
                f"braindecode, for {', '.join(NETWORK_NAMES)}",
                f"{error}",
                "install it: pip install 'mimamba[rivals]'",
            ) from error


def build_network(name: str, task: ClassificationTask) -> nn.Module:
    """One of ``NETWORK_NAMES`` with braindecode's defaults; logits of all outputs, side by side.

    Raises
    ------
    NetworkUnavailable
        If it cannot be made for windows this short.
    """
    network: Any = getattr(load_models(), name)
    try:
        with _quietly():
            made: nn.Module = network(
                n_chans=len(task.montage),
                n_outputs=sum(task.sizes),
                n_times=task.signal.window,
                sfreq=task.signal.sfreq,
            )
    except (ValueError, RuntimeError) as error:
        raise NetworkUnavailable(
            f"windows that are long enough for {name}",
            f"{task.signal.window} samples",
            "choose a longer window to have it beside",
        ) from error
    return made
