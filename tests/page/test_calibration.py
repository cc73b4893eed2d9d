"""A calibration on the page, in a real Chromium, with a simulated wearer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.conftest import POLLING_MS, acknowledge, move
from tests.page.pictures import SIZES, shots
from tests.page.test_now import words
from tests.service.live import Live, live

WEARER = "simulate://?scenario=wearer&seed=1&effect=10"  # so plain that no short block is misread
PLAN = {"pairs": 4, "seconds": 6, "rest": 10, "cue": 1, "pause": 1}
"""The shortest plan."""
NARROW = 320
"""Width of the narrowest phones, pixels."""
LONG_MS = 240_000
"""Patience for a whole calibration."""
RATING_OR_END = (
    "() => document.querySelector('[data-testid=rating], [data-testid=verdict],"
    " [data-testid=check-result], [data-testid=stopped]') !== null"
)


def to_calibration(page: Page, service: Live) -> None:
    page.goto(service.url)
    page.get_by_test_id("to-calibrate").click()


def choose(page: Page, person: str = "P01", **plan: float) -> None:
    """Choose a person and the lengths of the plan."""
    page.get_by_test_id("person").fill(person)
    page.get_by_test_id("plan").click()
    for name, value in {**PLAN, **plan}.items():
        page.get_by_test_id(f"plan-{name}").fill(str(value))


def begin(page: Page) -> None:
    """Begin once the electrodes are good."""
    expect(page.get_by_test_id("begin")).to_be_enabled()
    page.get_by_test_id("begin").click()
    expect(page.get_by_test_id("stage")).to_be_visible()


def set_slider(page: Page, name: str, value: int) -> None:
    page.get_by_test_id(f"rating-{name}").fill(str(value))


def rate(page: Page, kind: str) -> None:
    """Rate the block that has just ended as its state asks for."""
    strained = kind in ("strained", "unpleasant")
    set_slider(page, "valence", 30 if strained else 70)
    set_slider(page, "arousal", 80 if strained else 20)
    page.get_by_test_id("save-rating").click()
    expect(page.get_by_test_id("rating")).to_have_count(0)


def state(service: Live) -> dict[str, Any]:
    """The calibration, as the API shows it."""
    answer: dict[str, Any] = service.http.get("/v1/sessions/simulate-1/calibration").json()
    return answer


def follow(
    page: Page, service: Live, blocks: int = 99, look: Callable[[str], None] = lambda _: None
) -> None:
    """Rate so many blocks, or all up to the end; look at the page before each rating."""
    for _ in range(blocks):
        page.wait_for_function(RATING_OR_END, timeout=LONG_MS, polling=POLLING_MS)
        if page.get_by_test_id("rating").count() == 0:
            return
        kind = state(service)["progress"]["kind"]
        look(kind)
        rate(page, kind)


def rate_without_a_page(service: Live, last: int) -> None:
    """Rate the blocks before the last one as `follow` does, which a browser makes costly."""

    def progress() -> dict[str, Any]:
        found: dict[str, Any] = state(service)["progress"]
        return found

    while True:
        service.until(lambda: progress()["phase"] == "rating")
        now = progress()
        if now["block"] == last:
            return
        strained = now["kind"] == "strained"
        rating = {"valence": 30, "arousal": 80} if strained else {"valence": 70, "arousal": 20}
        path = "/v1/sessions/simulate-1/calibration/ratings"
        service.http.post(path, json=rating).raise_for_status()


def fits(page: Page) -> bool:
    """True if nothing scrolls sideways."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"))


def at_both_sizes(page: Page, view: str) -> None:
    """Look at a view on a desktop and on a phone, and as narrow as phones are."""
    shots(page, view)
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert violations(page, colours=name == "desktop") == []  # they are the same on both
        page.set_viewport_size({"width": min(width, NARROW), "height": height})
        assert fits(page)
        page.set_viewport_size({"width": width, "height": height})


