"""What ``mimamba watch`` says about a prediction."""

from __future__ import annotations

from mimamba.models.prediction import LabelSet
from mimamba.service.cli.watch import describe_sets
from mimamba.service.protocol.messages import PredictionMessage
from mimamba.service.topics import Timing


def test_sets_are_described_with_their_coverage() -> None:
    def said(sets: dict[str, LabelSet] | None) -> str:
        timing = Timing(0.0, 0.0, 0.0)
        return describe_sets(PredictionMessage("a", 0, 1, 2.0, "ok", None, {}, timing, None, sets))

    assert said(None) == ""
    sets = {
        "valence": LabelSet(("low", "high"), 0.875, 40),
        "arousal": LabelSet((), None, 0),
    }
    assert said(sets) == "9 of 10: valence low or high (right in 88%), arousal none"
