"""Prediction sets: the share of hits is what it is to be, whatever the stream does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mimamba.models.conformal.label_sets import (
    RECENT,
    STEP,
    TARGET,
    LabelSets,
    next_threshold,
    start_threshold,
    track,
)
from mimamba.models.conformal.set_scores import score_sets
from mimamba.models.prediction import LabelSet, Prediction

OUTPUTS = {"load": ("rest", "task"), "mood": ("glum", "calm", "glad")}
scores = arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1))


def prediction(index: int, rest: float = 0.7, ok: bool = True) -> Prediction:
    outputs = {
        "load": {"rest": rest, "task": 1 - rest},
        "mood": {"glum": 0.2, "calm": 0.5, "glad": 0.3},
    }
    if not ok:
        return Prediction(index, index / 256, "poor_signal", "AF7 is flat", None)
    return Prediction(index, index / 256, "ok", None, outputs)


def step(sets: LabelSets, made: Prediction) -> Prediction:
    sets.use_due(made)
    return sets.add_to(made)


@given(scores, st.floats(0, 1))
def test_the_share_of_misses_follows_from_the_thresholds_alone(
    stream: NDArray[np.float64], first: float
) -> None:
    used = track(stream, first)
    hits = stream <= used
    last = next_threshold(float(used[-1]), bool(hits[-1]))
    expected = (last - first) / (STEP * len(stream))
    assert (1 - hits.mean()) - (1 - TARGET) == pytest.approx(expected, abs=1e-9)
    assert min(used.min(), last) >= -0.1 * STEP - 1e-9
    assert max(used.max(), last) <= 1 + TARGET * STEP + 1e-9


@given(scores)
def test_at_the_threshold_of_held_out_people_nine_in_ten_of_them_are_hit(
    held_out: NDArray[np.float64],
) -> None:
    threshold = start_threshold(held_out)
    assert (held_out <= threshold).mean() >= TARGET
    if len(held_out) < 9:
        assert threshold == 1  # too few to say


def test_coverage_on_new_people_and_after_a_drift() -> None:
    """A model that comes to know less: at a constant threshold coverage stays lost."""
    rng = np.random.default_rng(0)

    def stream(sharpness: float, n_hops: int) -> NDArray[np.float64]:
        """Return 1 minus the probability of the true label, of calibrated answers."""
        logit = rng.normal(sharpness, 1.5, n_hops)
        return np.asarray(1 / (1 + np.exp(logit)))

    threshold = start_threshold(stream(2.0, 4000))
    adapting, constant = [], []
    for _ in range(40):
        person = np.concatenate([stream(2.0, 400), stream(-0.5, 600)])
        adapting.append(person <= track(person, threshold))
        constant.append(person <= threshold)
    hits, fixed = np.array(adapting), np.array(constant)
    assert hits[:, :400].mean() == pytest.approx(0.9, abs=0.02)
    assert fixed[:, :400].mean() == pytest.approx(0.9, abs=0.02)
    assert fixed[:, 400:].mean() < 0.6
    assert hits[:, 400:420].mean() < 0.75  # the drift is felt
    for start in range(600, 1000, 50):  # 200 hops later it is over
        assert hits[:, start : start + 50].mean() == pytest.approx(0.9, abs=0.02)


def test_without_a_threshold_there_is_no_set_until_a_label_comes() -> None:
    sets = LabelSets(OUTPUTS, {"mood": 0.6})
    first = step(sets, prediction(0))
    assert first.set == {"mood": LabelSet(("calm",), None, 0)}
    sets.put(64, "load=rest")
    assert step(sets, prediction(63)).set == first.set
    assert step(sets, prediction(64)).set == first.set  # learns behind its set
    found = step(sets, prediction(128)).set
    assert found is not None
    assert found["load"] == LabelSet(("rest", "task"), 1.0, 1)


def test_a_label_holds_until_another_one_and_one_from_a_rating_for_one_hop() -> None:
    sets = LabelSets(OUTPUTS, dict.fromkeys(OUTPUTS, 0.5))
    sets.put(0, "load=task")
    sets.put(0, "load=nap")
    sets.put(0, "go")
    sets.put(0, "mood=glad, once")
    assert step(sets, prediction(0, ok=False)).set is None
    for index in (1, 2, 3):
        step(sets, prediction(index))
    load, mood = sets.state
    assert (load.hits, mood.hits) == ("000", "0")
    assert load.threshold == pytest.approx(0.5 + 3 * STEP * TARGET)
    sets.put(4, "load=")
    step(sets, prediction(4))
    assert sets.state[0].hits == "000"
    assert [str(each) for each in sets.use_due(prediction(5))] == []


def test_the_newest_label_of_an_output_is_used_and_an_epoch_forgets_it() -> None:
    sets = LabelSets(OUTPUTS, {"load": 0.5})
    for index, text in ((9, "load=task"), (3, "load=rest"), (50, "mood=calm")):
        sets.put(index, text)
    assert [str(each) for each in sets.use_due(prediction(20))] == ["load=task"]
    sets.begin_epoch()
    assert sets.use_due(prediction(60)) == []
    assert [each.label for each in sets.state] == [None, None]
    assert sets.state[0].threshold == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=300))
def test_the_state_is_all_that_later_sets_depend_on(hops: list[tuple[float, bool]]) -> None:
    sets = LabelSets(OUTPUTS, {"load": 0.4})
    made, middle = [], len(hops) // 2
    for n, (rest, is_task) in enumerate(hops):
        if n == middle:
            state = sets.state
        sets.put(n, f"load={'task' if is_task else 'rest'}")
        made.append(step(sets, prediction(n, rest)))
    again = LabelSets(OUTPUTS, {})
    again.state = state
    for n in range(middle, len(hops)):
        again.put(n, f"load={'task' if hops[n][1] else 'rest'}")
        assert step(again, prediction(n, hops[n][0])) == made[n]
    assert again.state == sets.state
    assert len(again.state[0].hits) == min(len(hops), RECENT)


def test_scores_of_sets_over_people() -> None:
    """One person is easy, and one answers wrongly always: adapting finds both."""
    n = 400
    known_labels, known = np.tile([0, 1], n), np.full((2 * n, 2), 0.5)
    known[:, 0] = np.where(known_labels == 0, 0.8, 0.2)
    known[::5, 0] = 1 - known[::5, 0]
    known[:, 1] = 1 - known[:, 0]
    labels = np.zeros(2 * n, np.int64)
    said = np.tile([0.9, 0.1], (2 * n, 1))
    said[n:] = [0.05, 0.95]
    people = np.repeat(["easy", "hard"], n)
    found = score_sets(known_labels, known, labels, said, people)
    assert found.coverage == 0.5
    assert found.lowest == 0.0
    assert found.adapting_lowest == pytest.approx(0.9, abs=0.03)
    assert found.adapting_coverage == pytest.approx(0.9, abs=0.03)
    assert found.adapting_size > found.size