@pytest.mark.timeout(480)  # it lasts two minutes, in the time of the wearer
def test_a_calibration_gives_an_output_of_ones_own(page: Page, tmp_path: Path) -> None:
    """It goes on after a reload of the page, and in another run of the service."""
    looked: set[str] = set()

    def look(kind: str) -> None:
        if kind not in looked:
            at_both_sizes(page, f"calibrate-rating-{kind}")
        looked.add(kind)
        width, height = SIZES["desktop" if len(looked) % 2 else "phone"]
        page.set_viewport_size({"width": width, "height": height})

    with live(WEARER, data_dir=tmp_path) as service:
        to_calibration(page, service)
        choose(page)
        at_both_sizes(page, "calibrate-choice")
        page.get_by_test_id("to-electrodes").click()
        at_both_sizes(page, "calibrate-electrodes")  # which leaves the size of a phone
        begin(page)
        expect(page.get_by_test_id("stage")).to_have_attribute("data-phase", "block")
        move(page)
        follow(page, service, blocks=1, look=look)
        page.emulate_media(reduced_motion="reduce")
        page.reload()
        expect(page.get_by_test_id("calibrating")).to_be_visible()
        page.get_by_test_id("to-calibration").click()
        expect(page.get_by_test_id("stage")).to_be_visible()
        page.get_by_test_id("unmute").click()
        expect(page.get_by_test_id("unmute")).to_have_count(0)
        follow(page, service, blocks=1, look=look)
        page.get_by_test_id("stop").click()
        page.get_by_test_id("confirm-stop").click()
        expect(page.get_by_test_id("stopped")).to_be_visible()
    with live(WEARER, data_dir=tmp_path) as service:
        to_calibration(page, service)
        page.get_by_test_id("person").fill("P01")
        expect(page.get_by_test_id("resumable")).to_contain_text(words("block [23] of 8"))
        assert violations(page) == []
        page.get_by_test_id("go-on").click()
        begin(page)
        expect(page.get_by_test_id("place")).to_have_text(words("block 3 of 8|rest"))
        assert len(looked) == 2
        page.goto("about:blank")
        rate_without_a_page(service, 8)
        page.goto(service.url)
        page.get_by_test_id("to-calibration").click()
        follow(page, service)
        verdict = page.get_by_test_id("verdict")
        expect(verdict).to_have_attribute("data-verdict", re.compile("reliable|model fits"))
        page.get_by_test_id("verdict-numbers").click()
        at_both_sizes(page, "calibrate-verdict")
        found = state(service)["verdict"]
        assert found["name"] == verdict.get_attribute("data-verdict")
        page.get_by_test_id("close-calibrate").click()
        expect(page.get_by_test_id("session-person")).to_have_text("P01")
        if found["served"] == "yes":
            acknowledge(page)
            expect(page.get_by_test_id("personal")).to_be_visible()


def test_how_one_feels_is_said_at_any_time(page: Page) -> None:
    with live("simulate://?seed=2") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("probability-valence-high")).to_contain_text("%")
        page.keyboard.press("f")
        page.get_by_test_id("save-rating").click()
        expect(page.get_by_test_id("rating-problem")).to_contain_text(words("set both sliders"))
        page.get_by_test_id("rating-valence").focus()
        page.keyboard.press("ArrowRight")
        set_slider(page, "arousal", 40)
        assert violations(page) == []
        page.get_by_test_id("save-rating").click()
        expect(page.get_by_test_id("feel-last")).to_contain_text("valence 51, arousal 40")
        expect(page.get_by_test_id("plane-rating")).to_be_visible()
        for n in range(7):
            service.http.post(
                "/v1/sessions/simulate-1/ratings", json={"valence": 10 * n, "arousal": 50}
            ).raise_for_status()
        expect(page.get_by_test_id("agreement-valence")).to_contain_text("8 ratings")
