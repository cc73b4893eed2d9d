"""How many processes step how many sessions."""

from __future__ import annotations

import pytest

from drivers import processors
from service.relief import FEW, OF_ONE, processes


@pytest.mark.parametrize(
    ("sessions", "wanted"),
    [
        (0, 0),
        (FEW, 0),
        (FEW + 1, 1),
        (64, 1),
        (OF_ONE, 1),
        (OF_ONE + 1, 2),
        (3 * OF_ONE + 1, 4),
        (100 * OF_ONE, 7),
    ],
)
def test_processes_come_with_sessions_up_to_the_processors_less_one(
    sessions: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "count", lambda: 8)
    assert processes(sessions) == wanted
    monkeypatch.setattr(processors, "count", lambda: 2)
    assert processes(sessions) == min(wanted, 2)
    monkeypatch.setattr(processors, "count", lambda: 1)
    assert processes(sessions) == min(wanted, 1)
