"""The checkpoints that there are: those of the package, and a person's own in a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mimamba.models.checkpoints.checkpoint import (
    PACKAGED,
    SUFFIX,
    CheckpointError,
    list_checkpoints,
    list_own,
    load_checkpoint,
)

HONEST = "subject"
"""The protocol whose scores are told first: people whom the network had not seen."""


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """A checkpoint's facts, or why it cannot be used.

    Parameters
    ----------
    name
        By which it is asked for.
    path
        Of its file.
    packaged
        Whether it came with the package.
    error
        What is wrong with it, in one line; the facts below are then empty.
    outputs, montage, baseline, trained_on, licence, notice, sha256
        As its header has them.
    scores
        By ``protocol/output/measure``, those that a person should hear first before the others.
    """

    name: str
    path: str
    packaged: bool
    error: str | None = None
    outputs: dict[str, tuple[str, ...]]
    montage: tuple[str, ...] = ()
    baseline: float = 0.0
    trained_on: str = ""
    scores: dict[str, float]
    licence: str = ""
    notice: str | None = None
    sha256: str = ""


def list_all(folder: Path) -> list[CheckpointInfo]:
    """All checkpoints, the package's first; a damaged file is listed with what is wrong with it."""
    packaged = list_checkpoints()
    found = [_listed(PACKAGED / f"{name}{SUFFIX}", packaged=True) for name in packaged]
    for name in list_own(folder):
        own = _listed(folder / f"{name}{SUFFIX}", packaged=False)
        if name in packaged:
            taken = f"Expected another name than the package's, but found {name}. Rename the file."
            own = replace(own, error=own.error or taken)
        found.append(own)
    return found


def _listed(path: Path, packaged: bool) -> CheckpointInfo:
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
        montage=found.montage,
        baseline=found.baseline,
        trained_on=found.trained_on,
        scores=dict(sorted(found.scores.items(), key=lambda score: _order(score[0]))),
        licence=found.licence,
        notice=found.notice,
        sha256=found.sha256,
    )


def _order(score: str) -> tuple[bool, bool, bool]:
    """The honest protocol before others, as it is trained before other readings, then accuracy."""
    way, *_, measure = score.split("/")
    return not way.startswith(HONEST), way != HONEST, measure != "balanced_accuracy"
