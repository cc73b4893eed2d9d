"""Recipes: fitted to a montage and to labels, and each part left out once."""

from __future__ import annotations

import pytest
import torch

from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.training.recipes import (
    PAPER,
    RECIPES,
    SPECTRAL,
    WHOLE,
    Recipe,
    RecipeError,
    ablations,
)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_each_makes_a_network_for_any_montage(recipe: Recipe) -> None:
    fitted = recipe.adapted(("Fp1", "Fp2", "Cz"), 5)
    network = MSiMamba(fitted.architecture).eval()
    x = torch.randn(2, 3, recipe.signal.window)
    assert network(x).shape == (2, 5)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_each_makes_a_network_for_other_windows(recipe: Recipe) -> None:
    resized = recipe.resized(5.0, 2.5)
    assert (resized.signal.window, resized.signal.hop) == (640, 320)
    fitted = resized.adapted(("Fp1", "Fp2"), 2)
    network = MSiMamba(fitted.architecture).eval()
    assert network(torch.randn(2, 2, 640)).shape == (2, 2)
    assert recipe.resized(None, None) == recipe


def test_other_windows_keep_the_bands_and_the_time_constant() -> None:
    resized = SPECTRAL.resized(10.0, 4.0)
    first, stop = (edge / 10 for edge in resized.architecture.bins)  # Hz
    assert (first, stop) == tuple(edge / 4 for edge in SPECTRAL.architecture.bins)
    assert resized.r == pytest.approx(SPECTRAL.r**4)


def test_other_windows_keep_the_patch_sizes() -> None:
    assert WHOLE.resized(2.0, None).architecture.periods == WHOLE.architecture.periods == [4, 8]


@pytest.mark.parametrize(
    ("window", "hop", "word"),
    [(0.0, None, "--windows"), (None, 0.001, "--hop"), (2.3, None, "--windows"), (-4, 1, "--win")],
)
def test_windows_that_no_recipe_can_have(
    window: float | None, hop: float | None, word: str
) -> None:
    with pytest.raises(RecipeError, match=word):
        SPECTRAL.resized(window, hop)


def test_left_and_right_are_those_of_the_montage() -> None:
    fitted = SPECTRAL.adapted(("Fp1", "Fp2", "Cz", "T7"), 2)
    assert fitted.training.augmentation.mirror == (1, 0, 2, 3)
    assert PAPER.adapted(("Fp1", "Fp2"), 2).training == PAPER.training


def test_the_paper_has_nothing_of_ours() -> None:
    a = PAPER.architecture
    assert (a.mstb, a.embedding, a.mixer, a.ranking) == (True, "linear", "mamba", "amplitude")
    assert PAPER.training.augmentation == type(PAPER.training.augmentation)()


def test_each_ablation_lacks_one_part() -> None:
    full = SPECTRAL.architecture
    found = {recipe.name: recipe for recipe in ablations(SPECTRAL)}
    assert "no iMamba" in found
    for name, recipe in found.items():
        a = recipe.architecture
        assert (a.mstb == full.mstb) == (name not in ("no MSTB", "with MSTB"))
        assert (a.mixer == "none") == (name == "no iMamba")
        assert (recipe.training.carried == 0) == (name == "never carried")
        assert (recipe.r == 0) == (name in ("no iMamba", "never carried"))
