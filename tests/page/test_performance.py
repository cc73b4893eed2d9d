"""A page that must not slow down: what it keeps has a bound, and what it draws does not pile up.

How fast it is, ``python -m tests.benchmarks.page`` measures.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.benchmarks.page import built, write_eight
from tests.page.conftest import PATIENCE_MS
from tests.service.live import PATIENCE, live

BUDGET = 250_000
"""Bytes of scripts and styles, compressed."""


def test_a_long_signal_of_eight_channels_is_kept_for_five_minutes(
    page: Page, tmp_path: Path
) -> None:
    path = write_eight(tmp_path / "eight.edf", 310)
    with live(f"replay://{path}?hold=1&speed=max", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).to_have_text(
            str(310 * 256 - 1), timeout=3 * PATIENCE_MS
        )
        page.get_by_test_id("trace-back").focus()
        page.keyboard.press("Home")
        expect(page.get_by_test_id("trace-place")).to_have_text("Held, 4:52 back")
        page.get_by_test_id("filter").select_option(index=1)
        page.get_by_test_id("seconds").select_option("32 s")
        expect(page.get_by_test_id("trace-place")).to_have_text("Held, 4:28 back")
        for name in ("O1", "O2", "Fp1"):
            expect(page.get_by_test_id(f"electrode-{name}")).to_be_visible()


def change_and_count(page: Page) -> list[int]:
    """How many canvases and nodes there are after the traces were built anew, thrice."""
    for seconds in ("4 s", "32 s", "8 s"):
        page.get_by_test_id("seconds").select_option(seconds)
        page.wait_for_timeout(150)
    return [page.locator(each).count() for each in ("canvas", "*")]


def test_nodes_do_not_pile_up_while_the_signal_runs(page: Page) -> None:
    with live("simulate://", model="none") as service:
        page.goto(service.url)
        for last in ("peak", "latency", "rate", "band-TP10-alpha"):
            expect(page.get_by_test_id(last)).to_have_text(re.compile(r"\d"))
        counts = [change_and_count(page) for _ in range(2)]
        end = time.monotonic() + PATIENCE
        while counts[-1] not in counts[:-1] and time.monotonic() < end:  # some come late, and go
            counts.append(change_and_count(page))
        assert counts[-1] in counts[:-1]


def test_the_page_is_small() -> None:
    assert built() <= BUDGET
