"""Where the built page lies, and the policy under which it runs."""

from __future__ import annotations

from pathlib import Path

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""All that the page needs is of its own origin; nothing is inline.

The page sets styles by script alone (``element.style``), which ``style-src`` does not concern.
"""


def find_page() -> Path | None:
    """The folder of the built page, with ``index.html``; None where it was never built.

    hatch_build.py puts it there in every kind of installation, an editable one too.
    """
    folder = Path(__file__).parent / "dist"
    return folder if (folder / "index.html").is_file() else None
