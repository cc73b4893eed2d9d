"""The signal on the page: traces, scrollback, filter, spectrum, quality and age."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.conftest import move
from tests.page.pictures import shots
from tests.page.test_now import words
from tests.page.test_people import look
from tests.service.live import live
from tests.service.muse_recordings import write_muse

NOTHING = "\N{EN DASH}"
LINK = "[data-testid=link-state]"
DRAWN = """async () => {
  await new Promise(done => setTimeout(done, 100));
  for (let n = 0; n < 2; n++) await new Promise(done => requestAnimationFrame(done));
  return document.querySelector('[data-testid=trace] canvas').toDataURL();
}"""
"""The traces after the page's next frame: it pauses for less than 100 ms between two."""


def picture(page: Page) -> str:
    """Return the traces once two pictures of them are the same."""
    last, drawn = "", str(page.evaluate(DRAWN))
    while drawn != last:
        last, drawn = drawn, str(page.evaluate(DRAWN))
    return drawn


def write_flat(path: Path, seconds: float) -> Path:
    """Write a Muse recording with a flat AF7."""
    lines = write_muse(path, seconds).read_text().splitlines()
    rows = (line.split(",") for line in lines[1:])
    flat = [",".join([time, tp9, "12.5", *rest]) for time, tp9, _, *rest in rows]
    path.write_text("\n".join([lines[0], *flat, ""]))
    return path


def test_a_recording_is_scrolled_back_and_filtered(page: Page, tmp_path: Path) -> None:
    move(page)
    path = write_muse(tmp_path / "muse.csv", seconds=60)
    with live(f"replay://{path}?hold=1&speed=max", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).to_have_text("15359")
        position, back = page.get_by_test_id("trace-position"), page.get_by_test_id("trace-back")
        expect(page.get_by_test_id("peak")).to_have_text(re.compile(r"^(9|10|11)\.\d Hz$"))
        page.get_by_test_id("scale").select_option("100")
        newest = picture(page)
        back.focus()
        page.keyboard.press("ArrowLeft")
        expect(position).to_have_text("Frozen, 0:01 back")
        assert picture(page) != newest
        page.keyboard.press("Home")
        expect(position).to_have_text("Frozen, 0:52 back")
        page.get_by_test_id("seconds").select_option("32 s")
        expect(position).to_have_text("Frozen, 0:28 back")
        page.get_by_test_id("seconds").select_option("8 s")
        back.focus()
        page.keyboard.press("End")
        expect(position).to_have_text("Live")
        assert picture(page) == newest
        page.get_by_test_id("filter").select_option(index=1)
        expect(page.get_by_text("The filter changes the display only")).to_be_visible()
        assert picture(page) != newest
        page.get_by_test_id("filter").select_option("50")
        expect(page.get_by_text("The filter changes the display only")).to_be_visible()
        page.get_by_test_id("filter").select_option(index=0)
        assert picture(page) == newest
        page.get_by_test_id("spectrum-range").select_option("125 Hz")
        page.get_by_test_id("show-spectrogram").check()
        said = page.get_by_test_id("spectrogram-colours")
        expect(said).to_have_text(re.compile(r"TP9, .* Dark is \S+ dB, bright is \S+ dB"))
        expect(page.get_by_test_id("spectrogram")).to_have_attribute(
            "aria-label", "Spectrogram of TP9 from 1 to 125 Hz over the last 3 minutes"
        )
        look(page, "spectrogram")


def test_frozen_traces_stand_still_and_return_to_live(page: Page) -> None:
    move(page)
    with live("simulate://?seed=2&loss=3,0.4", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("band-TP10-alpha")).to_have_text(re.compile(r"^\d"))
        expect(page.get_by_test_id("latency")).to_have_text(re.compile(r"^\d+ ms$"))
        expect(page.get_by_test_id("rate")).to_have_text(re.compile(r"^2\d\d\.\d of 256 Hz, off$"))
        freeze, index = page.get_by_test_id("trace-freeze"), page.get_by_test_id("latest-index")
        freeze.click()
        frozen, then = picture(page), index.inner_text()
        expect(index).not_to_have_text(then)
        expect(page.get_by_test_id("trace-position")).to_have_text(
            re.compile("Frozen, .*[1-9].* back")
        )
        assert picture(page) == frozen
        expect(page.get_by_test_id("latency")).to_have_text(NOTHING)
        freeze.click()
        expect(page.get_by_test_id("trace-position")).to_have_text("Live")
        service.until(lambda: page.evaluate(DRAWN) != frozen)


def test_the_details_of_an_electrode_can_be_read_by_keyboard(page: Page, tmp_path: Path) -> None:
    path = write_flat(tmp_path / "muse.csv", seconds=60)
    with live(f"replay://{path}", model="none") as service:
        page.goto(service.url)
        details, af7 = page.get_by_test_id("electrode-text"), page.get_by_test_id("electrode-AF7")
        expect(af7).to_have_attribute("data-state", "bad")
        page.get_by_test_id("electrode-TP9").focus()
        expect(details).to_have_text(re.compile(r"^TP9: \d+ %, good$"))
        page.keyboard.press("Tab")
        expect(af7).to_be_focused()
        expect(details).to_have_text("AF7: 0 %, flat")
        shots(page, "flat-electrode")
        page.mouse.move(0, 0)
        af8 = page.get_by_test_id("electrode-AF8")

        def is_shown() -> bool:
            """Hover again: the page may have laid itself out anew under the mouse."""
            page.mouse.move(0, 0)
            af8.hover()
            return "AF8: " in details.inner_text()

        service.until(is_shown)


def test_a_silent_source_is_lost_its_signal_is_old_and_it_comes_back(page: Page) -> None:
    with live("simulate://?dead=4", model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
        link = page.get_by_test_id("link-state")
        expect(link).to_contain_text(words("connected"))
        expect(page.get_by_test_id("stale")).to_have_count(0)
        expect(page.get_by_test_id("stale")).to_contain_text("The newest sample is")
        expect(page.get_by_text("The signal is old.")).to_be_visible()
        expect(page.get_by_test_id("rate")).to_have_text(f"{NOTHING} of 256 Hz")
        expect(page.get_by_test_id("electrode-TP9")).to_have_attribute("data-state", "none")
        # It shows for half a second, again and again.
        page.wait_for_function(
            "id => /lost/i.test(document.querySelector(id).textContent)", arg=LINK, polling=50
        )
        shots(page, "link-lost")
        expect(link).to_contain_text(words("connected"))
        expect(page.get_by_test_id("gaps")).to_contain_text(re.compile("[1-9]"))
        expect(page.get_by_test_id("stale")).to_have_count(0)
