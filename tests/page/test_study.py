"""A study on the page, in a real Chromium: made, and run by keyboard and through a reload."""

from __future__ import annotations

import tomllib
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.page.axe import violations
from tests.page.pictures import shots
from tests.page.test_calibration import at_both_sizes, fits
from tests.page.test_now import words
from tests.service.live import Live, live

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


def make_a_study(page: Page, service: Live, folder: Path) -> None:
    """Copy a shipped study, change it by keyboard, correct a mistake, and look at it."""
    expect(page.get_by_test_id("edit-eyes-open-closed")).to_have_count(0)
    page.get_by_test_id("copy-eyes-open-closed").click()
    expect(page.get_by_test_id("study-name")).to_have_value("eyes-open-closed-2")
    page.get_by_test_id("study-name").fill("mine")
    page.get_by_test_id("study-name-title").fill("Mine <b>")
    page.get_by_test_id("add-step").click()
    expect(page.get_by_test_id("text-5")).to_be_focused()
    page.keyboard.type("A last word")
    page.get_by_test_id("up-5").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("said")).to_have_text("Step 5 is now step 4 of 5.")
    expect(page.get_by_test_id("up-4")).to_be_focused()
    page.get_by_test_id("remove-2").click()
    page.get_by_test_id("seconds-2").fill("a minute")
    page.get_by_test_id("hed-2").fill("(Rest")
    page.get_by_test_id("save-study").click()
    expect(page.get_by_test_id("seconds-2")).to_be_focused()
    expect(page.get_by_test_id("editor-mistakes")).to_contain_text("2 fields are not right")
    expect(page.get_by_test_id("field-problem")).to_contain_text(
        [words("from 0.1 to 7200 in the field seconds of step 2"), words("is not closed in")]
    )
    at_both_sizes(page, "study-editor")
    page.get_by_test_id("seconds-2").fill("0,5")
    page.get_by_test_id("hed-2").fill("Rest")
    expect(page.get_by_test_id("field-problem")).to_have_count(0)
    page.get_by_test_id("open-preview").click()
    page.get_by_test_id("go-on").click()  # the next step ends by itself
    expect(page.get_by_test_id("headline")).to_have_text("A last word")
    at_both_sizes(page, "study-preview")
    page.get_by_test_id("close-preview").click()
    expect(page.get_by_test_id("open-preview")).to_be_focused()
    page.get_by_test_id("save-study").dblclick()  # it is saved once
    expect(page.get_by_test_id("study-done")).to_have_text("mine.toml was saved.")
    expect(page.locator("#study-title")).to_be_focused()
    expect(page.get_by_test_id("editor-problem")).to_have_count(0)
    made = tomllib.loads((folder / "mine.toml").read_text(encoding="utf-8"))
    assert (made["title"], len(made["step"]), made["step"][1]["seconds"]) == ("Mine <b>", 4, 0.5)

    # Two people change it: the second one is told, and saves a copy.
    page.get_by_test_id("edit-mine").click()
    page.get_by_test_id("text-3").fill("Mine, changed")
    opened = {"source": "simulate://", "model": "none", "id": "other"}
    service.http.post("/v1/sessions", json=opened).raise_for_status()
    expect(page.get_by_test_id("session-other")).to_be_visible()
    service.http.delete("/v1/sessions/other").raise_for_status()
    expect(page.get_by_test_id("session-other")).to_have_count(0)
    expect(page.get_by_test_id("text-3")).to_be_focused()  # sessions come and go around it
    changed = {**made, "title": "Of somebody else"}
    service.http.put("/v1/studies/mine", json=changed, headers={"If-Match": "*"}).raise_for_status()
    page.get_by_test_id("save-study").click()
    expect(page.get_by_test_id("editor-problem")).to_contain_text("changed by somebody else")
    page.get_by_test_id("leave-editor").click()
    expect(page.get_by_test_id("keep-editing")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("leave-editor")).to_be_focused()
    page.get_by_test_id("study-name").fill("mine-too")
    page.get_by_test_id("save-study").click()
    expect(page.get_by_test_id("study-mine")).to_contain_text("Of somebody else")
    with page.expect_download() as started:
        page.get_by_test_id("download-mine-too").click()
    version = {"If-Match": "*"}
    page.get_by_test_id("delete-mine").click()
    expect(page.get_by_test_id("delete-cancel")).to_be_focused()
    service.http.put("/v1/studies/mine", json=made, headers=version).raise_for_status()
    page.get_by_test_id("delete-confirm").click()
    expect(page.get_by_test_id("list-problem")).to_contain_text("was changed meanwhile")
    expect(page.get_by_test_id("study-mine")).to_contain_text("Mine <b>")  # listed again
    page.get_by_test_id("delete-mine").click()
    page.get_by_test_id("delete-confirm").click()
    expect(page.get_by_test_id("study-mine")).to_have_count(0)
    saved = folder.parent / "sent.toml"
    started.value.save_as(saved)
    page.get_by_test_id("study-file").set_input_files(saved)
    expect(page.get_by_test_id("study-sent")).to_be_visible()
    assert (folder / "sent.toml").read_bytes() == (folder / "mine-too.toml").read_bytes()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/studies/*/file", hold)
    with page.expect_request("**/v1/studies/*/file"):
        page.get_by_test_id("study-file").set_input_files(saved)
    page.get_by_test_id("new-study").click()
    page.get_by_test_id("study-name-title").fill("Typed meanwhile")
    held[0].continue_()
    expect(page.get_by_test_id("study-done")).to_have_text("sent.toml was uploaded as sent-2.toml.")
    expect(page.get_by_test_id("study-name-title")).to_have_value("Typed meanwhile")
    page.unroute("**/v1/studies/*/file")
    page.get_by_test_id("leave-editor").click()
    page.get_by_test_id("discard").click()
    expect(page.locator("#study-title")).to_be_focused()
    page.get_by_test_id("study-file").set_input_files(
        {"name": "no (1).toml", "mimeType": "application/toml", "buffer": b"step = 1"}
    )
    expect(page.get_by_test_id("study-problem")).to_contain_text("no-1.toml")
    expect(page.get_by_test_id("study-done")).to_have_text("")
    page.get_by_test_id("new-study").click()
    page.get_by_test_id("leave-editor").click()  # nothing to lose, nothing to ask
    expect(page.get_by_test_id("study-problem")).to_have_count(0)


def test_a_study_is_made_and_run_by_keyboard_and_through_a_reload(
    page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "rest.toml").write_text(STUDY, encoding="utf-8")
    (folder / "wrong.toml").write_text("[[step]]\nsecs = 1\n", encoding="utf-8")
    with live(model="none", data_dir=tmp_path) as service:
        page.goto(service.url)
        page.get_by_test_id("to-study").click()
        expect(page.get_by_test_id("wrong-wrong")).to_contain_text(words("step 1 of wrong.toml"))
        expect(page.get_by_test_id("study-no-session")).to_be_visible()
        make_a_study(page, service, folder)
        expect(page.get_by_test_id("begin-rest")).to_have_count(0)
        opened = {"source": "simulate://", "model": "none"}
        service.http.post("/v1/sessions", json=opened).raise_for_status()
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
