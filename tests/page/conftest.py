"""A real Chromium, and pages whose requests and errors are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.browser import open_browser
from tests.ports import kept_port

PATIENCE_MS = 60_000
POLLING_MS = 100
"""Interval at which a page is asked; Playwright's own would keep it drawing."""
SEEN_BY_NOBODY = """() => {
  const outputs = { valence: ['low', 'high'], arousal: ['low', 'high'] };
  const seen = [{ person: null, outputs, date: '2026-01-01T00:00:00Z' }];
  if (location.protocol.startsWith('http') && !localStorage.getItem('mimamba.notices'))
    localStorage.setItem('mimamba.notices', JSON.stringify(seen));
}"""
"""Makes a browser in which the notice about inferred emotion was read already, for nobody."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def acknowledge(page: Page) -> None:
    """Read the notice about inferred emotion, for the person of the session."""
    page.get_by_test_id("acknowledge").click()
    expect(page.get_by_test_id("emotion-mark")).to_be_visible()


def move(page: Page) -> None:
    """Let the page move as it does for most people."""
    page.emulate_media(reduced_motion="no-preference")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page that must send no request to other origins and log no error.

    Its motion is reduced, as drawing takes most of a processor's time; ``move`` is for tests that
    look at it.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.add_init_script(f"({SEEN_BY_NOBODY})()")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    foreign: list[str] = []
    errors: list[str] = []

    def note(request: Request) -> None:
        if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:", request.url):
            foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def log(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(f"{message.text} {message.location['url']}")

    page.on("console", log)
    yield page
    context.close()
    assert foreign == []
    # The browser also logs lost connections, error responses, requests to a service that is
    # shutting down, and requests about a session that has just ended.
    expected = re.compile(
        r"WebSocket| 4(01|03|09|12|13|22|24) | 404 .*/v1/sessions/| 503 |"
        r"net::ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)"
    )
    assert [each for each in errors if not expected.search(each)] == []


@pytest.fixture
def port() -> Iterator[int]:
    """Reserve a port for services that run one after the other."""
    with kept_port() as port:
        yield port
