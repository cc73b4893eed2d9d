"""Names of runs and of their recordings."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mimamba.service.feedback.session_runs import new_name
from mimamba.service.storage.private_files import NAME


def test_names_of_one_second_differ_and_recordings_can_have_them() -> None:
    now = datetime(2026, 11, 29, 10, 15, tzinfo=UTC)
    begins = ("rest-P01", "rest-P01", 81 * "x", 59 * "x" + ".y")
    made = [new_name(begin, now) for begin in begins]
    assert len(set(made)) == len(begins)
    assert all(re.fullmatch(NAME, each) for each in made)
    assert made[0].startswith("rest-P01-20261129-101500-")
