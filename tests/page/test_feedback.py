"""Feedback on the page, in a real Chromium: sound, colour, and silence while the model abstains."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.test_calibration import at_both_sizes
from tests.service.live import live

HEAR = """() => {
  window.gains = [];
  const set = AudioParam.prototype.setTargetAtTime;
  AudioParam.prototype.setTargetAtTime = function (value, ...rest) {
    window.gains.push(value);
    return set.call(this, value, ...rest);
  };
}"""
"""Notes how loud the tone is to be; the sound itself is Chromium's own."""


def test_feedback_follows_a_value_and_is_silent_without_one(page: Page, tmp_path: Path) -> None:
    with live("simulate://?seed=2", data_dir=tmp_path) as service:
        page.goto(service.url)
        page.evaluate(HEAR)
        page.get_by_test_id("to-feedback").click()
        figure = page.get_by_test_id("feedback-figure")
        page.get_by_test_id("feedback-at").fill("0")
        expect(figure).to_have_attribute("data-on", "false")  # not before it is started
        page.get_by_test_id("feedback-start").click()
        for quantity in ("band/alpha", "output/valence/high"):
            page.get_by_test_id("feedback-quantity").select_option(quantity)
            expect(figure).to_have_attribute("data-on", "true")
        page.wait_for_function("() => window.gains.at(-1) > 0")
        at_both_sizes(page, "feedback")
        page.get_by_test_id("feedback-at").fill("1")
        page.get_by_test_id("feedback-back").fill("0")
        expect(figure).to_have_attribute("data-on", "false")
        page.get_by_test_id("feedback-at").fill("0")
        expect(figure).to_have_attribute("data-on", "true")
        # The model begins anew, and abstains until it is warm.
        page.evaluate("() => { window.gains = []; }")
        service.http.put("/v1/sessions/simulate-1/model", json={"model": "demo"}).raise_for_status()
        page.wait_for_function("() => window.gains.includes(0)")
        expect(figure).to_have_attribute("data-on", "true")
