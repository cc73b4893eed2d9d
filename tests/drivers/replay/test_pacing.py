from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.replay.pacing import PlaybackClock


def test_seconds_of_the_file_are_played_at_its_speed() -> None:
    pace = PlaybackClock(50.0, 4.0)
    pace.start(1000.0)
    assert pace.seconds_until(1000.5, 54.0) == pytest.approx(0.5)
    assert pace.seconds_until(1002.0, 54.0) == pytest.approx(-1.0)
    np.testing.assert_allclose(pace.stamps(np.array([50.0, 52.0])), [1000.0, 1000.5])


def test_at_once_means_no_wait_and_stamps_as_at_speed_1() -> None:
    pace = PlaybackClock(50.0, math.inf)
    pace.start(1000.0)
    assert pace.seconds_until(1000.0, 90.0) == 0
    assert pace.stamp(90.0) == 1040.0


def test_what_is_left_of_a_silence_stays() -> None:
    pace = PlaybackClock(50.0, 1.0)
    pace.start(1000.0)
    pace.pause(1002.0, earliest=50.1, latest=55.0)
    pace.start(1100.0)
    assert pace.seconds_until(1100.0, 55.0) == pytest.approx(3.0)
    assert pace.stamp(55.0) == pytest.approx(1103.0)


def test_a_pause_lets_the_clock_catch_up_with_stamps_that_ran_ahead() -> None:
    pace = PlaybackClock(0.0, math.inf)
    pace.start(1000.0)
    pace.pause(1001.0, earliest=60.0, latest=60.0)
    pace.start(1010.0)
    assert pace.stamp(60.0) == 1060.0
    pace.pause(1010.0, earliest=70.0, latest=70.0)
    pace.start(1100.0)
    assert pace.stamp(70.0) == 1100.0


def test_a_jump_while_it_runs_takes_no_time() -> None:
    pace = PlaybackClock(50.0, 2.0)
    pace.start(1000.0)
    pace.jump(after=60.0, instant=50.0)
    assert pace.stamp(50.0) == pytest.approx(1005.0)
    assert pace.seconds_until(1000.0, 52.0) == pytest.approx(6.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["play", "speed", "stand", "jump"]),
            st.sampled_from([0.1, 1.0, 64.0, math.inf]),
            st.floats(0, 20),
        ),
        max_size=30,
    )
)
def test_stamps_never_go_back(steps: list[tuple[str, float, float]]) -> None:
    pace, now, at, played, last = PlaybackClock(0.0, 1.0), 1000.0, 0.0, 0.0, -math.inf
    for kind, speed, seconds in steps:
        if kind == "play":
            pace.start(now)
            now += max(0.0, pace.seconds_until(now, at))
            assert pace.stamp(at) > last
            last, played, at = pace.stamp(at), at + 0.004, at + 0.004 + seconds
        else:
            now += seconds
            pace.pause(now, played, at)
            if kind == "speed":
                pace.speed = speed
            elif kind == "jump":
                at = seconds
                pace.jump(played, at)
                played = at
