"""The view for frames and OBS, in a real Chromium: for those who may see it, and nobody else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Browser, Page, expect

from tests.page.axe import violations
from tests.page.pictures import shots
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import live

EMBED = "/embed/simulate-1?show=session,state,share,reason,quality&output=valence"
LOCKED = "A token is required \N{EN DASH} mimamba"
FETCH = """
async ([url, token]) => {
  const answer = await fetch(url, {headers: token ? {Authorization: `Bearer ${token}`} : {}});
  return [answer.status, JSON.stringify(await answer.json())];
}
"""


@contextmanager
def framing(source: list[str]) -> Iterator[str]:
    """A page of an origin of its own, which shows an address in a frame; the address of both."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = (
                '<!doctype html><title>A stream</title><link rel="icon" href="data:,">'
                '<body style="background: linear-gradient(90deg, teal, gold)">'
                f'<iframe src="{source[0]}" width="600" height="400"></iframe>'
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_state_is_embedded_where_it_may_be(page: Page, browser: Browser) -> None:
    source = [""]
    with (
        framing(source) as friend,
        framing(source) as stranger,
        live("simulate://?seed=2", token=CONTROL, view_token=VIEW, allowed_origin=[friend]) as made,
    ):
        source[0] = f"{made.url}{EMBED}#token={VIEW}"
        page.goto(friend)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_test_id("embed-share")).to_have_text(re.compile(r"^\d+ %$"))
        expect(frame.get_by_test_id("embed-state")).to_have_text(re.compile("low|high"))
        expect(frame.get_by_test_id("embed-session")).to_have_text("simulate-1")
        expect(frame.get_by_test_id("embed-quality")).to_have_text("Signal good")
        expect(frame.get_by_test_id("embed-notice")).to_contain_text("simulated")
        shots(page, "embed-framed")

        sessions = f"{made.url}/v1/sessions"
        status, text = page.evaluate(FETCH, [sessions, VIEW])
        assert (status, "simulate-1" in text) == (200, True)
        status, text = page.evaluate(FETCH, [sessions, ""])
        assert (status, "simulate-1" in text) == (401, False)

        other = browser.new_page()
        other.goto(stranger)
        expect(other.frame_locator("iframe").get_by_test_id("embed")).to_have_count(0)
        assert [each.url for each in other.frames][1].startswith("chrome-error:")
        other.close()


def test_a_stranger_sees_nothing_of_it(page: Page) -> None:
    with live("simulate://?seed=2", token=CONTROL, view_token=VIEW) as made:
        page.goto(f"{made.url}{EMBED}")
        expect(page).to_have_title(LOCKED)
        assert page.locator("body").inner_text().strip() == ""
        page.goto(f"{made.url}{EMBED}&look=light#token={'w' * 40}")
        expect(page).to_have_title(LOCKED)
        assert page.locator("body").inner_text().strip() == ""

        page.goto(f"{made.url}{EMBED}&look=dark#token={VIEW}")
        expect(page.get_by_test_id("embed-share")).to_have_text(re.compile(r"^\d+ %$"))
        ground = "getComputedStyle({0}).backgroundColor"
        for element in ("document.documentElement", "document.body"):
            assert page.evaluate(ground.format(element)) == "rgba(0, 0, 0, 0)"
        assert violations(page) == []
        page.set_viewport_size({"width": 320, "height": 600})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        shots(page, "embed")
        page.goto(f"{made.url}{EMBED}&colour=red#token={VIEW}")
        expect(page.get_by_test_id("embed-problem")).to_contain_text("but found “colour”.")
        page.goto(f"{made.url}{EMBED}&look=light#token={VIEW}")
        expect(page.get_by_test_id("embed-state")).to_have_text(re.compile("low|high"))
        assert violations(page) == []
    expect(page.get_by_test_id("embed")).to_have_count(0)  # the service has ended
