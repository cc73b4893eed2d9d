"""Named recipes: an architecture with its signal and training settings.

``paper`` follows the MS-iMamba paper as far as it is published. ``spectral`` is ours: it embeds log
power instead of samples, and its head sees only the state of the recurrence. ``whole`` is ours, and
has all parts: the multi-scale block, and a memory that begins as exponential means of each
electrode's evidence over 1.5, 6 and 25 s and is trained on sequences that switch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mimamba.drivers.errors import Mismatch
from mimamba.models.network.config import REFERENCE, MSiMambaConfig
from mimamba.models.signal.montage import mirror_montage
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.models.training.augmentation import Augmentation
from mimamba.models.training.stages import Part, Stage
from mimamba.models.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """Everything needed to train a network except the data.

    ``adapted`` fills in what depends on the data: the numbers of channels and outputs, and the
    left-right mirror of the montage.

    Parameters
    ----------
    name
        Name on the command line and in reports.
    architecture, signal, training
        Settings of the network, the preprocessing and the training loop.
    r
        Gate of the carried state per hop: 0 forgets it, 1 keeps all of it.
    """

    name: str
    architecture: MSiMambaConfig
    signal: SignalConfig
    training: TrainingConfig
    r: float

    def resized(self, window: float | None, hop: float | None) -> Recipe:
        """Return the recipe with other windows.

        The spectral embedding keeps its bands in Hz, the multi-scale block its patch sizes, and the
        carried state its time constant.

        Parameters
        ----------
        window, hop
            Length and distance of the windows, s; None to keep the recipe's.

        Raises
        ------
        RecipeError
            If they are no whole numbers of samples, or the architecture cannot have them.
        """
        signal, a = self.signal, self.architecture
        for name, seconds in (("windows", window), ("hop", hop)):
            if seconds is not None and (seconds <= 0 or seconds * signal.sfreq % 1):
                raise RecipeError(
                    f"a whole number of samples at {signal.sfreq:g} Hz as --{name}",
                    f"{seconds:g} s",
                    f"correct --{name}",
                )
        n_times = signal.window if window is None else round(window * signal.sfreq)
        n_hop = signal.hop if hop is None else round(hop * signal.sfreq)
        # Both count cycles in a window.
        counts = (*(a.bins if a.embedding == "spectral" else ()), *a.frequencies)
        scaled = [count * n_times // signal.window for count in counts]
        if [each * signal.window for each in scaled] != [each * n_times for each in counts]:
            raise RecipeError(
                f"windows whose frequency bins fit the bands of the recipe {self.name}",
                f"{n_times / signal.sfreq:g} s",
                "give whole seconds as --windows",
            )
        frequencies = tuple(scaled[len(scaled) - len(a.frequencies) :])
        bins = (scaled[0], scaled[1]) if a.embedding == "spectral" else a.bins
        try:
            architecture = replace(a, n_times=n_times, bins=bins, frequencies=frequencies)
            signal = replace(signal, window=n_times, hop=n_hop)
        except ValueError as error:
            raise RecipeError(
                f"windows that the recipe {self.name} can have",
                f"{n_times / signal.sfreq:g} s every {n_hop / signal.sfreq:g} s ({error})",
                "choose other --windows or --hop",
            ) from error
        if a.time_constants:
            hops = tuple(t * self.signal.hop / n_hop for t in a.time_constants)
            architecture = replace(architecture, time_constants=hops)
        r = self.r ** (n_hop / self.signal.hop) if self.r else 0.0
        return replace(self, architecture=architecture, signal=signal, r=r)

    def adapted(self, montage: Sequence[str], n_outputs: int) -> Recipe:
        """Return the recipe for a montage and the number of labels over all outputs."""
        training = self.training
        if training.augmentation.mirror:
            augmentation = replace(training.augmentation, mirror=mirror_montage(montage))
            training = replace(training, augmentation=augmentation)
        a = self.architecture
        architecture = replace(
            a,
            n_channels=len(montage),
            n_times=self.signal.window,
            n_outputs=n_outputs,
            d_state=len(a.time_constants) * len(montage) if a.time_constants else a.d_state,
        )
        return replace(self, architecture=architecture, training=training)


PAPER = Recipe(
    "paper",
    REFERENCE,
    SignalConfig(),
    TrainingConfig(epochs=10, patience=3, balanced=True),
    r=1.0,
)
SPECTRAL = Recipe(
    "spectral",
    MSiMambaConfig(
        n_times=512,
        n_scales=2,  # of the multi-scale block, used only by the ablation that adds it
        kernels=(1, 3),
        hidden=8,
        mstb=False,
        d_model=32,
        d_ff=32,
        n_layers=1,
        d_state=1,
        dropout=0.5,
        embedding="spectral",
        bins=(4, 160),
        bands=39,
        mixer="memory",
        dt=(1e-3, 2e-2),
        blanking=0.5,
    ),
    SignalConfig(window=512, hop=128),
    TrainingConfig(
        epochs=25,
        patience=25,
        batch=16,
        sequence=(64, 64),
        carried=0.9,
        learning_rate=2e-3,
        weight_decay=0.1,
        balanced=True,
        averaging=0.98,
        augmentation=Augmentation(mixing=1.0, mirror=(3, 2, 1, 0)),
    ),
    r=math.exp(-1 / 120),  # 1/e of the state is left after two minutes
)
WHOLE = Recipe(
    "whole",
    MSiMambaConfig(
        n_times=384,
        n_scales=2,
        kernels=(1, 3),
        hidden=2,
        d_model=32,
        d_ff=32,
        n_layers=1,
        d_state=12,
        d_conv=1,
        dropout=0.5,
        normalisation="scaled",
        embedding="spectral",
        bins=(3, 120),
        bands=13,
        mixer="evidence",
        blanking=0.3,
        time_constants=(1.5, 6.0, 25.0),
        mstb_identity=True,
        frequencies=(48, 96),  # patches of 8 and 4 samples
    ),
    SignalConfig(window=384, hop=128),
    TrainingConfig(
        epochs=80,
        batch=16,
        sequence=(64, 64),
        carried=1.0,
        learning_rate=2e-3,
        weight_decay=0.1,
        balanced=True,
        averaging=0.98,
        augmentation=Augmentation(mixing=1.0, mirror=(3, 2, 1, 0)),
        stages=(
            Stage("windows", 4, 192, (1, 1), 5e-4, averaging=0.95, newest=2.0),
            Stage("memory", 15, 16, (128, 128), 1e-3, newest=5.0, passes=3),
        ),
    ),
    r=1.0,
)
RECIPES = {recipe.name: recipe for recipe in (SPECTRAL, WHOLE, PAPER)}


class RecipeError(Mismatch):
    """Unknown recipe name, or windows that a recipe cannot have."""


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises RecipeError."""
    if name not in RECIPES:
        raise RecipeError("the name of a recipe", name, f"choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def ablations(recipe: Recipe) -> list[Recipe]:
    """Return variants of a recipe with one part changed.

    The multi-scale block is removed (or added if the recipe has none), the recurrence is removed,
    or the state is never carried. The last is trained on single windows only, so that it is as good
    at them as it can be.
    """
    a, training = recipe.architecture, recipe.training
    other = replace(a, mstb=not a.mstb)
    found = [
        replace(
            recipe,
            name="no MSTB" if a.mstb else "with MSTB",
            architecture=other,
            training=_without(training, "windows") if a.mstb else training,
        )
    ]
    if a.mixer != "none":
        bare = replace(a, mixer="none", time_constants=())
        shorter = _without(training, "memory")
        found.append(replace(recipe, name="no iMamba", architecture=bare, training=shorter, r=0.0))
    if a.mixer == "evidence":  # without its memory it is "no iMamba"
        return found
    if recipe.r > 0:  # the "memory" mixer sees only the state, which single windows do not have
        plain = replace(a, mixer="mamba") if a.mixer == "memory" else a
        alone = replace(training, carried=0.0)
        found.append(
            replace(recipe, name="never carried", architecture=plain, training=alone, r=0.0)
        )
    return found


def _without(training: TrainingConfig, part: Part) -> TrainingConfig:
    """Return the settings without the stages of a part."""
    return replace(training, stages=tuple(s for s in training.stages if s.part != part))
