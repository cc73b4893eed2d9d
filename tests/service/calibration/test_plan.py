"""Plans: from a TOML file, with names; drawn in pairs, with a hash that tells nothing ahead."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mimamba.service.calibration.plan import (
    CalibrationPlan,
    PlanError,
    complete_plan,
    draw_plan,
    read_plan,
)


def test_a_plan_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('contrast = "own"\nkinds = ["reading", "bored"]\npairs = 5\nseconds = 20\n')
    plan = read_plan(path)
    assert (plan.kinds, plan.dimension, plan.pairs) == (("reading", "bored"), None, 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("contrast = 3", "contrast"),
        ('contrast = "own"', "two different names"),
        ('contrast = "calm-strained"\npairs = 3', "at least 4 pairs"),
        ('contrast = "calm-strained"\npairs = 99', "<= 12"),
        ('contrast = "calm-strained"\nkinds = ["a", "b"]', "contrast own"),
        ('contrast = "calm-strained"\ncolour = 1', "colour"),
        ("contrast =", "plan in TOML"),
    ],
)
def test_bad_plans_get_one_sentence(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=found):
        read_plan(path)
    with pytest.raises(PlanError, match="No such file"):
        read_plan(tmp_path / "none.toml")


def test_the_order_is_drawn_in_pairs_and_hashed() -> None:
    plan = complete_plan(CalibrationPlan(contrast="pleasant-unpleasant"))
    drawn = draw_plan(plan)
    kinds = [task.kind for task in drawn.tasks]
    assert len(kinds) == 18
    assert all(set(kinds[n : n + 2]) == {"pleasant", "unpleasant"} for n in range(0, 18, 2))
    assert drawn.sha256 == hashlib.sha256(drawn.text.encode()).hexdigest()
    assert draw_plan(plan, drawn.seed) == drawn
    orders = {tuple(task.kind for task in draw_plan(plan).tasks) for _ in range(40)}
    assert len(orders) > 20
