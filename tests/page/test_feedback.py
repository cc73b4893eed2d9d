"""Feedback on the page, in a real Chromium: sound, colour, and silence while the model abstains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from mimamba.drivers.driver import Chunk
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.page.conftest import POLLING_MS, move
from tests.page.pictures import shots
from tests.page.test_calibration import at_both_sizes
from tests.page.test_now import words
from tests.service.live import Live, live
from tests.service.scripted import staged

HEAR = """() => {
  window.gains = [];
  const set = AudioParam.prototype.setTargetAtTime;
  AudioParam.prototype.setTargetAtTime = function (value, ...rest) {
    window.gains.push(value);
    return set.call(this, value, ...rest);
  };
}"""
"""Notes how loud the tone is to be; the sound itself is Chromium's own."""


def record_alpha(path: Path) -> None:
    """A recording of half a minute of noise, made at once."""
    rng = np.random.default_rng(0)
    with staged(None) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        data = rng.normal(0, 20, (30 * 256, 4)).astype(np.float32)
        stage.play(Chunk(data, 500 + np.arange(len(data)) / 256, 0))
        recorder.stop()
    noted = Sidecar(path.stem, "finished", person="P07", seconds=30.0, title="Day one")
    save_sidecar(path, noted)


STUDY = """
record = true
[feedback]
quantity = "band/alpha"
above = 0.0
values = "sham"
recordings = ["other"]
[[step]]
text = "Let the disc grow"
feedback = true
[[step]]
text = "Rest"
"""


def give_in_a_study(page: Page) -> None:
    """Give feedback in a step of a study: the stage shows the disc, and then no more."""
    page.get_by_test_id("to-study").click()
    page.get_by_test_id("copy-trial").click()
    expect(page.get_by_test_id("feedback-recording-other")).to_be_checked()
    expect(page.get_by_test_id("recordings-note")).to_have_text("1 chosen, of up to 10.")
    page.get_by_test_id("study-feedback-quantity").select_option("valence/high")
    offered = page.get_by_test_id("feedback-recordings")
    expect(offered).to_contain_text("No finished recording has valence/high yet.")
    expect(offered).to_contain_text("not here, or without this quantity")
    page.get_by_test_id("feedback-recording-other").uncheck()
    page.get_by_test_id("study-feedback-quantity").select_option("another, by its name …")
    page.get_by_test_id("study-feedback-name").fill("band/alpha/AF7")
    page.get_by_test_id("study-feedback-quantity").select_option("band/alpha")
    page.get_by_test_id("study-feedback-channel").select_option("AF7")
    expect(offered).to_contain_text("0:30")
    page.get_by_test_id("study-feedback-at").fill("high")
    page.get_by_test_id("study-feedback-back").fill("2")
    page.get_by_test_id("save-study").click()
    expect(page.get_by_test_id("study-feedback-at")).to_be_focused()
    expect(page.get_by_test_id("field-problem")).to_contain_text(
        ["but found 'high'", "but found 2.", words("recordings for a sham with the values 'sham'")]
    )
    at_both_sizes(page, "study-feedback-editor")
    page.get_by_test_id("leave-editor").click()
    page.get_by_test_id("discard").click()
    page.get_by_test_id("begin-trial").click()
    expect(page.get_by_test_id("headline")).to_have_text("Let the disc grow")
    expect(page.get_by_test_id("feedback-figure")).to_have_attribute("data-on", "true")
    at_both_sizes(page, "study-feedback-stage")
    page.reload()
    page.evaluate(HEAR)
    page.get_by_test_id("unmute").click()  # the step that goes on is heard from here on
    page.wait_for_function("() => window.gains.at(-1) > 0", polling=POLLING_MS)
    page.get_by_test_id("full-screen").click()
    expect(page.get_by_test_id("full-screen")).to_have_text("Leave full screen")
    page.keyboard.press("Space")  # goes on with the study, and does not leave full screen
    expect(page.get_by_test_id("headline")).to_have_text("Rest")
    expect(page.get_by_test_id("feedback-figure")).to_have_count(0)
    assert page.evaluate("() => document.fullscreenElement?.dataset.testid") == "stage"
    page.get_by_test_id("go-on").click()
    expect(page.get_by_test_id("study-over")).to_contain_text("trial: done.")
    expect(page.get_by_test_id("feedback-figure")).to_have_count(0)


