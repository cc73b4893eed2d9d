"""People on the page, and the notice that a wearer sees before outputs about emotion."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.conftest import acknowledge
from tests.page.pictures import SIZES, shots
from tests.service.live import live

NARROW = 320
"""Width of the narrowest phones, pixels."""


def look(page: Page, name: str) -> None:
    """Look at a view on a desktop and on a phone; nothing may scroll sideways."""
    shots(page, name)
    for width, height in reversed(SIZES.values()):
        page.set_viewport_size({"width": NARROW, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.set_viewport_size({"width": width, "height": height})
        assert violations(page, colours=width > height) == []  # they are the same on both


def test_a_wearer_reads_a_notice_before_emotion_is_shown(page: Page, tmp_path: Path) -> None:
    with live("simulate://?seed=2", data_dir=tmp_path) as service:
        page.goto(service.url)
        page.evaluate("localStorage.setItem('mimamba.notices', '[]')")
        page.reload()
        notice, mark = page.get_by_test_id("emotion-notice"), page.get_by_test_id("emotion-mark")
        probability = page.get_by_test_id("probability-valence-high")
        expect(notice).to_contain_text("valence (low or high), arousal (low or high)")
        expect(notice).to_contain_text("kept in this browser")
        expect(page.get_by_test_id("status")).to_contain_text("Up to date")
        expect(probability).to_have_count(0)
        look(page, "emotion-notice")
        acknowledge(page)
        expect(probability).to_contain_text("%")
        page.reload()
        expect(mark).to_contain_text("Infers emotion: valence, arousal")
        expect(notice).to_have_count(0)
        mark.locator("summary").click()
        look(page, "emotion-mark")

        service.http.post(
            "/v1/sessions", json={"source": "simulate://?seed=3", "person": "P01", "model": "demo"}
        ).raise_for_status()
        page.goto(f"{service.url}#simulate-2")  # another person is another wearer
        expect(notice).to_contain_text("kept with P01")
        acknowledge(page)
        page.evaluate("localStorage.clear()")
        page.reload()
        expect(probability).to_contain_text("%")
        page.get_by_test_id("to-people").click()
        expect(page.get_by_test_id("person-P01")).to_contain_text("(valence, arousal)")


def test_a_person_is_described_exported_and_deleted(page: Page, tmp_path: Path) -> None:
    with live("simulate://", model="none", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        begun = service.http.post(
            "/v1/recordings", json={"session": "simulate-1", "name": "day1", "person": "P01"}
        )
        assert begun.status_code == 201
        # One that is stopped at once may hold no sample, and there is no BIDS of nothing.
        least = begun.json()["bytes"] + 2000
        service.until(lambda: service.http.get("/v1/recordings/day1").json()["bytes"] > least)
        service.http.post("/v1/recordings/day1/stop").raise_for_status()
        page.goto(service.url)
        page.get_by_test_id("to-people").click()
        page.get_by_test_id("new-person").fill("P02")
        page.get_by_test_id("add-person").click()
        expect(page.get_by_test_id("person-P02")).to_contain_text("not noted")
        item = page.get_by_test_id("person-P01")
        item.get_by_test_id("edit-person").click()
        item.get_by_test_id("person-age").fill("34")
        item.get_by_test_id("person-sex").select_option("female")
        item.get_by_test_id("person-consent").select_option("yes")
        item.get_by_test_id("consent-date").fill("2026-03-02")
        item.get_by_test_id("consent-version").fill("2.1")
        item.get_by_test_id("person-notes").fill("left-handed\nshort hair")
        look(page, "person-form")
        item.get_by_test_id("save-person").click()
        expect(item).to_contain_text("yes, 2026-03-02, text 2.1")
        look(page, "people")
        with page.expect_download() as download:
            item.get_by_test_id("export-person").click()
        assert download.value.suggested_filename == "P01.zip"
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "P01/recordings/day1.xdf" in archive.namelist()
            noted = json.loads(archive.read("P01/person.json"))
        assert (noted["age"], noted["notes"]) == (34, "left-handed\nshort hair")
        page.get_by_test_id("to-recordings").click()
        recorded = page.get_by_test_id("recording-day1")
        recorded.get_by_test_id("format").select_option("bids")
        recorded.get_by_test_id("bids-task").fill("rest")
        recorded.get_by_test_id("bids-mains").select_option("50")
        look(page, "bids")
        with page.expect_download() as download:
            recorded.get_by_test_id("export").click()
        assert download.value.suggested_filename == "day1-bids.zip"
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "day1/sub-P01/eeg/sub-P01_task-rest_eeg.json" in archive.namelist()
            assert b"\t34\tF" in archive.read("day1/participants.tsv")
        page.get_by_test_id("to-people").click()
        item.get_by_test_id("delete-person").click()
        expect(item).to_contain_text("1 recording, permanently?")
        item.get_by_test_id("delete-confirm").click()
        expect(item).to_have_count(0)
        expect(page.get_by_test_id("person-P02")).to_be_visible()
        assert not list(tmp_path.rglob("day1*"))
