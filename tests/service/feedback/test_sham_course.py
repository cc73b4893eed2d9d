"""Values of a sham over time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.feedback.sham_course import ShamCourse

NAN = float("nan")


def test_it_begins_with_the_first_value_and_begins_anew_at_the_end() -> None:
    course = ShamCourse((np.arange(5.0), np.array([NAN, 0.1, NAN, 0.3, 0.4])))
    assert (course.first, course.seconds) == (1.0, 4.0)
    assert [course.at(at) for at in (-1, 0, 0.9, 1, 2.5, 3.9, 4, 6, 9)] == [
        *[(1, 0.1)] * 3,
        (1, None),
        (1, 0.3),
        (1, 0.4),
        (2, 0.1),
        (2, 0.3),
        (3, None),
    ]


def test_over_a_gap_there_is_no_value() -> None:
    course = ShamCourse((np.array([-0.5, 0.0, 0.5, 10.0]), np.array([0.1, 0.1, 0.2, 0.3])))
    assert [course.at(at)[1] for at in (1, 3, 3.1, 10.4, 10.5)] == [0.2, 0.2, None, None, 0.3]

    slow = ShamCourse((np.array([0.0, 3, 6, 20]), np.array([0.1, 0.2, 0.3, 0.4])))  # a hop of 3 s
    assert [slow.at(at)[1] for at in (2.9, 5.9, 12, 12.1)] == [0.1, 0.2, 0.3, None]


@given(
    st.lists(st.floats(0, 1) | st.just(NAN), min_size=2, max_size=30).filter(
        lambda values: np.isfinite(values[:-1]).any()
    ),
    st.floats(0, 100),
)
def test_a_pass_is_like_the_one_before(values: list[float], at: float) -> None:
    course = ShamCourse((np.arange(len(values)) / 4, np.array(values)))
    at = round(at * 8) / 8 + 1 / 16  # not at an edge, where rounding decides
    number, value = course.at(at)
    assert course.at(at + course.seconds) == (number + 1, value)
    assert course.at(at) == (number, value)


def test_nothing_has_no_length() -> None:
    assert ShamCourse((np.arange(3.0), np.full(3, NAN))).seconds == 0
    assert ShamCourse((np.empty(0), np.empty(0))).seconds == 0
