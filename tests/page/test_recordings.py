"""Recording, marking, uploading and replaying on the page, with a real service."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.replay.driver import MIN_SPEED
from tests.page.pictures import shots
from tests.service.live import live
from tests.service.muse_recordings import write_muse


def look(page: Page, name: str) -> None:
    """Take pictures of the whole page; nothing may overflow sideways."""
    page.evaluate("scrollTo(0, 0)")
    shots(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_folder_that_cannot_be_written_is_said(page: Page, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with live("simulate://", model="none", data_dir=tmp_path / "file" / "below") as service:
        page.goto(service.url)
        said = page.get_by_test_id("recording-problem")
        expect(said).to_contain_text("Cannot write a recording to")
        expect(said).to_contain_text("--data-dir")
        expect(page.get_by_test_id("record-start")).to_be_visible()  # everything else works


def test_a_session_is_recorded_marked_listed_and_deleted(page: Page, tmp_path: Path) -> None:
    with live("simulate://?seed=2", data_dir=tmp_path) as service:
        page.goto(service.url)
        expect(page.get_by_test_id("probability-valence-high")).to_contain_text("%")
        page.get_by_test_id("record-name").fill("day 1")  # the digit sets no marker
        page.get_by_test_id("record-start").click()
        expect(page.get_by_test_id("recorder-problem")).to_contain_text("name")
        page.get_by_test_id("record-name").fill("day1")
        page.get_by_test_id("record-start").click()
        expect(page.get_by_test_id("recorder-state")).to_contain_text("Recording day1")
        expect(page.get_by_test_id("recorder-time")).to_have_text(re.compile("0:(0[2-9]|[1-5])"))
        expect(page).to_have_title(re.compile("^Connected, recording . simulate-1 . mimamba$"))
        expect(page.get_by_test_id("contact-TP9")).to_have_text("good")
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.get_by_test_id("bar-stop")).to_be_in_viewport()
        expect(page.get_by_test_id("bar-stop")).to_contain_text("Stop 0:")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.get_by_test_id("edit-labels").click()
        page.get_by_test_id("label-3").fill("eyes open 3")
        page.get_by_test_id("edit-labels").click()
        page.locator("h1").click()
        recent = page.get_by_test_id("recent-markers").locator("li").filter(has_text="(by hand)")
        page.keyboard.press("3")
        expect(recent).to_have_count(1)  # else the second one may overtake it
        page.get_by_test_id("mark-1").click()
        expect(recent).to_have_count(2)
        expect(recent.nth(0)).to_contain_text("Mark 1")
        expect(recent.nth(1)).to_contain_text("eyes open 3")
        page.keyboard.press("Control+3")
        look(page, "recording")
        page.reload()  # the recording and the labels are found again
        expect(page.get_by_test_id("recorder-state")).to_contain_text("Recording day1")
        expect(page.get_by_test_id("mark-3")).to_contain_text("eyes open 3")
        page.get_by_test_id("record-stop").click()
        expect(page.get_by_test_id("recorder-state")).to_contain_text("Recording day1 stopped")

        page.get_by_test_id("to-recordings").click()
        item = page.get_by_test_id("recording-day1")
        expect(item).to_contain_text("complete")
        with page.expect_download() as download:
            item.get_by_test_id("download").click()
        assert download.value.suggested_filename == "day1.xdf"
        recorded = read_recording(download.value.path())
        labels = [each.label for each in recorded.markers]
        # The simulator's own come when they do.
        ours = [label for label in labels if not label.startswith("valence=")]
        assert ours == ["eyes open 3", "Mark 1"]
        item.get_by_test_id("format").select_option("csv")
        with page.expect_download() as download:
            item.get_by_test_id("export").click()
        assert download.value.suggested_filename == "day1.csv"
        assert read_recording(download.value.path()).n_times == recorded.n_times
        expect(item.get_by_test_id("recording-problem")).to_have_count(0)
        look(page, "recordings")

        item.get_by_test_id("replay").click()
        expect(page.get_by_test_id("timeline-source")).to_contain_text("Recorded predictions")
        expect(page.get_by_test_id("to-marker")).to_contain_text("eyes open 3")
        (played,) = (n for n in service.sessions() if n != "simulate-1")
        assert played == "day1"  # its tab bears the recording's name
        replay = f"/v1/sessions/{played}/replay"
        # At its end the replay would pause by itself.
        service.http.post(replay, json={"position": 0, "speed": MIN_SPEED, "paused": False})
        expect(page.get_by_test_id("speed")).to_have_value(str(MIN_SPEED))
        expect(page.get_by_test_id("play")).to_contain_text("Pause")
        page.get_by_test_id("play").click()
        expect(page.get_by_test_id("link-state")).to_have_text("Paused")
        seek(page, 0.5)
        state = service.http.get(replay).json()

        def is_at(position: float, within: float = 0.0) -> bool:
            now = float(service.http.get(replay).json()["position"])
            return abs(now - position) <= within

        service.until(lambda: is_at(state["length"] / 2, 0.02 * state["length"]))
        page.get_by_test_id("to-marker").select_option(index=1)
        service.until(lambda: is_at(state["markers"][0]["position"]))
        look(page, "timeline")
        service.http.delete(f"/v1/sessions/{played}")

        page.get_by_test_id("to-recordings").click()
        item.get_by_test_id("delete").click()
        item.get_by_test_id("delete-confirm").click()
        expect(item).to_have_count(0)
        expect(page.get_by_test_id("no-recordings")).to_be_visible()
    assert not list(tmp_path.glob("day1*"))


def seek(page: Page, share: float) -> None:
    """Click on the timeline, at a share of its width."""
    timeline = page.locator("[data-testid=timeline-plot] .u-over")
    box = timeline.bounding_box()
    assert box is not None
    # Relative to the element: a warning above it may come or go meanwhile.
    timeline.click(position={"x": share * box["width"], "y": box["height"] / 2})


def test_a_file_is_uploaded_and_replayed_and_a_bad_one_is_rejected(
    page: Page, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_muse(tmp_path / "muse.csv", seconds=20)
    (tmp_path / "letter.csv").write_text("Dear Sir,\nno signal here\n")
    (tmp_path / "long.csv").write_bytes(b"0" * (1 << 21))
    with live("simulate://", data_dir=data, upload_mib=1) as service:
        page.goto(service.url)
        page.get_by_test_id("to-recordings").click()
        problem = page.get_by_test_id("upload-problem")
        page.get_by_test_id("upload-file").set_input_files(tmp_path / "letter.csv")
        page.get_by_test_id("upload-send").click()
        expect(problem).to_contain_text("text of no known format in letter.csv")
        look(page, "upload-refused")
        page.get_by_test_id("upload-file").set_input_files(tmp_path / "long.csv")
        page.get_by_test_id("upload-send").click()
        expect(problem).to_contain_text("at most 1 MiB")
        page.get_by_test_id("upload-file").set_input_files(tmp_path / "muse.csv")
        page.get_by_test_id("upload-send").click()
        expect(page.get_by_test_id("upload-done")).to_contain_text("muse")
        expect(problem).to_have_count(0)
        item = page.get_by_test_id("recording-muse")
        expect(item).to_contain_text("0:20")
        item.get_by_test_id("replay").click()
        expect(page.get_by_test_id("timeline-source")).to_contain_text("Predictions of this replay")
        expect(page.get_by_test_id("probability-valence-high")).to_contain_text("%")
        page.get_by_test_id("speed").select_option("4")
        rate = page.get_by_test_id("rate")
        expect(rate).to_contain_text("played at 4 times that")
        expect(rate).not_to_contain_text("off")
        expect(page.get_by_test_id("time")).to_have_text("0:20 / 0:20")
        expect(page.get_by_test_id("play")).to_have_text(re.compile("Play"))
        look(page, "timeline-so-far")
