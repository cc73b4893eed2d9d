"""Elements that show for a moment only, too short for a busy machine to look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

WATCH = """id => {
  const look = () => { window.seen ||= document.querySelector(`[data-testid="${id}"]`) !== null; };
  window.seen = false;
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();
}"""


@contextmanager
def seen(page: Page, testid: str) -> Iterator[None]:
    """Wait until the page has shown the element of this test id, now or meanwhile."""
    page.evaluate(WATCH, testid)
    yield
    page.wait_for_function("() => window.seen")