def give_sham(page: Page, service: Live) -> None:
    """Give a sham as in a study: the wearer is not told, and afterwards it is shown."""
    figure = page.get_by_test_id("feedback-figure")
    page.get_by_test_id("feedback-stop").click()
    page.get_by_test_id("feedback-quantity").select_option("band/alpha")
    page.get_by_test_id("feedback-at").fill("0")
    page.get_by_test_id("feedback-values").select_option("sham")
    page.get_by_test_id("feedback-start").click()
    expect(page.get_by_test_id("feedback-problem")).to_contain_text("at least one recording")
    page.get_by_test_id("feedback-recording-other").check()
    at_both_sizes(page, "feedback-sham")
    page.get_by_test_id("feedback-start").click()
    study = page.get_by_test_id("study-feedback")
    expect(study).to_contain_text("band / alpha")
    expect(page.get_by_test_id("feedback-values")).to_have_count(0)
    expect(figure).to_have_attribute("data-on", "true")
    assert "sham" not in page.inner_text("main").lower()
    assert "other" not in page.inner_text("main").replace("another", "")
    expect(page.get_by_test_id("feedback-sound")).to_be_visible()
    at_both_sizes(page, "feedback-study")
    page.get_by_test_id("study-feedback-stop").click()
    # The wearer may see the page afterwards: what was chosen is nowhere.
    expect(page.get_by_test_id("feedback-values")).to_have_value("free")
    expect(page.get_by_test_id("feedback-recordings")).to_have_count(0)
    assert "sham" not in page.evaluate("() => localStorage.getItem('mimamba feedback')")
    again = {"quantity": "band/alpha", "at": 0, "source": "sham", "recordings": ["other"]}
    path = "/v1/sessions/simulate-1/feedback"

    def is_over() -> bool:
        states = [each["state"] for each in service.http.get("/v1/recordings").json()]
        return "recording" not in states and not service.http.get(path).json()["state"]["running"]

    service.until(is_over)  # the page shows the end before the recording is closed
    answer = service.http.post(path, json={**again, "blind": True})
    assert answer.status_code == 201, answer.text
    page.reload()
    page.get_by_test_id("to-feedback").click()
    expect(figure).to_have_attribute("data-on", "true")
    page.get_by_test_id("feedback-unmute").click()
    expect(page.get_by_test_id("feedback-unmute")).to_have_count(0)
    page.get_by_test_id("study-feedback-stop").click()
    page.get_by_test_id("feedback-unblind").click()
    expect(page.get_by_test_id("feedback-outcome")).to_contain_text(
        words("it was a sham: values of the recording other")
    )
    shots(page, "feedback-outcome")
    made = {each["name"]: each["state"] for each in service.http.get("/v1/recordings").json()}
    assert set(made.values()) == {"finished"}


def test_feedback_follows_a_value_and_is_silent_without_one(page: Page, tmp_path: Path) -> None:
    move(page)
    record_alpha(tmp_path / "other.xdf")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "trial.toml").write_text(STUDY, encoding="utf-8")
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
        page.wait_for_function("() => window.gains.at(-1) > 0", polling=POLLING_MS)
        at_both_sizes(page, "feedback")
        page.get_by_test_id("feedback-at").fill("1")
        page.get_by_test_id("feedback-back").fill("0")
        expect(figure).to_have_attribute("data-on", "false")
        page.get_by_test_id("feedback-at").fill("0")
        expect(figure).to_have_attribute("data-on", "true")
        # The model begins anew, and abstains until it is warm.
        page.evaluate("() => { window.gains = []; }")
        service.http.put("/v1/sessions/simulate-1/model", json={"model": "demo"}).raise_for_status()
        page.wait_for_function("() => window.gains.includes(0)", polling=POLLING_MS)
        expect(figure).to_have_attribute("data-on", "true")
        give_sham(page, service)
        give_in_a_study(page)
