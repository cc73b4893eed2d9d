"""Screenshots, in a folder that git ignores. ``make pictures`` takes them."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


def shots(page: Page, name: str) -> None:
    """Take pictures for desktop and phone, light and dark, if ``MIMAMBA_PICTURES`` is set."""
    if "MIMAMBA_PICTURES" not in os.environ:
        return
    SCREENSHOTS.mkdir(exist_ok=True)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(200)
            page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
