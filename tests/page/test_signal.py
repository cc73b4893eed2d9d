"""The signal on the page: held, moved back, filtered, weighed, and called old where it is."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.pictures import shots
from tests.service.live import live
from tests.service.muse_recordings import write_muse

NOTHING = "\N{EN DASH}"
DRAWN = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>
  done(document.querySelector('[data-testid=trace] canvas').toDataURL()))))"""


def picture(page: Page) -> str:
    """The traces once they are drawn the same again, without what stands around them."""
    last, drawn = "", str(page.evaluate(DRAWN))
    while drawn != last:
        last, drawn = drawn, str(page.evaluate(DRAWN))
    return drawn


def write_flat(path: Path, seconds: float) -> Path:
    """A Muse recording whose AF7 says the same all the time."""
    lines = write_muse(path, seconds).read_text().splitlines()
    rows = (line.split(",") for line in lines[1:])
    flat = [",".join([time, tp9, "12.5", *rest]) for time, tp9, _, *rest in rows]
    path.write_text("\n".join([lines[0], *flat, ""]))
    return path


def test_a_recording_is_looked_back_over_and_filtered(page: Page, tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=60)
    with live(f"replay://{path}?hold=1&speed=max", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).to_have_text("15359")
        place, back = page.get_by_test_id("trace-place"), page.get_by_test_id("trace-back")
        expect(page.get_by_test_id("peak")).to_have_text(re.compile(r"^(9|10|11)\.\d Hz$"))
        page.get_by_test_id("scale").select_option("100")
        newest = picture(page)
        back.focus()
        page.keyboard.press("ArrowLeft")
        expect(place).to_have_text("Held, 0:01 back")
        assert picture(page) != newest
        page.keyboard.press("Home")
        expect(place).to_have_text("Held, 0:52 back")
        page.get_by_test_id("seconds").select_option("32 s")
        expect(place).to_have_text("Held, 0:28 back")
        page.get_by_test_id("seconds").select_option("8 s")
        back.focus()
        page.keyboard.press("End")
        expect(place).to_have_text("Live")
        assert picture(page) == newest
        page.get_by_test_id("filter").select_option(index=1)
        expect(page.get_by_text("Filtered for the eye alone")).to_be_visible()
        assert picture(page) != newest
        page.get_by_test_id("filter").select_option(index=0)
        assert picture(page) == newest


def test_what_is_held_stands_still_and_comes_back(page: Page) -> None:
    with live("simulate://?seed=2&loss=3,0.4", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("band-TP10-alpha")).to_have_text(re.compile(r"^\d"))
        expect(page.get_by_test_id("latency")).to_have_text(re.compile(r"^\d+ ms$"))
        expect(page.get_by_test_id("rate")).to_have_text(re.compile(r"^2\d\d\.\d of 256 Hz, off$"))
        hold, index = page.get_by_test_id("trace-pause"), page.get_by_test_id("latest-index")
        hold.click()
        held, then = picture(page), index.inner_text()
        expect(index).not_to_have_text(then)
        expect(page.get_by_test_id("trace-place")).to_have_text(re.compile("Held, .*[1-9].* back"))
        assert picture(page) == held
        expect(page.get_by_test_id("latency")).to_have_text(NOTHING)
        hold.click()
        expect(page.get_by_test_id("trace-place")).to_have_text("Live")
        service.until(lambda: page.evaluate(DRAWN) != held)


def test_an_electrode_tells_its_reason_to_whoever_comes_by_keyboard(
    page: Page, tmp_path: Path
) -> None:
    path = write_flat(tmp_path / "muse.csv", seconds=60)
    with live(f"replay://{path}", model="none") as service:
        page.goto(service.url)
        told, af7 = page.get_by_test_id("electrode-words"), page.get_by_test_id("electrode-AF7")
        expect(af7).to_have_attribute("data-state", "bad")
        page.get_by_test_id("electrode-TP9").focus()
        expect(told).to_have_text(re.compile(r"^TP9: \d+ %, good$"))
        page.keyboard.press("Tab")
        expect(af7).to_be_focused()
        expect(told).to_have_text("AF7: 0 %, flat")
        shots(page, "flat-electrode")
        page.mouse.move(0, 0)
        page.get_by_test_id("electrode-AF8").hover()
        expect(told).to_contain_text("AF8: ")


def test_a_source_that_falls_silent_is_called_old(page: Page) -> None:
    with live("simulate://?dead=4", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
        expect(page.get_by_test_id("stale")).to_have_count(0)
        expect(page.get_by_test_id("stale")).to_contain_text("What is shown is")
        expect(page.get_by_text("Of old signal.")).to_be_visible()
        expect(page.get_by_test_id("rate")).to_have_text(f"{NOTHING} of 256 Hz")
        expect(page.get_by_test_id("electrode-TP9")).to_have_attribute("data-state", "none")
        expect(page.get_by_test_id("stale")).to_have_count(0)
