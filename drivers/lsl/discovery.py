"""The library liblsl, and finding streams with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from mimamba.drivers.errors import BadSource, DeviceNotFound, LibraryMissing
from mimamba.drivers.url import SourceURL

OTHERS = 0.7
"""Once a stream is found, others that match have this long to be found too, s (liblsl asks the
peers of its configuration after 0.5 s)."""
FOREIGN = 86400.0
"""Stamps further than this from now, s, are not of the LSL clock."""


@cache
def liblsl() -> Any:
    """The module pylsl.

    Raises
    ------
    LibraryMissing
        If pylsl is not installed, or finds no liblsl that loads.
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
    return pylsl


def find(predicate: str, timeout: float, others: float) -> list[Any]:
    """The streams that match, by source_id and name.

    The first within ``timeout``, and those found within ``others`` after it, s.
    """
    found = liblsl().resolve_bypred(predicate, 1, timeout)
    if found and others:
        found = liblsl().resolve_bypred(predicate, 1024, others)
    return sorted(found, key=lambda stream: (stream.source_id(), stream.name(), stream.uid()))


def tell_others(found: Sequence[Any]) -> tuple[str, ...]:
    """A notice of the streams that match but are not taken."""
    if len(found) == 1:
        return ()
    others = ", ".join(f"{stream.name()} ({stream.source_id()})" for stream in found[1:])
    return (f"Other streams match, too: {others}. Choose by name= or source_id=.",)


def nothing_found(predicate: str) -> DeviceNotFound:
    """The error, with the streams that are there."""
    seen = [f"{stream.name()} ({stream.type()})" for stream in liblsl().resolve_streams(1.0)]
    return DeviceNotFound(
        f"an LSL stream with {predicate}",
        f"only {', '.join(sorted(seen))}" if seen else "no LSL stream on the network",
        "start the sender in the same network, let UDP and TCP ports 16571 to 16604 through the "
        "firewall, or wait longer with timeout=",
    )


def read_predicate(source: SourceURL) -> str:
    """The parameters that name a stream as an XPath 1.0 predicate; raises BadSource."""
    given = source.text("predicate")
    kind = source.text("type")
    parts = [f"({given})"] if given else []
    wanted = {
        "type": "EEG" if kind is None and given is None else kind,
        "name": source.text("name"),
        "source_id": source.text("source_id"),
    }
    parts += [f"{name}={quoted(value)}" for name, value in wanted.items() if value]
    return " and ".join(parts) or "count(desc)>=0"


def quoted(value: str) -> str:
    """A literal of XPath 1.0, which knows no escapes; raises BadSource."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise BadSource("a name with one kind of quotes", value, "use predicate= with contains()")
