"""Import of braindecode's networks, also if its dependency torchaudio cannot be loaded.

Needs the extra ``rivals``.
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
    """Published network that is not available here."""


class _Absent(ModuleType):
    """Placeholder for a module of torchaudio: its names can be imported but raise when used."""

    def __getattr__(self, name: str) -> type[nn.Module]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_args: object, **_settings: object) -> None:
            raise ImportError(f"{self.__name__}.{name} needs a torchaudio built for this torch")

        return type(name, (nn.Module,), {"__init__": refuse})


@contextmanager
def _without_audio() -> Iterator[None]:
    """Provide a placeholder for torchaudio during an import."""
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
def without_warnings() -> Iterator[None]:
    """Suppress warnings of libraries about each other; MNE also prints them to stdout."""
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
        If braindecode is not installed or cannot be imported.
    """
    with without_warnings():
        try:
            try:
                importlib.import_module("torchaudio")
            except (ImportError, OSError, RuntimeError):  # RuntimeError: built for another CUDA
                with _without_audio():
                    return importlib.import_module("braindecode.models")
            return importlib.import_module("braindecode.models")
        except ImportError as error:
            raise NetworkUnavailable(
                f"braindecode, for {', '.join(NETWORK_NAMES)}",
                f"the error: {error}",
                "install it: pip install braindecode",
            ) from error


def build_network(name: str, task: ClassificationTask) -> nn.Module:
    """Make one of ``NETWORK_NAMES`` with braindecode's defaults and logits of all outputs.

    Raises
    ------
    NetworkUnavailable
        If the windows are too short for it.
    """
    network: Any = getattr(load_models(), name)
    try:
        with without_warnings():
            made: nn.Module = network(
                n_chans=len(task.montage),
                n_outputs=sum(task.sizes),
                n_times=task.signal.window,
                sfreq=task.signal.sfreq,
            )
    except (ValueError, RuntimeError) as error:
        raise NetworkUnavailable(
            f"windows long enough for {name}",
            f"{task.signal.window} samples",
            "use a recipe with longer windows to compare with it",
        ) from error
    return made
