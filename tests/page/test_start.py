"""Starting, changing and closing sessions on the page, with a real service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from mimamba.drivers.replay.driver import MIN_SPEED
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.discovery.test_bluetooth_scan import GANGLION, LATE, MUSE, OTHERS
from tests.page.axe import violations
from tests.page.conftest import POLLING_MS, acknowledge
from tests.page.pictures import shots
from tests.page.test_now import words
from tests.service.live import live
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse

BASELINE = 10.0
"""Length of the shortest baseline, seconds."""


WATCH = """id => {
  const look = () => { window.seen ||= document.querySelector(`[data-testid="${id}"]`) !== null; };
  window.seen = false;
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();
}"""


@contextmanager
def seen(page: Page, testid: str) -> Iterator[None]:
    """Wait until the page has shown the element of this test id, now or meanwhile.

    It may show for a moment only, too short for a busy machine to look.
    """
    page.evaluate(WATCH, testid)
    yield
    page.wait_for_function("() => window.seen", polling=POLLING_MS)


def to_start(page: Page, url: str) -> None:
    """Open the form for a new session, and wait until its choices are loaded."""
    page.goto(url)
    page.get_by_test_id("to-start").click()
    expect(page.get_by_test_id("scenario").locator("option")).not_to_have_count(0)
    expect(page.get_by_test_id("model").locator("option")).not_to_have_count(0)


def open_source(page: Page, url: str) -> None:
    page.get_by_test_id("kind-url").check()
    page.get_by_test_id("source-url").fill(url)
    page.get_by_test_id("open").click()


def test_a_session_is_started_changed_and_closed(page: Page, tmp_path: Path) -> None:
    with live(data_dir=tmp_path) as service:
        page.goto(service.url)
        page.get_by_test_id("no-session").get_by_role("button", name="New session").click()
        expect(page.get_by_test_id("model")).to_have_value("demo")
        accuracy = load_checkpoint("demo").scores["subject/valence/balanced_accuracy"]
        card = page.get_by_test_id("unseen-people-scores")
        expect(card).to_contain_text(f"valence: {round(100 * accuracy)} % (chance: 50 %)")
        page.get_by_test_id("scenario").select_option("simulate://?scenario=calm")
        page.get_by_test_id("person").fill("P01")
        expect(page.get_by_test_id("person-hint")).to_contain_text(words("P01 is new"))
        assert violations(page) == []
        shots(page, "start")
        page.get_by_test_id("open").click()
        acknowledge(page)
        expect(page.get_by_test_id("plane-point")).to_be_visible()
        expect(page.get_by_test_id("plane-spread")).to_be_visible()
        expect(page.get_by_test_id("notice")).to_contain_text(words("simulated"))
        expect(page.get_by_test_id("session-person")).to_have_text("P01")
        expect(page).to_have_url(re.compile("#simulate-1$"))
        opened = service.sessions()["simulate-1"]
        assert (opened["source"], opened["person"]) == ("simulate://?scenario=calm", "P01")
        assert violations(page) == []
        page.wait_for_function(
            "() => document.querySelectorAll('[data-testid=plane] .trail').length >= 5"
        )
        shots(page, "plane")

        page.get_by_test_id("change-model").click()
        expect(page.get_by_test_id("model").locator("option")).not_to_have_count(0)
        page.get_by_test_id("model").select_option("workload")
        with seen(page, "warming-up"):
            page.get_by_test_id("set-model").click()
        expect(page.get_by_test_id("session-model")).to_have_text("workload")
        expect(page.get_by_test_id("plane")).to_have_count(0)
        shots(page, "warming-up")
        page.get_by_test_id("model").select_option("")
        page.get_by_test_id("set-model").click()
        expect(page.get_by_test_id("session-model")).to_have_text("none")
        expect(page.get_by_test_id("status")).to_contain_text(words("shows the signal only"))

        page.get_by_test_id("close-session").click()
        page.get_by_test_id("confirm-close").click()
        expect(page.get_by_test_id("no-session")).to_be_visible()
        assert service.sessions() == {}


def test_sources_are_found(page: Page) -> None:
    adapter = Adapter(devices=[*OTHERS, GANGLION, LATE, MUSE])
    with bluez(adapter), live() as service:
        to_start(page, service.url)
        page.get_by_test_id("kind-scan").check()
        headsets = page.get_by_test_id("headset")
        for _ in range(4):  # on a busy machine a scan may be over before it has begun
            with seen(page, "scan-progress"):
                page.get_by_test_id("scan").click()
            expect(page.get_by_test_id("scan-found")).to_be_visible()
            expect(page.get_by_test_id("scan-progress")).to_have_count(0)
            if headsets.count() == 6:
                break
        expect(page.get_by_test_id("scan-found")).to_contain_text("3 headsets")
        expect(headsets).to_have_count(6)
        headsets.first.check()
        chosen = f"muse://?address={MUSE.address}"
        expect(page.get_by_test_id("scan-url")).to_have_text(chosen)
        assert violations(page) == []
        shots(page, "headsets")
        assert adapter.idle.wait(30)
        page.get_by_test_id("model-of-headset").select_option("OpenBCI Ganglion")
        page.get_by_test_id("way-dongle").check()
        assert violations(page) == []
        shots(page, "scan")
        page.get_by_test_id("open").click()
        problem = page.get_by_test_id("start-problem")
        expect(problem).to_contain_text("Fill in the serial port")
        page.get_by_test_id("kind-recording").check()
        page.get_by_test_id("upload-instead").click()
        expect(page.get_by_test_id("recordings")).to_be_visible()
        assert service.sessions() == {}


def test_electrodes_are_named_on_a_head_by_keyboard_and_touch(browser: Browser) -> None:
    context = browser.new_context(
        viewport={"width": 320, "height": 700}, has_touch=True, reduced_motion="reduce"
    )
    page = context.new_page()
    with live() as service:
        to_start(page, service.url)
        page.get_by_test_id("kind-scan").check()
        page.get_by_test_id("model-of-headset").select_option("OpenBCI Ganglion")
        page.get_by_test_id("place-Fp1").tap()
        page.get_by_test_id("place-Fp2").tap()
        url = page.get_by_test_id("scan-url")
        expect(url).to_have_text("brainflow://ganglion_native?channels=1,2&names=Fp1,Fp2")
        for name in ("T7", "T8"):
            page.get_by_test_id(f"place-{name}").focus()
            page.keyboard.press("Space")
        expect(url).to_have_text("brainflow://ganglion_native?names=Fp1,Fp2,T7,T8")
        expect(page.get_by_test_id("place-T8")).to_have_attribute("aria-pressed", "true")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
        assert violations(page) == []
        page.get_by_test_id("open").click()
        expect(page.get_by_test_id("start-problem")).to_contain_text("OpenBCI Ganglion")
        page.get_by_test_id("model-of-headset").select_option("Callibri Callibri EEG")
        expect(page.get_by_test_id("model-problem")).to_contain_text("does not support it")
    context.close()


def test_the_error_of_a_source_is_shown(page: Page) -> None:
    with live() as service:
        to_start(page, service.url)
        problem = page.get_by_test_id("start-problem")
        page.get_by_test_id("kind-url").check()
        page.get_by_test_id("open").click()
        expect(problem).to_have_text("Choose a source first.")
        open_source(page, "telepathy://me")
        expect(problem).to_contain_text("telepathy://me")
        open_source(page, "simulate://?scenario=bliss")
        expect(problem).to_contain_text("scenario=bliss")
        assert violations(page) == []
        shots(page, "refused")
        page.get_by_test_id("kind-recording").check()
        page.get_by_test_id("recording").fill("../secret.xdf")
        page.get_by_test_id("open").click()
        expect(problem).to_contain_text("../secret.xdf")
        open_source(page, "simulate://")
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
        page.get_by_test_id("to-start").click()
        page.get_by_role("navigation", name="Sessions").get_by_role("link").click()
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")


def test_a_baseline_is_taken_and_saved(page: Page, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    random_checkpoint(tmp_path / "models", "aligned", BASELINE)
    source = f"replay://{write_muse(tmp_path / 'muse.csv', seconds=90)}?loop=1"
    with live(f"{source}&speed={MIN_SPEED}", data_dir=tmp_path, model="aligned") as service:

        def play(speed: float) -> None:
            """Change the speed: the baseline is measured in the time of the recording."""
            service.http.post("/v1/sessions/replay-1/replay", json={"speed": speed})

        page.goto(service.url)
        expect(page.get_by_test_id("baseline-left")).to_contain_text("s left")
        play(1)
        expect(page.get_by_test_id("status")).to_contain_text(words("taking a baseline"))
        play(MIN_SPEED)
        expect(page.get_by_test_id("plane-point")).to_have_count(0)
        expect(page.get_by_test_id("baseline-person")).to_contain_text(words("not saved"))
        page.get_by_test_id("person").fill("P02")
        page.get_by_test_id("take-baseline").click()
        expect(page.get_by_test_id("baseline-person")).to_contain_text("saved for P02")
        assert violations(page) == []
        shots(page, "baseline")
        play(8)
        expect(page.get_by_test_id("baseline-event")).to_contain_text(
            "10 s of rest are recorded and stored"
        )
        play(1)
        expect(page.get_by_test_id("baseline-used")).to_contain_text(words("10 s baseline of P02"))
        acknowledge(page)
        expect(page.get_by_test_id("plane-point")).to_be_visible()
        kept = service.http.get("/v1/people/P02").json()["baselines"]
        assert [each["seconds"] for each in kept] == [BASELINE]
        play(MIN_SPEED)
        page.get_by_test_id("take-baseline").click()
        expect(page.get_by_test_id("baseline-left")).to_be_visible()
        page.get_by_test_id("baseline").scroll_into_view_if_needed()
        assert violations(page) == []
        shots(page, "baseline anew")
        page.get_by_test_id("cancel-baseline").click()
        expect(page.get_by_test_id("baseline-event")).to_contain_text(
            "The new baseline is discarded"
        )
        expect(page.get_by_test_id("baseline-used")).to_contain_text(words("10 s baseline of P02"))
        page.get_by_test_id("take-baseline").click()
        expect(page.get_by_test_id("baseline-left")).to_be_visible()
        page.get_by_test_id("use-baseline").click()
        expect(page.get_by_test_id("baseline-event")).to_contain_text("10 s of rest, taken 20")


def test_a_poor_electrode_is_named_instead_of_a_prediction(page: Page) -> None:
    with live("simulate://?scenario=poor&seed=1") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("plane-point")).to_be_visible()
        poor = re.compile(r"Poor signal\. .*(TP9|AF7|AF8|TP10): ")
        expect(page.get_by_test_id("status")).to_contain_text(poor)
        expect(page.get_by_test_id("plane-why")).to_have_text("Poor signal")
        expect(page.get_by_test_id("plane-point")).to_have_count(0)
        shots(page, "poor")
