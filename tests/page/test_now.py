"""Sessions on the page, in a real Chromium, with a real service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from mimamba.drivers.replay.driver import MIN_SPEED
from tests.page.axe import violations
from tests.page.conftest import POLLING_MS, move
from tests.page.pictures import SIZES, shots
from tests.page.test_people import look
from tests.service.auth.test_tokens import BEYOND
from tests.service.live import Live, bearer, live
from tests.service.muse_recordings import write_muse


def words(text: str) -> re.Pattern[str]:
    """Match the text in any case."""
    return re.compile(text, re.IGNORECASE)


def picture(page: Page) -> bytes:
    """Return the traces as they are drawn now."""
    return page.get_by_test_id("trace").first.screenshot()


def test_traces_move_and_predictions_change(page: Page) -> None:
    move(page)
    with live("simulate://?seed=2") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("connection")).to_contain_text(words("connected"))
        expect(page.get_by_test_id("session-simulate-1")).to_be_visible()
        expect(page.get_by_test_id("notice")).to_contain_text(words("simulated"))
        expect(page.get_by_text(words("not a medical device")).first).to_be_visible()
        probability = page.get_by_test_id("probability-valence-high")
        expect(probability).to_contain_text("%")
        expect(page.get_by_test_id("quality-TP9")).to_contain_text("%, good")
        before, index = probability.inner_text(), page.get_by_test_id("latest-index").inner_text()
        drawn = picture(page)
        expect(page.get_by_test_id("latest-index")).not_to_have_text(index)
        expect(probability).not_to_have_text(before)
        service.until(lambda: picture(page) != drawn)
        page.get_by_test_id("history-span").select_option("3600")
        expect(page.get_by_text("over the last hour")).to_have_count(2)
        page.get_by_test_id("page-full-screen").click()
        expect(page.get_by_test_id("page-full-screen")).to_have_text("Leave full screen")
        page.get_by_test_id("page-full-screen").click()
        expect(page.get_by_test_id("page-full-screen")).to_have_text("Full screen")
        page.set_viewport_size({"width": 1920, "height": 1080})  # as on a big screen
        expect(page.get_by_test_id("record-start")).to_be_in_viewport()


def test_an_abstention_shows_no_probability_and_a_weak_link_is_named(
    page: Page, tmp_path: Path
) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=2.2)  # too little to be warm
    with live(f"replay://{path}?speed={MIN_SPEED}&loop=1", "simulate://?loss=3,0.3") as service:
        service.opened("replay-1", "simulate-2")
        page.goto(f"{service.url}#replay-1")
        status = page.get_by_test_id("status")
        expect(status).to_contain_text(words("warming up"))
        expect(page.get_by_test_id("probability-valence-high")).not_to_contain_text("%")
        page.get_by_test_id("session-simulate-2").click()
        expect(status).to_contain_text(re.compile(r"Started again \d\.\d s ago: 0\.3 s lost"))
        expect(status).to_contain_text("times in the last minute")


def test_what_else_a_headset_measures_is_shown(page: Page) -> None:
    with live(model="none") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("connection")).to_contain_text(words("connected"))
        # A page that comes later might miss the first seconds.
        opened = {"source": "simulate://?sensors=1", "model": "none"}
        service.http.post("/v1/sessions", json=opened).raise_for_status()
        expect(page.get_by_test_id("heart")).to_contain_text("too little signal")
        expect(page.get_by_test_id("battery")).to_have_text("85 %")
        expect(page.get_by_test_id("heart")).to_have_text(
            re.compile(r"^\d\d per minute, \d\d % sure$")
        )
        expect(page.get_by_test_id("motion")).to_have_text("The head moved.")
        assert violations(page) == []


def test_the_page_outlives_the_service(page: Page, port: int) -> None:
    with live("simulate://", port=port) as first:
        page.goto(first.url)
        expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
    expect(page.get_by_test_id("connection")).not_to_have_text(words("^connected"))
    with live("simulate://", port=port):
        expect(page.get_by_test_id("connection")).to_contain_text(words("connected"))
        expect(page.get_by_test_id("probability-arousal-low")).to_contain_text("%")


def test_several_sessions_can_be_chosen(page: Page) -> None:
    with live("simulate://?seed=1", "simulate://?seed=2&channels=1,2") as service:
        service.opened("simulate-1", "simulate-2")
        page.goto(service.url)
        for name in ("simulate-1", "simulate-2"):
            page.get_by_test_id(f"session-{name}").click()
            expect(page.get_by_test_id("latest-index")).not_to_have_text("none")
            expect(page).to_have_url(re.compile(f"#{name}$"))
        expect(page.get_by_text(words("shows the signal only")).first).to_be_visible()


@contextmanager
def reloaded(page: Page) -> Iterator[None]:
    """Change a replay, then wait until the page has loaded its new state."""
    with page.expect_response(
        lambda response: response.url.endswith("/replay") and response.request.method == "GET"
    ):
        yield


def test_a_recording_is_paused_moved_and_sped_up(page: Page, tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=90)
    with live(f"replay://{path}?hold=1", "simulate://", model="none") as service:
        service.opened("replay-1", "simulate-2")
        page.goto(f"{service.url}#replay-1")
        index = page.get_by_test_id("latest-index")
        expect(index).not_to_have_text("none")
        with reloaded(page):
            page.get_by_test_id("play").click()
        expect(page.get_by_test_id("play")).to_have_text(words("play"))
        expect(page.get_by_test_id("link-state")).to_have_text("Paused")
        page.get_by_test_id("position").focus()
        with reloaded(page):
            page.keyboard.press("End")
        expect(page.get_by_test_id("time")).to_have_text("1:30 / 1:30")
        with reloaded(page):
            page.keyboard.press("Home")
        expect(page.get_by_test_id("time")).to_have_text("0:00 / 1:30")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_test_id("time")).to_have_text("0:01 / 1:30")
        page.get_by_test_id("loop").check()
        page.get_by_test_id("speed").select_option("4")
        page.get_by_test_id("position").fill("60")
        page.get_by_test_id("play").click()
        page.wait_for_function(
            "i => Number(document.querySelector('[data-testid=latest-index]').textContent) > i",
            arg=15700,
            polling=POLLING_MS,
        )
        wanted = {"speed": 4.0, "loop": True, "paused": False}
        service.until(
            lambda: (
                wanted.items() <= service.http.get("/v1/sessions/replay-1/replay").json().items()
            )
        )
        page.get_by_test_id("session-simulate-2").click()
        expect(page.get_by_test_id("playback")).to_have_count(0)


def test_nothing_is_shown_without_a_login(page: Page, browser: Browser, port: int) -> None:
    tokens: dict[str, Any] = {
        "token": "a-token-that-controls",
        "view_token": "a-token-that-only-views",
    }
    login, problem = page.get_by_test_id("login"), page.get_by_test_id("login-problem")
    index = page.get_by_test_id("latest-index")

    def log_in(token: str) -> None:
        page.get_by_test_id("token").fill(token)
        page.get_by_test_id("log-in").click()

    with live("simulate://", model="none", port=port, **tokens) as service:
        page.goto(service.url)
        expect(login).to_be_visible()
        expect(problem).to_have_count(0)
        expect(index).to_have_count(0)
        shots(page, "login")
        log_in("a-token-that-is-wrong")
        expect(problem).to_contain_text(words("Token not accepted."))
        log_in(tokens["view_token"])
        expect(index).not_to_have_text("none")
        expect(login).to_have_count(0)
        expect(page.get_by_test_id("session-controls")).to_have_count(0)
        page.get_by_test_id("to-start").click()  # it starts no session
        expect(page.get_by_test_id("view-only")).to_be_visible()
        page.get_by_role("navigation", name="Sessions").get_by_role("link").click()
        page.reload()  # the cookie is enough
        expect(index).not_to_have_text("none")
        page.get_by_test_id("log-out").click()
        expect(login).to_be_visible()
        expect(index).to_have_count(0)
        log_in(tokens["token"])
        expect(index).not_to_have_text("none")
        page.get_by_test_id("to-access").click()
        expect(page.get_by_test_id("phone-problem")).to_contain_text("serve --host 0.0.0.0")
        page.get_by_test_id("end-watching").click()  # there without a link, too
        expect(page.get_by_test_id("phone-over")).to_be_visible()
    tokens |= {**BEYOND, "allowed_host": ["eeg.example"]}
    with live("simulate://", model="none", port=port, **tokens) as service:
        expect(problem).to_contain_text(words("login has ended"))  # with the service
        expect(index).to_have_count(0)
        log_in(tokens["token"])
        expect(page.get_by_test_id("phone-qr")).to_be_visible()
        expect(page.get_by_test_id("phone-left")).to_have_text(re.compile(r"^[12]:\d\d$"))
        base, code = page.get_by_test_id("phone-url").inner_text().split("#watch=")
        assert base == f"http://eeg.example:{port}/"
        watch_with(browser, service, code)
        page.get_by_test_id("token-name").fill("stimulus-pc")
        page.get_by_test_id("issue-token").click()
        token = page.get_by_test_id("made-token").inner_text()
        viewing = service.http.get("/v1/sessions", headers=bearer(token))
        assert viewing.status_code == 200
        row = page.get_by_test_id("token-stimulus-pc")
        expect(row).to_contain_text(re.compile(r"view, until\s+20\d\d-\d\d-\d\d"))
        look(page, "access")
        row.get_by_test_id("revoke-token").click()
        row.get_by_test_id("revoke-confirm").click()
        expect(page.get_by_test_id("no-tokens")).to_be_visible()
        assert service.http.get("/v1/sessions", headers=bearer(token)).status_code == 401


def watch_with(browser: Browser, service: Live, code: str) -> None:
    """Watch on another device with a one-time code, and try it on a third one."""
    phone, late = (browser.new_page(reduced_motion="reduce") for _ in range(2))
    phone.goto(f"{service.url}/#watch={code}")
    expect(phone.get_by_test_id("latest-index")).not_to_have_text("none")
    assert "watch" not in phone.url
    expect(phone.get_by_test_id("to-access")).to_have_count(0)
    late.goto(f"{service.url}/#watch={code}")
    expect(late.get_by_test_id("login-problem")).to_contain_text("Each works once")
    expect(late.get_by_test_id("latest-index")).to_have_count(0)
    service.http.delete("/v1/watch-codes")
    expect(phone.get_by_test_id("login-problem")).to_contain_text("login has ended")
    for each in (phone, late):
        each.context.close()


def test_a_phone_does_not_scroll_sideways(page: Page) -> None:
    with live("simulate://?seed=2") as service:
        page.goto(service.url)
        expect(page.get_by_test_id("probability-valence-high")).to_contain_text("%")
        shots(page, "ok")
        width, height = SIZES["phone"]
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(  # once the plots have the new size
            "([width]) => window.innerWidth === width"
            " && document.documentElement.scrollWidth <= width",
            arg=[width],
            polling=POLLING_MS,
        )
        menu = page.get_by_role("navigation", name="Views").bounding_box()
        assert menu is not None
        header = page.get_by_role("banner").bounding_box()
        assert header is not None
        assert (header["height"] < 40, menu["height"] < 100) == (True, True)  # one line and two
        assert violations(page) == []  # the bar with the electrodes lies over the page here alone


def test_a_stalled_viewer_does_not_stop_another(browser: Browser) -> None:
    """A frozen tab continues when it wakes up."""
    with live("simulate://", model="none") as service:
        frozen, lively = (browser.new_page(reduced_motion="reduce") for _ in range(2))
        for each in (frozen, lively):
            each.goto(service.url)
            expect(each.get_by_test_id("latest-index")).not_to_have_text("none")
        frozen.evaluate("const end = Date.now() + 4000; while (Date.now() < end) {}")
        expect(frozen.get_by_test_id("connection")).to_contain_text(words("connected"))
        index = int(lively.get_by_test_id("latest-index").inner_text())
        frozen.wait_for_function(
            "i => Number(document.querySelector('[data-testid=latest-index]').textContent) > i",
            arg=index,
            polling=POLLING_MS,
        )
        for each in (frozen, lively):
            each.close()
