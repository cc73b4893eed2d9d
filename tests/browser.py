"""A Chromium for the page's tests: the machine's own, else one that Playwright installs.

``python -m tests.browser`` sees to it that there is one; ``python -m tests.packages`` has tried to
install the machine's own before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.packages import find_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def find_browser() -> str | None:
    """The machine's own Chromium; None where Playwright is to find its own."""
    return find_program("chromium")


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
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
