"""Accessibility check with axe, which tests the rules of WCAG."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
FIND = """
async choice => (await axe.run({
  resultTypes: ["violations"],
  preload: false,  // no rule that runs looks at other files
  ...choice,
})).violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
"""
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules that look at colours, in most of the time: no other result depends on the scheme."""
OF_COLOURS = {"runOnly": COLOURS}
OF_ALL_ELSE = {"rules": {rule: {"enabled": False} for rule in COLOURS}}


def violations(page: Page, colours: bool = True) -> list[str]:
    """Return violations with their elements, and those of ``colours`` in light and dark mode.

    Phones have the colours and texts of a desktop, which ``dashboard/tests/styles`` holds: so one
    look at ``colours`` is enough.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    if not colours:
        return list(page.evaluate(FIND, OF_ALL_ELSE))
    page.emulate_media(color_scheme="light")
    found = [f"light: {each}" for each in page.evaluate(FIND, {})]
    page.emulate_media(color_scheme="dark")
    return found + [f"dark: {each}" for each in page.evaluate(FIND, OF_COLOURS)]
