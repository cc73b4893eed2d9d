"""List of all checkpoints: those of the package and a person's own in a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mimamba.models.checkpoints.checkpoint import (
    PACKAGE_FOLDER,
    SUFFIX,
    CheckpointError,
    list_own_checkpoints,
    list_packaged_checkpoints,
    load_checkpoint,
)
from mimamba.models.checkpoints.emotion import infers_emotion

FIRST_PROTOCOL = "subject"
"""Protocol whose scores come first: people that the network had not seen."""


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """Description of a checkpoint, or the reason why it cannot be used.

    Parameters
    ----------
    name
        Name to load it by.
    path
        Path of its file.
    packaged
        True if it comes with the package.
    error
        Problem with the file in one line; the fields below are then empty.
    outputs, montage, baseline, trained_on, licence, notice, sha256
        As in its header.
    emotion
        True if an output infers emotion.
    scores
        By ``protocol/output/measure``, the most important first.
    """

    name: str
    path: str
    packaged: bool
    error: str | None = None
    outputs: dict[str, tuple[str, ...]]
    emotion: bool = False
    montage: tuple[str, ...] = ()
    baseline: float = 0.0
    trained_on: str = ""
    scores: dict[str, float]
    licence: str = ""
    notice: str | None = None
    sha256: str = ""


def list_catalog(folder: Path) -> list[CheckpointInfo]:
    """List all checkpoints, the package's first; a damaged file is listed with its error."""
    packaged = list_packaged_checkpoints()
    found = [_describe(PACKAGE_FOLDER / f"{name}{SUFFIX}", packaged=True) for name in packaged]
    for name in list_own_checkpoints(folder):
        own = _describe(folder / f"{name}{SUFFIX}", packaged=False)
        if name in packaged:
            taken = f"{name} is the name of a checkpoint of the package. Rename the file."
            own = replace(own, error=own.error or taken)
        found.append(own)
    return found


def _describe(path: Path, packaged: bool) -> CheckpointInfo:
    try:
        found = load_checkpoint(path)
    except CheckpointError as error:
        return CheckpointInfo(
            name=path.stem,
            path=str(path),
            packaged=packaged,
            error=str(error),
            outputs={},
            scores={},
        )
    return CheckpointInfo(
        name=path.stem,
        path=str(path),
        packaged=packaged,
        outputs=found.outputs,
        emotion=infers_emotion(found.outputs),
        montage=found.montage,
        baseline=found.baseline,
        trained_on=found.trained_on,
        scores=dict(sorted(found.scores.items(), key=lambda score: _score_order(score[0]))),
        licence=found.licence,
        notice=found.notice,
        sha256=found.sha256,
    )


def _score_order(score: str) -> tuple[bool, bool, bool]:
    """Sort key: ``FIRST_PROTOCOL`` first, as trained before its variants, then accuracy."""
    protocol, *_, measure = score.split("/")
    return (
        not protocol.startswith(FIRST_PROTOCOL),
        protocol != FIRST_PROTOCOL,
        measure != "balanced_accuracy",
    )
