"""Outputs that are about emotion, and cards that say so."""

from __future__ import annotations

import pytest

from mimamba.models.checkpoints.checkpoint import (
    PACKAGE_FOLDER,
    list_packaged_checkpoints,
    load_checkpoint,
)
from mimamba.models.checkpoints.emotion import infers_emotion


@pytest.mark.parametrize(
    ("outputs", "emotion"),
    [
        ({"valence": ("low", "high")}, True),
        ({"emotion": ("negative", "neutral", "positive")}, True),
        ({"task": ("eyes open", "Sad film")}, True),
        ({"self-reported_stress": ("0", "1")}, True),
        ({"workload": ("arithmetic", "rest")}, False),
        ({"hand": ("left", "right"), "sleep": ("N1", "N2")}, False),
        ({"crusade": ("no", "yes")}, False),
        ({}, False),
    ],
)
def test_outputs_about_emotion(outputs: dict[str, tuple[str, ...]], emotion: bool) -> None:
    assert infers_emotion(outputs) is emotion


def test_cards_of_the_package_say_it() -> None:
    for name in list_packaged_checkpoints():
        said = "yes" if infers_emotion(load_checkpoint(name).outputs) else "no"
        card = (PACKAGE_FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert f"- Emotion: {said}\n" in card
