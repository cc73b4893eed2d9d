"""Recording, marking, uploading and replaying on the page, with a real service."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.replay.driver import MIN_SPEED
from tests.page.axe import violations
from tests.page.pictures import shots
from tests.service.live import live
from tests.service.muse_recordings import write_muse

TITLE, NAME = "Day 1, müde <b>", "Day-1-mude-b"


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
        page.get_by_test_id("record-name").fill(TITLE)  # the digit sets no marker
        page.get_by_test_id("record-start").click()
        expect(page.get_by_test_id("recorder-state")).to_contain_text(f"Recording {TITLE}")
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
        expect(page.get_by_test_id("recorder-state")).to_contain_text(f"Recording {TITLE}")
        expect(page.get_by_test_id("mark-3")).to_contain_text("eyes open 3")
        page.get_by_test_id("record-stop").click()
        expect(page.get_by_test_id("recorder-state")).to_contain_text(f"{TITLE} stopped")

        page.get_by_test_id("to-recordings").click()
        item = page.get_by_test_id(f"recording-{NAME}")
        expect(item).to_contain_text(TITLE)
        expect(item).to_contain_text("complete")
        with page.expect_download() as download:
            item.get_by_test_id("download").click()
        assert download.value.suggested_filename == f"{NAME}.xdf"
        recorded = read_recording(download.value.path())
        labels = [each.label for each in recorded.markers]
        # The simulator's own come when they do.
        ours = [label for label in labels if not label.startswith("valence=")]
        assert ours == ["eyes open 3", "Mark 1"]
        item.get_by_test_id("format").select_option("csv")
        with page.expect_download() as download:
            item.get_by_test_id("export").click()
        assert download.value.suggested_filename == f"{NAME}.csv"
        assert read_recording(download.value.path()).n_times == recorded.n_times
        expect(item.get_by_test_id("recording-problem")).to_have_count(0)
        edit_recording(page, item)

        item.get_by_test_id("replay").click()
        expect(page.get_by_test_id("timeline-source")).to_contain_text("Recorded predictions")
        expect(page.get_by_test_id("to-marker")).to_contain_text("eyes open 3")
        (played,) = (n for n in service.sessions() if n != "simulate-1")
        assert played == NAME
        expect(page.get_by_test_id(f"session-{NAME}")).to_contain_text(TITLE)
        expect(page.get_by_test_id("to-marker")).to_contain_text("Mark one")
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
    assert not list(tmp_path.glob("Day*"))


def edit_recording(page: Page, item: Locator) -> None:
    """Edit the notes and a marker of a listed recording."""
    item.get_by_test_id("edit-recording").click()
    item.get_by_test_id("recording-notes").fill("tired\nloud outside")
    item.get_by_test_id("save-recording").click()
    expect(item).to_contain_text(re.compile("Notes\\s*tired\\s*loud outside"))
    item.get_by_test_id("markers-of").click()
    row = item.get_by_test_id("marker-editor").locator("li").filter(has_text="Mark 1")
    marker = (row.get_attribute("data-testid") or "").removeprefix("marker-")
    row.get_by_role("button", name="Edit Mark 1").click()
    item.get_by_test_id(f"label-{marker}").fill("Mark one")
    item.get_by_test_id(f"save-{marker}").click()
    expect(item.get_by_test_id(f"marker-{marker}")).to_contain_text(re.compile("changed.*Mark 1"))
    item.get_by_test_id(f"edit-{marker}").click()
    item.get_by_test_id("edit-recording").click()
    for width, height in ((390, 844), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        assert violations(page, colours=width > height) == []  # they are the same on both
    look(page, "recordings-editing")
    page.set_viewport_size({"width": 1280, "height": 800})
    item.get_by_role("button", name="Cancel").first.click()
    look(page, "recordings")


def drop(page: Page, name: str, content: str) -> None:
    """Drop a file on the page."""
    make = """([name, content]) => {
      const dropped = new DataTransfer();
      dropped.items.add(new File([content], name));
      return dropped;
    }"""
    dropped = page.evaluate_handle(make, [name, content])
    page.dispatch_event("main", "drop", {"dataTransfer": dropped})


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
    files = [tmp_path / name for name in ("letter.csv", "long.csv", "muse.csv")]
    with live("simulate://", data_dir=data, upload_mib=1) as service:
        page.goto(service.url)
        page.get_by_test_id("to-recordings").click()
        page.get_by_test_id("upload-file").set_input_files(files)
        page.get_by_test_id("upload-send").click()
        uploads = page.get_by_test_id("upload-item")
        expect(uploads.nth(0)).to_contain_text("text of no known format in letter.csv")
        expect(uploads.nth(1)).to_contain_text("at most 1 MiB")
        expect(uploads.nth(2).get_by_test_id("upload-done")).to_contain_text("muse")
        assert violations(page) == []
        look(page, "upload-refused")
        drop(page, "Müde 2.csv", (tmp_path / "muse.csv").read_text())
        expect(page.get_by_test_id("upload-done")).to_contain_text("Saved as recording Müde 2.")
        expect(uploads).to_have_count(1)  # the others were done
        expect(page.get_by_test_id("recording-Mude-2")).to_contain_text("Müde 2")
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
