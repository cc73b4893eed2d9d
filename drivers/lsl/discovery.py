"""Discovery of LSL streams, and loading of the library liblsl."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from mimamba.drivers.errors import BadSource, DeviceNotFound, LibraryMissing
from mimamba.drivers.url import SourceURL

EXTRA_SECONDS = 0.7
"""Time to find further matching streams after the first one, s (liblsl asks the peers of its
configuration after 0.5 s)."""
CONFIG = "lsl_api.cfg"
CONFIG_PLACES = (CONFIG, f"~/lsl_api/{CONFIG}", f"/etc/lsl_api/{CONFIG}")
"""Places of LSL's own configuration, besides the one that LSLAPICFG names."""
WARNINGS_ONLY = "[log]\nlevel = -1\n"
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


@cache
def load_pylsl() -> Any:
    """Import pylsl; liblsl then logs warnings alone, unless a configuration of LSL is there.

    Raises
    ------
    LibraryMissing
        If pylsl is not installed, or cannot load liblsl.
    """
    try:
        import pylsl
        import pylsl.util
    except (ImportError, OSError, RuntimeError) as error:
        raise LibraryMissing(
            "pylsl with the library liblsl",
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            "install it: conda install -c conda-forge liblsl, on macOS brew install "
            "labstreaminglayer/tap/lsl, else the package from github.com/sccn/liblsl/releases; "
            "or set PYLSL_LIB to its path",
        ) from error
    if not is_configured():
        with suppress(NotImplementedError):  # an older liblsl
            pylsl.set_config_content(WARNINGS_ONLY)
    return pylsl


def is_configured() -> bool:
    """Return whether LSL has a configuration of its own; also without a home that can be read."""
    places = (*CONFIG_PLACES, os.environ.get("LSLAPICFG", CONFIG))
    # Path.expanduser raises where a user has no home, and is_file where it may not be searched.
    return any(os.path.isfile(os.path.expanduser(each)) for each in places)  # noqa: PTH111, PTH113


def resolve_streams(predicate: str, timeout: float, others: float) -> list[Any]:
    """Find the streams that match a predicate, sorted by source_id, name and machine.

    Waits up to ``timeout`` s for the first one, and then ``others`` s for further ones.
    """
    found = load_pylsl().resolve_bypred(predicate, 1, timeout)
    if found and others:
        found = load_pylsl().resolve_bypred(predicate, 1024, others) or found
    return sorted(found, key=_sort_key)


def describe_streams(streams: Sequence[Any]) -> str:
    """List streams by number, with all that tells them apart."""
    return "; ".join(f"{number}: {_describe(stream)}" for number, stream in enumerate(streams, 1))


def _describe(stream: Any) -> str:
    rate = float(stream.nominal_srate())
    facts = [
        stream.type() or "no type",
        f"source_id {stream.source_id()}" if stream.source_id() else "no source_id",
        f"hostname {stream.hostname()}",
        f"uid {stream.uid()}",
        f"{stream.channel_count()} channels",
        f"{rate:g} Hz" if rate else "irregular",
    ]
    return f"{stream.name()} ({', '.join(facts)})"


def _sort_key(stream: Any) -> tuple[str, ...]:
    return stream.source_id(), stream.name(), stream.hostname(), stream.uid()


@dataclass(frozen=True)
class StreamQuery:
    """The stream that a URL asks for.

    Parameters
    ----------
    predicate
        XPath 1.0 predicate for liblsl.
    words
        The same for people.
    number
        Number from 1 among the streams found; None for the first that sends.
    named
        Name, source_id, hostname or uid given with ``stream=``.
    """

    predicate: str
    words: str
    number: int | None = None
    named: str | None = None

    @classmethod
    def from_url(cls, source: SourceURL) -> StreamQuery:
        """Read ``type``, ``name``, ``source_id``, ``hostname``, ``uid``, ``stream``, ``predicate``.

        Raises
        ------
        BadSource
            If a value has both kinds of quotes.
        """
        given, named = source.text("predicate"), source.text("stream")
        wanted = {
            name: source.text(name) for name in ("type", "name", "source_id", "hostname", "uid")
        }
        if wanted["type"] is None and given is None:
            wanted["type"] = "EEG"
        parts, words = ([f"({given})"], [given]) if given else ([], [])
        for name, value in wanted.items():
            if value:
                same = same_type if name == "type" else _same_text
                parts.append(same(name, value))
                words.append(f"{name}={xpath_literal(value)}")
        number = int(named) if named and named.isdecimal() and 0 < len(named) < 5 else None
        if named and number is None:
            places = ("name", "source_id", "hostname", "uid")
            parts.append(f"({' or '.join(_same_text(place, named) for place in places)})")
        if named:
            words.append(f"stream={xpath_literal(named)}")
        return cls(
            " and ".join(parts) or "count(desc)>=0",
            " and ".join(words) or "any type",
            number,
            named,
        )

    def find(self, timeout: float, others: float) -> list[Any]:
        """Find the streams, the one asked for first.

        Waits up to ``timeout`` s for the first one, and then ``others`` s for further ones.

        Raises
        ------
        DeviceNotFound
            If there is none, or none of this number.
        """
        found = resolve_streams(self.predicate, timeout, others)
        if self.number is None:
            if not found:
                raise self.not_found()
            return found
        exact = [
            stream
            for stream in found
            if self.named in (stream.name(), stream.source_id(), stream.hostname(), stream.uid())
        ]
        chosen = exact or found[self.number - 1 : self.number]
        if not chosen:
            raise self.not_found()
        return chosen

    def not_found(self) -> DeviceNotFound:
        """Return the error for a stream that was not found; it lists the streams that were."""
        seen = sorted(load_pylsl().resolve_streams(1.0), key=_sort_key)
        if not seen:
            return DeviceNotFound(
                f"an LSL stream with {self.words}",
                "no LSL stream on the network",
                "start the sender in the same network, open UDP and TCP ports 16571 to 16604 in "
                "the firewall, or wait longer with timeout=",
            )
        return DeviceNotFound(
            f"an LSL stream with {self.words}",
            f"only {describe_streams(seen)}",
            "start its sender, or select one of these with type=, name=, source_id=, hostname= or "
            "uid=",
        )


def other_streams_notice(found: Sequence[Any], chosen: Any) -> tuple[str, ...]:
    """Return a notice about matching streams that are not used."""
    if len(found) == 1:
        return ()
    used = [number for number, stream in enumerate(found, 1) if stream is chosen]
    return (
        f"Of {len(found)} streams that match, number {used[0]} is used, the first that sends: "
        f"{describe_streams(found)}. Select another with stream= and its source_id, hostname, uid "
        "or number.",
    )


def same_type(name: str, value: str) -> str:
    """Build an XPath 1.0 condition that holds in any letter case."""
    lowered = f"translate({name},'{_UPPER}','{_LOWER}')"
    return f"{lowered}={xpath_literal(value.strip().lower())}"


def _same_text(name: str, value: str) -> str:
    return f"{name}={xpath_literal(value)}"


def xpath_literal(value: str) -> str:
    """Quote a text for XPath 1.0, which has no escapes; raises BadSource."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise BadSource("a name without two kinds of quotes", value, "use predicate= with contains()")
