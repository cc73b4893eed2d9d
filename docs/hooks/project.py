"""Pages and pictures that live elsewhere in the repository."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "responsible.md": "RESPONSIBLE.md",
}
SCREENSHOT = "screenshot.png"
DECISIONS = "decisions"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every page about a decision, by its file's name after those that are listed already."""
    key = DECISIONS.capitalize()
    (listed,) = (part[key] for part in config.nav or () if key in part)
    there = [page if isinstance(page, str) else next(iter(page.values())) for page in listed]
    found = sorted(Path(config.docs_dir, DECISIONS).glob("*.md"))
    listed += [page for each in found if (page := f"{DECISIONS}/{each.name}") not in there]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the site."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(docs/", "](", text)))
    picture = str(ROOT / "dashboard" / SCREENSHOT)
    files.append(File.generated(config, SCREENSHOT, abs_src_path=picture))
    return files
