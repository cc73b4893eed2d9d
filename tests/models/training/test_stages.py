"""Training in stages: each changes its own part alone, and the last epoch is the result."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.scoring import score_network
from mimamba.models.training.stages import Stage
from mimamba.models.training.trainer import (
    EpochSelection,
    Trainer,
    TrainingConfig,
    new_network,
    train_epochs,
)
from tests.models.training.test_trainer import OUTPUTS, SIZES, sequence

NETWORK = MSiMambaConfig(
    n_times=32,
    n_scales=1,
    kernels=(1,),
    hidden=2,
    d_model=16,
    d_ff=16,
    n_layers=1,
    d_state=8,
    d_conv=1,
    normalisation="scaled",
    embedding="spectral",
    bins=(1, 13),
    bands=12,
    mixer="evidence",
    time_constants=(2.0, 4.0),
    mstb_identity=True,
)
CONFIG = TrainingConfig(
    epochs=8,
    patience=1,
    batch=8,
    sequence=(16, 20),
    learning_rate=1e-2,
    averaging=0.5,
    stages=(
        Stage("windows", 1, 64, (1, 1), 1e-3, newest=2.0),
        Stage("memory", 2, 4, (40, 40), 1e-3, newest=5.0, passes=2),
    ),
)
LEARN = [sequence(i) for i in range(5)]


def weights(network: MSiMamba) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in network.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    names = {name for name, t in before.items() if not t.equal(after[name])}
    return {name.removeprefix("layers.0.") for name in names}


def test_each_stage_trains_its_part() -> None:
    trainer = Trainer(new_network(NETWORK, 0), SIZES, LEARN, 1.0, CONFIG)
    found = [weights(trainer.result)]
    for epoch in range(1, CONFIG.all_epochs + 1):
        trainer.run_epoch()
        if epoch in (8, 9, 11):
            found.append(weights(trainer.result))
    classifier, windows, memory = (changed(*pair) for pair in pairwise(found))
    assert not any(name.startswith(("mstb", "ssm")) for name in classifier)
    assert {"embedding.linear.weight", "ffn.0.weight", "head.weight"} <= classifier
    assert "mstb.narrow.branches.0.weight" in windows
    assert not any(name.startswith("ssm") for name in windows)
    assert memory == {"ssm.A_log", "ssm.beta", "ssm.gamma", "head.weight", "head.bias"}


def test_it_ends_with_the_last_epoch_and_has_learnt() -> None:
    selection = EpochSelection(Trainer(new_network(NETWORK, 0), SIZES, LEARN, 1.0, CONFIG), LEARN)
    selection.run(None)
    assert selection.best_epoch == CONFIG.all_epochs == 11  # no patience
    network = new_network(NETWORK, 0)
    train_epochs(network, OUTPUTS, LEARN, selection.best_epoch, 1.0, CONFIG)
    again = selection.trainer.network
    assert all(t.equal(again.state_dict()[name]) for name, t in network.state_dict().items())
    assert score_network(network, [sequence(100)], SIZES, 1.0).accuracies[0] > 0.7
    x = torch.from_numpy(LEARN[0].windows[:1])
    used = network(x)
    network.skip(mstb=False, memory=True)
    assert not used.equal(network(x))  # the memory is in use again
