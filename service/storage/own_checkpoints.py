"""A person's own checkpoints, in the data folder."""

from __future__ import annotations

import re
from pathlib import Path

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.checkpoint import SUFFIX, list_packaged_checkpoints
from mimamba.models.checkpoints.names import NO_MODEL
from mimamba.service.storage.folders import data_folder

MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""A checkpoint's name: a valid file name on every system, without a folder."""


class ModelNameError(Mismatch):
    """A checkpoint cannot have this name."""


def models_folder(data_dir: Path | None) -> Path:
    """Return the folder of a person's own checkpoints."""
    return data_folder(data_dir) / "models"


def check_name(name: str) -> None:
    """Raise ModelNameError if a person's own checkpoint cannot have this name."""
    if not re.fullmatch(MODEL_NAME, name) or name.endswith(SUFFIX):
        raise ModelNameError(
            "a name of letters, digits, '-', '_' and '.'", repr(name), "choose another with --name"
        )
    if name in (NO_MODEL, *list_packaged_checkpoints()):
        meaning = "means no model" if name == NO_MODEL else "comes with the package"
        raise ModelNameError(
            "a name that is not taken", f"{name}, which {meaning}", "choose another with --name"
        )
