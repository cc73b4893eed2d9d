"""Pages and pictures that live elsewhere in the repository."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
SCREENSHOT = "screenshot.png"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the site."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(docs/", "](", text)))
    picture = str(ROOT / "dashboard" / SCREENSHOT)
    files.append(File.generated(config, SCREENSHOT, abs_src_path=picture))
    return files
