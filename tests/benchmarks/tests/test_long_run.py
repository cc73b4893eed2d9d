"""The accounts of a long run find what is missing, doubled, or without a reason."""

from __future__ import annotations

import asyncio
import os

import pytest

from mimamba.service.bench.service_process import ServiceProcess
from mimamba.service.protocol.messages import LinkMessage, PredictionMessage
from mimamba.service.topics import LinkEvent, Timing
from tests.benchmarks.long_run import Account, Balance, balance, measure_service
from tests.benchmarks.tests.checks import measure_long_enough
from tests.service.live import live


def hop(seq: int, index: int, reason: str | None = "warming up") -> PredictionMessage:
    return PredictionMessage("a", seq, index, 0.0, "warming_up", reason, None, Timing(0, 0, 0))


def event(what: LinkEvent, first: int, lost: int | None = None) -> LinkMessage:
    return LinkMessage("a", 1, 0.0, what, "", first, lost)


SEEN = [
    *(hop(seq, 126 + 128 * seq) for seq in range(3)),  # 126, 254, 382
    event("gap", 600, 77),  # a hop is due at 510, the next 126 samples after 677
    event("hops_skipped", 510),
    *(hop(seq, 803 + 128 * (seq - 3)) for seq in range(3, 6)),
]


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (SEEN, {}),
        ([each for each in SEEN if each is not SEEN[1]], {"unaccounted": 1, "out_of_order": 1}),
        ([each for each in SEEN if each is not SEEN[4]], {"unaccounted": 1}),
        ([*SEEN[:3], hop(3, 382), *SEEN[3:]], {"twice": 1, "out_of_order": 1}),
        ([*SEEN[:3], hop(3, 500), *SEEN[3:]], {"undue": 1, "out_of_order": 1}),
        ([*SEEN[:2], hop(2, 382, None), *SEEN[3:]], {"silent": 1}),
    ],
)
def test_each_hop_is_accounted_for(
    seen: list[PredictionMessage | LinkMessage], wrong: dict[str, int]
) -> None:
    account = Account()
    for each in seen:
        account.take(each)
    found = balance([account])
    faults = {name: getattr(found, name) for name in vars(Balance()) if name not in USUAL}
    assert {name: n for name, n in faults.items() if n} == wrong
    assert found.due == 7


USUAL = {"due", "outcomes"}


@pytest.mark.parametrize("lost", [1, 25])
def test_a_short_gap_is_bridged(lost: int) -> None:
    account = Account()
    for each in (hop(0, 126), event("gap", 250, 2), event("gap", 380, lost), hop(1, 254)):
        account.take(each)
    account.take(hop(2, max(382, 380 + lost)))
    found = balance([account])
    assert (found.due, found.unaccounted, found.undue) == (3, 0, 0)


def test_a_session_without_hops_is_accounted_for() -> None:
    assert balance([Account()]) == Balance(outcomes=balance([Account()]).outcomes)


def test_a_running_service_is_measured() -> None:
    with live("simulate://", model="demo") as service:
        service.opened("simulate-1")
        process = ServiceProcess(service.url, os.getpid())
        found = measure_long_enough(
            lambda seconds: asyncio.run(measure_service(process, 1, seconds)),
            ["", *["hops"] * 4, *[""] * 6, *["%"] * 3, *["MB"] * 3, "%", "ms"],
        )
    assert all(each.value == 0 for each in found if each.aim == "0")
