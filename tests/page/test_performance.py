"""A page that must not slow down: what it keeps has a bound, and what it draws does not pile up.

How fast it is, ``python -m tests.benchmarks.page`` measures.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.benchmarks.page import built, write_eight
from tests.service.live import live

BUDGET = 250_000
"""Bytes of scripts and styles, compressed."""


def test_a_long_signal_of_eight_channels_is_kept_for_five_minutes(
    page: Page, tmp_path: Path
) -> None:
    path = write_eight(tmp_path / "eight.edf", 310)
    with live(f"replay://{path}?hold=1&speed=max", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).to_have_text(str(310 * 256 - 1))
        page.get_by_test_id("trace-back").focus()
        page.keyboard.press("Home")
        expect(page.get_by_test_id("trace-place")).to_have_text("Held, 4:52 back")
        page.get_by_test_id("filter").select_option(index=1)
        page.get_by_test_id("seconds").select_option("32 s")
        expect(page.get_by_test_id("trace-place")).to_have_text("Held, 4:28 back")
        for name in ("O1", "O2", "Fp1"):
            expect(page.get_by_test_id(f"electrode-{name}")).to_be_visible()


def test_nodes_do_not_pile_up_while_the_signal_runs(page: Page) -> None:
    with live("simulate://", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("peak")).to_be_visible()
        nodes = page.evaluate("document.querySelectorAll('*').length")
        canvases = page.evaluate("document.querySelectorAll('canvas').length")
        for seconds in ("4 s", "32 s", "8 s"):
            page.get_by_test_id("seconds").select_option(seconds)
            page.wait_for_timeout(300)
        assert page.evaluate("document.querySelectorAll('canvas').length") == canvases
        assert page.evaluate("document.querySelectorAll('*').length") == nodes


def test_the_page_is_small() -> None:
    assert built() <= BUDGET
