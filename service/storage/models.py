"""A person's own checkpoints, in the data folder; ``mimamba models`` lists them and others."""

from __future__ import annotations

import re
from pathlib import Path

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.checkpoint import SUFFIX, list_packaged_checkpoints
from mimamba.models.checkpoints.names import NO_MODEL
from mimamba.service.storage.folders import data_folder

MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""A checkpoint's name: a file's name on every system, without a folder."""


class ModelNameError(Mismatch):
    """A checkpoint cannot have this name, or not this place; one clear line."""


def models_folder(data_dir: Path | None) -> Path:
    """Where a person's own checkpoints are."""
    return data_folder(data_dir) / "models"


def check_name(name: str) -> None:
    """Raise ModelNameError if a person's own checkpoint cannot be called so."""
    if not re.fullmatch(MODEL_NAME, name) or name.endswith(SUFFIX):
        raise ModelNameError(
            "a name of letters, digits, '-', '_' and '.'", repr(name), "choose another with --name"
        )
    if name in (NO_MODEL, *list_packaged_checkpoints()):
        whose = "means no model" if name == NO_MODEL else "comes with the package"
        raise ModelNameError("a name of your own", f"{name}, which {whose}", "choose another")
