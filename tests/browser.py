"""A Chromium for the page's tests: the machine's own, else one that Playwright installs.

``python -m tests.browser`` sees to it that there is one; ``python -m tests.packages`` has tried to
install the machine's own before. The headless shell comes first: a whole Chromium draws its windows
and toolbars without a screen, too, which takes a second of a processor for each page.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.packages import find_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser


WHOLE = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Names of a whole Chromium, for machines that have no headless shell."""


def find_browser() -> str | None:
    """The machine's own Chromium; None where Playwright is to find its own."""
    shell = find_program("chromium-headless-shell")
    return shell or next(filter(None, map(shutil.which, WHOLE)), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(),
            # A container has no user namespaces for Chromium's sandbox, and little shared memory.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        yield browser
        browser.close()


if __name__ == "__main__" and find_browser() is None:
    subprocess.run(
        [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"], check=True
    )
