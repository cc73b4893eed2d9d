"""Accessibility check with axe, which tests the rules of WCAG."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
FIND = """
async choice => (await axe.run({ resultTypes: ["violations"], ...choice })).violations.flatMap(
  ({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)
)
"""
OF_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""The rules that look at colours: no other result depends on the scheme."""


def violations(page: Page) -> list[str]:
    """Return violations with their elements, in light and dark mode."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    page.emulate_media(color_scheme="light")
    found = [f"light: {each}" for each in page.evaluate(FIND, {})]
    page.emulate_media(color_scheme="dark")
    return found + [f"dark: {each}" for each in page.evaluate(FIND, OF_COLOURS)]
