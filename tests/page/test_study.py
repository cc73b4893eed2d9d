"""A study on the page, in a real Chromium: by keyboard and touch, through a reload."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.pictures import shots
from tests.page.test_calibration import at_both_sizes, fits
from tests.page.test_now import words
from tests.service.live import live

STUDY = """
title = "Rest and a question"
description = "Some moments of rest."
record = true
[[step]]
text = "Sit comfortably.\\nPress a key when you are ready."
[[step]]
text = "Close your eyes"
seconds = 0.5
sound = "second"
marker = "eyes closed"
[[step]]
text = "How do you feel now?"
rating = true
[[step]]
text = "Look at the cross: +"
"""


def test_a_study_is_run_by_keyboard_and_through_a_reload(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "rest.toml").write_text(STUDY, encoding="utf-8")
    (folder / "wrong.toml").write_text("[[step]]\nsecs = 1\n", encoding="utf-8")
    with live("simulate://", model="none", data_dir=tmp_path) as service:
        page.goto(service.url)
        page.get_by_test_id("to-study").click()
        expect(page.get_by_test_id("wrong-wrong")).to_contain_text(words("step 1 of wrong.toml"))
        at_both_sizes(page, "study-list")
        page.get_by_test_id("begin-rest").click()
        stage = page.get_by_test_id("stage")
        expect(page.get_by_test_id("go-on")).to_be_focused()
        at_both_sizes(page, "study-text")
        page.keyboard.press("Space")
        expect(page.get_by_test_id("rating")).to_be_visible()
        page.reload()  # which the study does not notice
        expect(page.get_by_test_id("unmute")).to_be_visible()
        expect(page.get_by_test_id("place")).to_have_text("Step 3 of 4")
        page.get_by_test_id("unmute").click()
        page.get_by_test_id("rating-valence").focus()
        page.keyboard.press("ArrowRight")
        page.get_by_test_id("rating-arousal").focus()
        page.keyboard.press("ArrowLeft")
        shots(page, "study-rating")
        assert fits(page)
        assert violations(page) == []
        page.get_by_test_id("save-rating").click()
        expect(stage).to_have_attribute("data-block", "4")
        page.get_by_test_id("place").click()  # the focus is nowhere
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("study-over")).to_contain_text(
            words(r"done\.\s+It is recorded as rest-")
        )
        shots(page, "study-over")
        assert violations(page) == []
        [made] = service.http.get("/v1/recordings").json()
        assert made["state"] == "finished"
        ratings = service.http.get("/v1/sessions/simulate-1/ratings").json()["ratings"]
        assert [(each["valence"], each["arousal"]) for each in ratings] == [(51, 49)]
        labels = service.http.get(f"/v1/recordings/{made['name']}/file").content
        assert labels.count(b"eyes closed") == 1
        page.get_by_test_id("close-study").click()
        expect(page.get_by_test_id("studying")).to_have_count(0)
