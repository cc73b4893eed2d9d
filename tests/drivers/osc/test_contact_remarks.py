"""Remarks about contact: only of what lasts, once, and once more when it is over."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.osc.contact_remarks import HOLD_SECONDS, ContactRemarks

ELECTRODES = ("TP9", "AF7", "AF8", "TP10")
GOOD, MEDIUM, BAD = 1.0, 2.0, 4.0


def remarks(grades: Sequence[tuple[float, ...]], period: float = 0.5) -> list[tuple[float, str]]:
    """Remarks with their times."""
    contact = ContactRemarks("Mind Monitor", ELECTRODES)
    return [
        (k * period, remark)
        for k, each in enumerate(grades)
        for remark in contact.push(each, k * period)
    ]


def test_what_lasts_is_remarked_on_once_and_its_end_too() -> None:
    good, loose = (GOOD, MEDIUM, GOOD, GOOD), (BAD, MEDIUM, GOOD, BAD)
    assert remarks([good] * 10 + [loose] * 20 + [good] * 20) == [
        (5.0 + HOLD_SECONDS, "Mind Monitor reports bad contact at TP9, TP10"),
        (15.0 + HOLD_SECONDS, "Mind Monitor reports contact at TP9, TP10 again"),
    ]


def test_what_flickers_is_not() -> None:
    assert remarks([(BAD, GOOD, GOOD, GOOD), (GOOD, GOOD, GOOD, GOOD)] * 40) == []


@given(st.lists(st.tuples(*[st.sampled_from([GOOD, MEDIUM, BAD])] * 4), max_size=80))
def test_each_electrode_is_lost_before_it_is_there_again(grades: list[tuple[float, ...]]) -> None:
    lost: set[str] = set()
    for _, remark in remarks(grades):
        names = set(remark.split(" at ")[1].removesuffix(" again").split(", "))
        if remark.endswith(" again"):
            assert names <= lost
            lost -= names
        else:
            assert not names & lost
            lost |= names
