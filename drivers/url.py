"""Source URLs: a scheme, a target and parameters.

``muse://Muse-1A2B``, ``brainflow://cyton?serial_port=..``, ``lsl://?type=EEG``,
``osc://:5000?from=mindmonitor``, ``replay:///path/muse.csv?speed=2``,
``simulate://?scenario=calm&seed=1``. A text without a scheme is the path of a recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from mimamba.drivers.errors import BadSource

SCHEMES = ("simulate", "replay", "brainflow", "lsl", "muse", "osc", "push")


@dataclass
class SourceURL:
    """A parsed URL.

    Parameters
    ----------
    scheme
        One of ``SCHEMES``.
    target
        The part before the ``?``: a board for ``brainflow``, a headset for ``muse``, HOST:PORT for
        ``osc``, a path for ``replay``, else empty.
    parameters
        The query.
    used
        Names of the parameters that were read; ``check_unused`` rejects all others.
    """

    scheme: str
    target: str
    parameters: dict[str, str]
    used: set[str] = field(default_factory=set)

    def text(self, name: str) -> str | None:
        """Read a parameter as text; None if it is absent."""
        self.used.add(name)
        return self.parameters.get(name)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Read a number in [low, high].

        Raises
        ------
        BadSource
            If it is not a number or out of range.
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
                f"{name} from {low:g} to {high:g}",
                f"{name}={text}",
                f"correct it in the {self.scheme}:// URL",
            )
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Read an integer in [low, high]; raises BadSource otherwise."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise BadSource(
                f"a whole number as {name}",
                f"{name}={value:g}",
                f"correct it in the {self.scheme}:// URL",
            )
        return int(value)

    def flag(self, name: str) -> bool:
        """Read 1, true, yes or on; 0, false, no, off or absence; raises BadSource otherwise."""
        text = (self.text(name) or "0").lower()
        if text in {"1", "true", "yes", "on"}:
            return True
        if text in {"0", "false", "no", "off"}:
            return False
        raise BadSource(
            f"{name}=0 or {name}=1", f"{name}={text}", f"correct it in the {self.scheme}:// URL"
        )

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        """Read one of the choices; raises BadSource otherwise."""
        value = self.text(name) or default
        if value not in choices:
            raise BadSource(
                f"{name} as one of {', '.join(choices)}", f"{name}={value}", "choose one of them"
            )
        return value

    def check_unused(self) -> None:
        """Raise BadSource if there are parameters that nothing has read."""
        unknown = sorted(set(self.parameters) - self.used)
        if unknown:
            known = ", ".join(sorted(self.used)) or "none"
            raise BadSource(
                f"parameters of {self.scheme}:// ({known})", ", ".join(unknown), "remove them"
            )


def parse_source(text: str) -> SourceURL:
    """Parse a source's URL or a path.

    Raises
    ------
    BadSource
        If the scheme is unknown or a parameter appears twice, or if a scheme stands alone.
    """
    if "\0" in text or "%00" in text:
        raise BadSource("a source's URL or path", f"a null character in {text!r}", "remove it")
    # One letter before the colon is a Windows drive, not a scheme.
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if match is None:
        if text.lower() in SCHEMES and not Path(text).exists():
            expected, meant = "a source's URL, or the path of a recording", f"{text.lower()}://"
            raise BadSource(expected, f"{text!r}, which is no file here", f"write {meant}")
        return SourceURL("replay", text, {})
    scheme = match.group(1).lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise BadSource(f"a source ({known}, or a recording's path)", text, "choose one of them")
    place, _, query = text[match.end() :].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadSource("each parameter once", f"{query!r}", "remove the repeats")
    return SourceURL(scheme, unquote(place), parameters)
