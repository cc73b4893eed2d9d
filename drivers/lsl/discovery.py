"""Discovery of LSL streams, and loading of the library liblsl."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from mimamba.drivers.errors import BadSource, DeviceNotFound, LibraryMissing
from mimamba.drivers.url import SourceURL

EXTRA_SECONDS = 0.7
"""Time to find further matching streams after the first one, s (liblsl asks the peers of its
configuration after 0.5 s)."""
FOREIGN_CLOCK = 86400.0
"""Distance from now beyond which a stamp is not on the LSL clock, s."""


@cache
def load_pylsl() -> Any:
    """Import pylsl.

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
    return pylsl


def resolve_streams(predicate: str, timeout: float, others: float) -> list[Any]:
    """Find the streams that match a predicate, sorted by source_id and name.

    Waits up to ``timeout`` s for the first one, and then ``others`` s for further ones.
    """
    found = load_pylsl().resolve_bypred(predicate, 1, timeout)
    if found and others:
        found = load_pylsl().resolve_bypred(predicate, 1024, others)
    return sorted(found, key=lambda stream: (stream.source_id(), stream.name(), stream.uid()))


def other_streams_notice(found: Sequence[Any]) -> tuple[str, ...]:
    """Return a notice about matching streams that are not used."""
    if len(found) == 1:
        return ()
    others = ", ".join(f"{stream.name()} ({stream.source_id()})" for stream in found[1:])
    return (f"Other streams match, too: {others}. Select one by name= or source_id=.",)


def no_stream_error(predicate: str) -> DeviceNotFound:
    """Return the error for a stream that was not found; it names the streams that were."""
    seen = [f"{stream.name()} ({stream.type()})" for stream in load_pylsl().resolve_streams(1.0)]
    return DeviceNotFound(
        f"an LSL stream with {predicate}",
        f"only {', '.join(sorted(seen))}" if seen else "no LSL stream on the network",
        "start the sender in the same network, open UDP and TCP ports 16571 to 16604 in the "
        "firewall, or wait longer with timeout=",
    )


def build_predicate(source: SourceURL) -> str:
    """Build an XPath 1.0 predicate from the URL's parameters; raises BadSource."""
    given = source.text("predicate")
    kind = source.text("type")
    parts = [f"({given})"] if given else []
    wanted = {
        "type": "EEG" if kind is None and given is None else kind,
        "name": source.text("name"),
        "source_id": source.text("source_id"),
    }
    parts += [f"{name}={xpath_literal(value)}" for name, value in wanted.items() if value]
    return " and ".join(parts) or "count(desc)>=0"


def xpath_literal(value: str) -> str:
    """Quote a text for XPath 1.0, which has no escapes; raises BadSource."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise BadSource("a name without two kinds of quotes", value, "use predicate= with contains()")
