"""Stages of a training, each of a part of the network.

A network with a memory of evidence is trained from the front: first the classifier of single
windows, then with the multi-scale block, then the memory. Trained all at once, the memory learns
the people by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from mimamba.models.network.evidence_memory import EvidenceMemory
from mimamba.models.network.msimamba import MSiMamba

Part: TypeAlias = Literal["all", "classifier", "windows", "memory"]
MEMORY = ("A_log", "beta", "gamma")
"""Parameters of the memory that its stage trains: what is kept, for how long, and what is read.

The selectivity stays as it is: 24 people are too few to teach it.
"""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Parameters
    ----------
    part
        ``all`` trains the whole network. ``classifier`` trains it without the multi-scale block and
        the memory, which are skipped; ``windows`` with the multi-scale block, still without the
        memory. ``memory`` trains the memory and the head on sequences that switch between a
        person's labels, half of them mirrored if the augmentation mirrors; the rest is frozen, with
        its dropout, as otherwise the evidence would be too good and the memory too short.
    epochs, batch, sequence, learning_rate, averaging
        As in ``TrainingConfig``; the learning rate follows a cosine over the stage.
    newest
        Factor of the learning rate of the part that this stage adds.
    passes
        Passes over the data in an epoch, with ``memory``.
    """

    part: Part
    epochs: int
    batch: int
    sequence: tuple[int, int]
    learning_rate: float
    averaging: float = 0.0
    newest: float = 1.0
    passes: int = 1


def prepare(network: MSiMamba, stage: Stage, weight_decay: float) -> list[dict[str, Any]]:
    """Freeze and skip what a stage leaves out; return its groups of parameters for AdamW.

    Weight decay is for matrices only, not for vectors and the memory, as in Mamba. Each group has
    the ``factor`` of its learning rate.
    """
    network.skip(mstb=stage.part == "classifier", memory=stage.part in ("classifier", "windows"))
    mstb = set(network.mstb.parameters())
    if stage.part != "all":
        ssm, learnt = _memories(network)
        trained = {
            "classifier": set(network.parameters()) - mstb - ssm,
            "windows": set(network.parameters()) - ssm,
            "memory": learnt | set(network.head.parameters()),
        }[stage.part]
        for parameter in network.parameters():
            parameter.requires_grad_(parameter in trained)
    newest = {"windows": mstb, "memory": _memories(network)[1]}.get(stage.part, set())
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            free = parameter.ndim < 2 or name.rpartition(".")[2] in MEMORY
            factor = stage.newest if parameter in newest else 1.0
            groups.setdefault((0.0 if free else weight_decay, factor), []).append(parameter)
    return [
        {"params": params, "weight_decay": decay, "factor": factor}
        for (decay, factor), params in groups.items()
    ]


def _memories(network: MSiMamba) -> tuple[set[nn.Parameter], set[nn.Parameter]]:
    """Return all parameters of the memories of evidence, and those that their stage trains."""
    memories = [module for module in network.modules() if isinstance(module, EvidenceMemory)]
    named = [pair for memory in memories for pair in memory.named_parameters()]
    return {p for _, p in named}, {p for name, p in named if name in MEMORY}
