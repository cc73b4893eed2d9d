"""Titles in any script, and file names that are derived from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path

LONGEST_TITLE = 200
"""Characters."""
LONGEST_STEM = 64
"""Characters of a derived name, to which a number may be appended."""
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
"""Names that Windows gives to devices, with any ending."""
JOINERS = "\u200c\u200d"
"""Format characters that belong to words and emoji: the zero-width joiner and non-joiner."""


def clean_title(text: str | None) -> str | None:
    """Return a title as one line that can be shown anywhere; None if nothing is left.

    Control characters and other separators become spaces. Format characters go, above all those
    that turn the direction of the text around them. It has at most ``LONGEST_TITLE`` characters.
    """
    shown = "".join(_shown(each) for each in unicodedata.normalize("NFC", text or ""))
    return " ".join(shown.split())[:LONGEST_TITLE].strip(f" {JOINERS}") or None


def clean_notes(text: str | None) -> str | None:
    """Return notes with their lines, and each line as a title has it; None if nothing is left."""
    lines = unicodedata.normalize("NFC", text or "").splitlines()
    shown = ("".join(map(_shown, line.replace("\t", " "))).rstrip() for line in lines)
    return "\n".join(shown).strip() or None


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    unseen = category in ("Cf", "Cs", "Co") and character not in JOINERS
    return "" if unseen else character


def derive_name(title: str, otherwise: str) -> str:
    """Return a valid file name for a title, or ``otherwise`` if it has no Latin letter or digit.

    Accents are removed; all else but letters, digits, ``.`` and ``_`` becomes ``-``.
    """
    plain = unicodedata.normalize("NFKD", title)
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain)
    stem = stem.strip("._-")[:LONGEST_STEM].rstrip("._-")
    if RESERVED.match(stem):
        stem = f"recording-{stem}"
    return stem or otherwise


def free_names(folder: Path, stem: str) -> Iterator[str]:
    """Yield names that no file of a folder has, upper and lower case being the same.

    They are STEM, STEM-2, STEM-3 and so on. Another program may take one meanwhile.
    """
    names = {each.name.casefold() for each in folder.iterdir()} if folder.is_dir() else set()
    taken = {name.partition(".xdf")[0].removesuffix(".json") for name in names}
    for number in count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        if name.casefold() not in taken:
            yield name
