"""What shows for a moment only, which a busy machine would look for too late."""

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
    """The page shows the element of this test id, now or while or after something is done."""
    page.evaluate(WATCH, testid)
    yield
    page.wait_for_function("() => window.seen")
