"""The state machine: order, ratings, blocks done again, further pairs, and replays."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.prediction import Status
from mimamba.service.calibration.plan import CalibrationPlan, complete_plan, draw_plan
from mimamba.service.calibration.state_machine import (
    CalibrationMachine,
    MachineEvent,
    MachineState,
    NotNow,
    RatedBlock,
)

SFREQ = 256.0
PLAN = complete_plan(
    CalibrationPlan(contrast="calm-strained", pairs=4, seconds=8, rest=10, cue=2, pause=2)
)


def clear(block: RatedBlock) -> float:
    return 80.0 if block.kind == "strained" else 20.0


class Sitting:
    """A person who sits through a calibration."""

    def __init__(self, machine: CalibrationMachine, rated: Callable[[RatedBlock], float] = clear):
        self.machine = machine
        self.rated = rated
        self.position = -1
        self.events: list[MachineEvent] = []
        self.rested = 0.0

    def hop(self, status: Status = "ok") -> None:
        self.position += 256
        self.rested += status == "ok"
        done = self.rested >= self.machine.plan.rest
        self.events += self.machine.step(self.position, status, None, self.rested, done)

    def rate(self) -> None:
        block = self.machine.state.blocks[-1]
        self.events += self.machine.rate(50.0, self.rated(block), None)

    def until(self, phase: str) -> None:
        for _ in range(2000):
            if self.machine.state.phase == phase:
                return
            if self.machine.state.phase == "rating":
                self.rate()
            else:
                self.hop()
        raise AssertionError(f"{phase} did not come")


def make(state: MachineState | None = None) -> CalibrationMachine:
    return CalibrationMachine(draw_plan(PLAN, 7), SFREQ, state)


def test_pairs_in_the_drawn_order() -> None:
    sitting = Sitting(make())
    sitting.until("judging")
    blocks = sitting.machine.state.blocks
    drawn = [task.kind for task in draw_plan(PLAN, 7).tasks]
    assert [block.kind for block in blocks] == drawn[:8]
    assert all(
        {one.kind, other.kind} == {"calm", "strained"}
        for one, other in zip(blocks[::2], blocks[1::2], strict=True)
    )
    assert all(block.stop - block.start == 8 * 256 and block.good == 1.0 for block in blocks)
    assert [each.label.split()[-1] for each in sitting.events if " begin " in each.label] == drawn[
        :8
    ]


def test_the_state_is_not_shown_ahead() -> None:
    sitting = Sitting(make())
    while not sitting.machine.over:
        progress = sitting.machine.progress
        assert (progress.kind is not None) == (progress.phase in ("cue", "block", "rating"))
        assert (progress.number is not None) == (
            progress.kind == "strained" and progress.phase != "rating"
        )
        if progress.rating_due:
            sitting.rate()
        else:
            sitting.hop()


def test_poor_signal_holds_the_rest_and_repeats_a_block() -> None:
    sitting = Sitting(make())
    for _ in range(30):
        sitting.hop("poor_signal")
    assert sitting.machine.progress.phase == "rest"
    assert sitting.machine.progress.left == 10.0
    sitting.until("block")
    number, kind = sitting.machine.state.number, sitting.machine.progress.kind
    while sitting.machine.state.phase == "block":
        sitting.hop("poor_signal")
    assert sitting.machine.state.phase == "pause"
    assert not sitting.machine.state.blocks
    sitting.until("block")
    progress = sitting.machine.progress
    assert (progress.block, progress.kind, progress.repeat) == (number, kind, "signal")
    sitting.until("judging")
    assert sitting.machine.state.repeated == 1
    assert len(sitting.machine.state.blocks) == 8


def test_a_gap_in_a_block_repeats_it() -> None:
    sitting = Sitting(make())
    sitting.until("block")
    sitting.position += 256 * 60
    sitting.hop("warming_up")
    assert sitting.machine.state.phase == "pause"
    assert sitting.machine.state.again


def test_at_most_three_further_pairs_for_unclear_ratings() -> None:
    sitting = Sitting(make(), rated=lambda _: 50.0)
    sitting.until("judging")
    assert sitting.machine.state.extra == 3
    assert len(sitting.machine.state.blocks) == 14
    one = Sitting(make(), rated=lambda b: 50.0 if b.start == first else clear(b))
    one.until("rating")
    first = one.machine.state.blocks[0].start
    one.until("judging")
    assert one.machine.state.extra == 1


def test_requests_at_the_wrong_time_are_refused() -> None:
    sitting = Sitting(make())
    with pytest.raises(NotNow, match="'rest'"):
        sitting.machine.rate(1, 2, None)
    with pytest.raises(NotNow, match="4 rated blocks"):
        sitting.machine.finish()
    sitting.until("judging")
    with pytest.raises(NotNow):
        sitting.machine.finish()


@given(st.integers(1, 400), st.sampled_from(["ok", "poor_signal"]))
def test_a_kept_state_goes_on_at_the_same_block(n_hops: int, status: Status) -> None:
    sitting = Sitting(make())
    for _ in range(n_hops):
        if sitting.machine.state.phase == "rating":
            sitting.rate()
        elif not sitting.machine.over:
            sitting.hop(status if sitting.machine.state.number % 3 else "ok")
    before = sitting.machine.state
    kept = msgspec.json.decode(msgspec.json.encode(before), type=MachineState)
    assert kept == before
    if sitting.machine.over:
        return
    again = Sitting(make(kept))
    again.rested, again.position = sitting.rested, sitting.position + 5000
    again.events += again.machine.resume(again.position + 1)
    after = again.machine.state
    assert after.blocks == before.blocks
    assert after.phase in ("rest", "cue", "rating", "pause")
    if before.phase == "block":
        assert (after.phase, after.number) == ("cue", before.number)
    again.until("judging")
    whole = len([block for block in before.blocks if block.valence is not None])
    assert again.machine.state.blocks[:whole] == before.blocks[:whole]


def test_the_same_hops_and_ratings_give_the_same_blocks() -> None:
    one, other = Sitting(make()), Sitting(make())
    one.until("judging")
    other.until("judging")
    assert one.machine.state == other.machine.state
    assert one.events == other.events


def test_a_rating_is_waited_for() -> None:
    sitting = Sitting(make())
    sitting.until("rating")
    for _ in range(500):
        sitting.hop()
    assert sitting.machine.state.phase == "rating"
    assert sitting.machine.progress.left is None
