"""A source's URL: its scheme, its place, and its parameters read one by one.

``brainflow://muse_2?mac_address=..``, ``lsl://?type=EEG``, ``replay:///path/muse.csv?speed=2``,
``simulate://?scenario=calm&seed=1``. Without a scheme the text is a recording's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from mimamba.drivers.errors import BadSource

SCHEMES = ("simulate", "replay", "brainflow", "lsl", "push")


@dataclass
class SourceURL:
    """A parsed URL. Each parameter is taken once; ``finish`` refuses those that nobody took."""

    scheme: str
    place: str
    parameters: dict[str, str]
    taken: set[str] = field(default_factory=set)

    def text(self, name: str) -> str | None:
        """A parameter as it stands, or None where it is absent."""
        self.taken.add(name)
        return self.parameters.get(name)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number in [low, high].

        Raises
        ------
        BadSource
            If it is no number or out of range.
        """
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise BadSource(
                f"{name} from {low:g} to {high:g}", f"{name}={text}", f"correct {self.scheme}://"
            )
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number in [low, high]; raises BadSource otherwise."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise BadSource(
                f"a whole number as {name}", f"{name}={value:g}", f"correct {self.scheme}://"
            )
        return int(value)

    def flag(self, name: str) -> bool:
        """1, true, yes, on are true; 0, false, no, off and absence are false; else BadSource."""
        text = (self.text(name) or "0").lower()
        if text in {"1", "true", "yes", "on"}:
            return True
        if text in {"0", "false", "no", "off"}:
            return False
        raise BadSource(f"{name}=0 or {name}=1", f"{name}={text}", f"correct {self.scheme}://")

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        """One of the choices; raises BadSource otherwise."""
        value = self.text(name) or default
        if value not in choices:
            raise BadSource(
                f"{name} as one of {', '.join(choices)}", f"{name}={value}", "choose one of them"
            )
        return value

    def finish(self) -> None:
        """Raises BadSource for parameters that this kind of source does not have."""
        unknown = sorted(set(self.parameters) - self.taken)
        if unknown:
            known = ", ".join(sorted(self.taken)) or "none"
            raise BadSource(
                f"parameters of {self.scheme}:// ({known})", ", ".join(unknown), "take them out"
            )


def parse_source(text: str) -> SourceURL:
    """Split a source's URL, or a bare path, into its parts.

    Raises
    ------
    BadSource
        If the scheme is unknown or a parameter stands twice.
    """
    if "\0" in text or "%00" in text:
        raise BadSource("a source's URL or path", f"a null character in {text!r}", "take it out")
    # One letter before the colon is a Windows drive, not a scheme.
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if match is None:
        return SourceURL("replay", text, {})
    scheme = match.group(1).lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise BadSource(f"a source ({known}, or a recording's path)", text, "choose one of them")
    place, _, query = text[match.end() :].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadSource("each parameter once", f"{query!r}", "take the second one out")
    return SourceURL(scheme, unquote(place), parameters)
