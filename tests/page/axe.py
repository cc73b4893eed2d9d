"""Accessibility check with axe, which tests the rules of WCAG."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
FIND = """
async () => (await axe.run()).violations.flatMap(
  ({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)
)
"""


def violations(page: Page) -> list[str]:
    """Return violations with their elements, in light and dark mode."""
    page.evaluate(AXE.read_text("utf-8"))
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {each}" for each in page.evaluate(FIND)]
    return found
