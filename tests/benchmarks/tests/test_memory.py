"""Memory of a service over time: what is reported, and what counts as growth."""

from __future__ import annotations

import asyncio

import pytest

from mimamba.service.bench.figures import Figure
from mimamba.service.bench.service_process import start_service
from tests.benchmarks.soak.block_counts import PROGRAM, Blocks, newest
from tests.benchmarks.soak.memory import Reading, slope_figures, watch
from tests.benchmarks.tests.checks import check_figures

UNITS = ["MB", "MB", "MB", "MB a minute", "MB a minute", "a minute", "a minute", ""]


def readings(first: float, second: float) -> list[Reading]:
    """An hour with a reading each minute, and these slopes in its halves, MB a minute."""
    return [
        Reading(60 * n, 300 + first * min(n, 30) + second * max(0, n - 30), 1000 + n, 20)
        for n in range(61)
    ]


def values(found: list[Figure]) -> dict[str, float]:
    return {figure.what: figure.value for figure in found}


def test_growth_that_ends_is_none_and_growth_that_goes_on_is() -> None:
    ended, goes_on = slope_figures(readings(1.3, 0)), slope_figures(readings(1.3, 1.3))
    for found in (ended, goes_on):
        check_figures(found, UNITS)
        assert values(found)["memory, slope in the first half"] == pytest.approx(1.3)
    assert ended[4].value == pytest.approx(0, abs=1e-6)
    assert goes_on[4].value == pytest.approx(1.3)
    assert [each[4].met for each in (ended, goes_on)] == [True, False]


def test_the_last_report_counts() -> None:
    lines = ['{"type":"blocks","count":5,"threads":2}', '{"event":"client came"}', "not JSON"]
    assert newest(lines) == Blocks(5, 2)
    assert newest([]) == Blocks(0, 0)


def test_a_service_is_watched() -> None:
    sources = ["simulate://?seed=0", "simulate://?seed=1"]
    with start_service(*sources, code=PROGRAM, model="none", log_format="json") as service:
        found = asyncio.run(watch(service, 4.0, sessions=2))
    assert len(found) >= 4
    assert found[-1].resident > 50
    assert found[-1].blocks > 100_000
    assert found[-1].threads > 2
