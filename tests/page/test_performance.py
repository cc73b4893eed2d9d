"""Bounds of the page: its buffer, its nodes and its size.

``python -m tests.benchmarks page`` measures its speed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from mimamba.drivers.replay.driver import MIN_SPEED
from tests.benchmarks.page import built, write_eight
from tests.page.conftest import PATIENCE_MS, move
from tests.service.live import PATIENCE, live

TWO_FRAMES = """() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(done)))"""
BUDGET = 250_000
"""Size of scripts and styles, compressed, bytes."""


def test_a_long_signal_of_eight_channels_is_kept_for_five_minutes(
    page: Page, tmp_path: Path
) -> None:
    path = write_eight(tmp_path / "eight.edf", 310)
    # Slow at first: a page that comes late gets only the end of the service's log, not the start.
    with live(f"replay://{path}?hold=1&speed={MIN_SPEED}", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
        service.http.post("/v1/sessions/replay-1/replay", json={"speed": "max"})
        expect(page.get_by_test_id("latest-index")).to_have_text(
            str(310 * 256 - 1), timeout=3 * PATIENCE_MS
        )
        page.get_by_test_id("trace-back").focus()
        page.keyboard.press("Home")
        expect(page.get_by_test_id("trace-position")).to_have_text("Frozen, 4:52 back")
        page.get_by_test_id("filter").select_option(index=1)
        page.get_by_test_id("seconds").select_option("32 s")
        expect(page.get_by_test_id("trace-position")).to_have_text("Frozen, 4:28 back")
        for name in ("O1", "O2", "Fp1"):
            expect(page.get_by_test_id(f"electrode-{name}")).to_be_visible()


def change_and_count(page: Page) -> list[int]:
    """Rebuild the traces three times, then count canvases and nodes."""
    for seconds in ("4 s", "32 s", "8 s"):
        page.get_by_test_id("seconds").select_option(seconds)
        page.evaluate(TWO_FRAMES)
    return [page.locator(each).count() for each in ("canvas", "*")]


def test_nodes_do_not_pile_up_while_the_signal_runs(page: Page) -> None:
    move(page)
    with live("simulate://", model="none") as service:
        page.goto(service.url)
        for last in ("peak", "latency", "rate", "band-TP10-alpha"):
            expect(page.get_by_test_id(last)).to_have_text(re.compile(r"\d"))
        counts = [change_and_count(page) for _ in range(2)]
        end = time.monotonic() + PATIENCE
        while counts[-1] not in counts[:-1] and time.monotonic() < end:  # some come and go late
            counts.append(change_and_count(page))
        assert counts[-1] in counts[:-1]


def test_the_page_is_small() -> None:
    assert built() <= BUDGET
