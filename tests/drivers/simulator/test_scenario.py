from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.simulator import scenario
from mimamba.drivers.simulator.scenario import (
    FAULT_KINDS,
    FAULT_SECONDS,
    GOOD_SECONDS,
    RAMP,
    SCENARIOS,
    FaultSchedule,
    ScenarioScript,
    ScriptEvent,
)

SFREQ = 256.0
CH_NAMES = ("TP9", "AF7", "AF8", "TP10")
MINUTES = round(600 * SFREQ)
seeds = st.integers(0, 2**32 - 1)


def script(name: str, seed: int = 0) -> ScenarioScript:
    return ScenarioScript(SCENARIOS[name], seed, SFREQ)


def faults(name: str, seed: int = 0) -> FaultSchedule:
    return FaultSchedule(SCENARIOS[name], seed, SFREQ, CH_NAMES)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_scenario_is_described(name: str) -> None:
    assert f"\n{name} " in str(scenario.__doc__)


@given(seeds)
@settings(deadline=None)
def test_tour_visits_the_corners_in_order_and_holds_each(seed: int) -> None:
    cues = script("tour", seed).events(0, MINUTES)
    corners = [
        "valence=high arousal=low",
        "valence=high arousal=high",
        "valence=low arousal=high",
        "valence=low arousal=low",
    ]
    assert [cue.label for cue in cues] == [corners[k % 4] for k in range(len(cues))]
    held = np.diff([cue.index for cue in cues]) / SFREQ
    assert held.min() >= 11.99
    assert held.max() <= 20.01
    assert len(set(held)) > len(held) / 2


@given(seeds)
@settings(deadline=None)
def test_random_order_always_moves_on(seed: int) -> None:
    labels = [cue.label for cue in script("random", seed).events(0, MINUTES)]
    assert all(now != then for then, now in pairwise(labels))
    assert len(set(labels)) == 4


def test_orders_and_times_differ_between_seeds() -> None:
    assert script("random", 1).events(0, MINUTES) != script("random", 2).events(0, MINUTES)
    assert script("tour", 1).events(0, MINUTES) != script("tour", 2).events(0, MINUTES)


def test_calm_stays() -> None:
    assert script("calm").events(0, MINUTES) == [ScriptEvent(0, "valence=high arousal=low")]
    truth = script("calm").truth(np.arange(0, MINUTES, 100))
    assert np.all(truth.valence == 0.8)
    assert np.all(truth.arousal == -0.8)


@given(seeds, st.sampled_from(sorted(SCENARIOS)))
@settings(max_examples=30, deadline=None)
def test_truth_glides_to_what_the_cue_says(seed: int, name: str) -> None:
    played = script(name, seed)
    cues = played.events(0, MINUTES)
    truth = played.truth(np.arange(MINUTES))
    for cue, following in pairwise(cues):
        at = np.arange(cue.index + round(RAMP * SFREQ) + 1, following.index)
        valence, arousal = (word.split("=")[1] == "high" for word in cue.label.split())
        assert np.all((truth.valence[at] == 0.8) == valence)
        assert np.all((truth.arousal[at] == 0.8) == arousal)
    for state in (truth.valence, truth.arousal):
        assert np.abs(state).max() <= 0.8 + 1e-12
        # The steepest of a cubic glide over 1.6 is 1.5 times its mean.
        assert np.abs(np.diff(state)).max() <= 1.6 * 1.5 / (RAMP * SFREQ) + 1e-12


@given(seeds, st.lists(st.integers(0, MINUTES), min_size=1, max_size=20))
@settings(deadline=None)
def test_truth_does_not_depend_on_what_was_asked_before(seed: int, index: list[int]) -> None:
    whole = script("random", seed).truth(np.arange(MINUTES + 1))
    played = script("random", seed)
    for at in index:
        assert played.truth(at).valence == whole.valence[at]
    assert np.array_equal(script("random", seed).truth(index).arousal, whole.arousal[index])


def test_truth_of_no_samples() -> None:
    truth = script("tour").truth([])
    assert truth.valence.shape == truth.arousal.shape == (0,)


@given(seeds, st.sampled_from(["random", "poor"]), st.lists(st.integers(0, MINUTES)))
@settings(deadline=None)
def test_cues_of_pieces_are_those_of_the_whole(seed: int, name: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), MINUTES]
    for player in (script(name, seed), faults(name, seed)):
        pieces = [cue for first, stop in pairwise(edges) for cue in player.events(first, stop)]
        assert pieces == player.events(0, MINUTES)


@given(seeds)
@settings(deadline=None)
def test_faults_take_turns_with_good_signal(seed: int) -> None:
    drawn = faults("poor", seed).within(0, MINUTES)
    assert [fault.kind for fault in drawn] == [FAULT_KINDS[k % 3] for k in range(len(drawn))]
    end = 0
    for fault in drawn:
        good, bad = (fault.start - end) / SFREQ, (fault.stop - fault.start) / SFREQ
        assert GOOD_SECONDS[0] - 0.01 <= good <= GOOD_SECONDS[1] + 0.01
        assert FAULT_SECONDS[0] - 0.01 <= bad <= FAULT_SECONDS[1] + 0.01
        assert (fault.channel is None) == (fault.kind == "noise")
        end = fault.stop


@given(seeds, st.integers(0, MINUTES), st.integers(1, 5000))
@settings(deadline=None)
def test_faults_within_are_those_that_overlap(seed: int, first: int, length: int) -> None:
    stop = first + length
    every = faults("poor", seed).within(0, 2 * MINUTES)
    reaching = [fault for fault in every if fault.start < stop and fault.stop > first]
    assert faults("poor", seed).within(first, stop) == reaching


def test_a_fault_reaches_from_its_first_sample_to_its_last() -> None:
    made = faults("poor")
    for fault in made.within(0, MINUTES):
        assert made.within(fault.start - 1, fault.start) == []
        assert made.within(fault.start, fault.start + 1) == [fault]
        assert made.within(fault.stop - 1, fault.stop) == [fault]
        assert made.within(fault.stop, fault.stop + 1) == []


def test_only_poor_has_faults() -> None:
    for name in SCENARIOS:
        assert bool(faults(name).within(0, MINUTES)) == (name == "poor")


def test_a_fault_says_when_it_starts_and_stops() -> None:
    (first, *_) = faults("poor").within(0, MINUTES)
    start, stop, *_ = faults("poor").events(0, MINUTES)
    assert first.channel is not None
    assert start == ScriptEvent(first.start, f"fault=flat electrode={CH_NAMES[first.channel]}")
    assert stop == ScriptEvent(first.stop, "fault=none")
