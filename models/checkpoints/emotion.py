"""Outputs that infer how a person feels, for which law has rules of its own: RESPONSIBLE.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

EMOTION_WORDS = (
    "affect anger angry amusement amused anxiety anxious arousal boredom calm contempt depressed "
    "depression disgust dominance emotion emotions enjoyment excited excitement fear feeling "
    "feelings frustrated frustration happiness happy inspiration joy liking mood negative "
    "pleasant positive relaxed sad sadness stress stressed surprise tenderness unpleasant "
    "valence"
)
"""Words in the name of an output or of a label: dimensions of emotion, emotions, and the classes of
DEAP, DREAMER, SEED, FACED and other sets of emotions. Tiredness and workload are not among them:
the AI Act counts physical states as no emotions (recital 18)."""


def infers_emotion(outputs: Mapping[str, Iterable[str]]) -> bool:
    """Return whether one of a model's outputs, given with their labels, is about emotion."""
    names = [*outputs, *(label for labels in outputs.values() for label in labels)]
    words = {word for name in names for word in re.findall("[a-z]+", name.lower())}
    return not words.isdisjoint(EMOTION_WORDS.split())
