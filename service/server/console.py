"""Output on the terminal that commands share with the service."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, TypeVar

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.runtime.process_limits import most_memory

if TYPE_CHECKING:
    from rich.console import Console

    from mimamba.models.signal.electrode import Electrode

Listed = TypeVar("Listed")

PLAIN = {
    "\N{MICRO SIGN}": "u",
    "\N{GREEK SMALL LETTER MU}": "u",
    "\N{SUPERSCRIPT TWO}": "2",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{DEGREE SIGN}": " deg",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}
"""ASCII for characters of our own texts."""
BRAILLE = range(0x2800, 0x2900)
"""Code points of spinners."""
NO_MEMORY = (
    "failed to map segment",
    "allocate memory",
    "not enough memory",
    "bad_alloc",
    "start new thread",
    "start a new thread",
)
"""Parts of the messages of libraries that got no memory."""
LEAST_MEMORY = 1 << 30
"""Bytes of address space: with less, libraries crash or wait for ever before Python notices."""


def write_plainly(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by ASCII; an error handler for ``codecs``."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(map(_plain, text)), error.end


def _plain(character: str) -> str:
    if ord(character) in BRAILLE:
        return "*"
    return PLAIN.get(character) or ascii(character)[1:-1]


def prepare_output() -> None:
    """Let stdout and stderr take any character, whatever the terminal's encoding."""
    codecs.register_error("mimamba", write_plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the start
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="mimamba")


def print_json(value: object) -> None:
    """Print a value as one line of JSON, with escapes for characters that stdout cannot write."""
    import msgspec

    print_json_line(msgspec.json.encode(value))


def print_json_line(encoded: bytes) -> None:
    """Print a line of JSON that is encoded already, as ``print_json``."""
    line = encoded.decode()
    if codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8":
        line = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], line)
    sys.stdout.write(f"{line}\n")


def print_list(
    found: Sequence[Listed],
    json: bool,
    columns: Mapping[str, Callable[[Listed], str]],
    optional: Collection[str] = (),
    caption: str | None = None,
) -> None:
    """Print a list as a table that cuts no text, or one JSON object per line.

    Parameters
    ----------
    found
        What is listed, one for each row.
    json
        Print JSON.
    columns
        The text of each column, by its heading.
    optional
        Headings of columns that are left out where no row has a text.
    caption
        A line below the table.
    """
    if json:
        for each in found:
            print_json(each)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    cells = {heading: [text(each) for each in found] for heading, text in columns.items()}
    shown = [heading for heading in cells if heading not in optional or any(cells[heading])]
    below = None if caption is None else escape(caption)
    table = Table(caption=below, caption_justify="left")
    for heading in shown:
        table.add_column(heading, overflow="fold")  # never cut: names are typed again
    for row in zip(*(cells[heading] for heading in shown), strict=True):
        table.add_row(*map(escape, row))
    Console().print(table)


@contextmanager
def system_errors_in_words() -> Iterator[None]:
    """Print one sentence where the system has no space, memory or permission; exit with 2.

    A reader of stdout that went away ends the program silently, with 1.
    """
    prepare_output()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
        sys.exit(1)
    except Exception as error:
        reason = explain(error)
        if reason is None:
            raise
        _discard(sys.stdout)
        with suppress(OSError):
            sys.stderr.write(f"mimamba: {reason}\n")
            sys.stderr.flush()
        _discard(sys.stderr)
        sys.exit(2)


def explain(error: BaseException) -> str | None:
    """Say in words which limit of the system an error met; None for any other error."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(explain, error.exceptions)), None)
    if _is_of_memory(error):
        return (
            "Too little memory for this command. Close other programs, or raise the limit on "
            "memory (`ulimit -v`)."
        )
    if not isinstance(error, OSError):
        return explain(error.__cause__) if error.__cause__ else None
    where = f" to {error.filename}" if error.filename is not None else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Cannot write{where}: {error.strerror}. Free some space, or write to another disk."
    about = f" {error.filename}" if error.filename is not None else ""
    return f"Cannot read or write{about}: {error.strerror or error}. Check that it can be used."


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if not isinstance(error, (ImportError, OSError, RuntimeError, SystemError)):
        return False
    return any(part in str(error) for part in NO_MEMORY)


def check_memory_limit(least: int) -> None:
    """Raise Mismatch if this process may use less memory than its libraries need to load."""
    limit = most_memory()
    if limit is not None and limit < least:
        raise Mismatch(
            f"a limit on memory of at least {least >> 20} MiB",
            f"{limit >> 20} MiB",
            "raise it with `ulimit -v`",
        )


def _discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: at the exit it would fail once more."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def print_montage(console: Console, montage: Sequence[Electrode]) -> None:
    """Print which channels replace a model's electrodes, and their distances."""
    for electrode in montage:
        if electrode.distance_mm > 0:
            console.print(
                f"  {electrode.electrode}: uses {electrode.channel} instead, "
                f"{electrode.distance_mm:.0f} mm away",
                highlight=False,
                markup=False,
            )


def print_watch_link(console: Console, url: str, seconds: float) -> None:
    """Print a link with a one-time code, and its QR code where the terminal can show one.

    The light modules are written as blocks, black on white in every colour scheme: readers of QR
    codes do not know inverted ones.
    """
    import segno
    from rich.text import Text

    drawn = io.StringIO()
    segno.make(url, micro=False).terminal(drawn, compact=True)
    lines = drawn.getvalue().splitlines()
    minutes = f"{seconds / 60:g} minutes"
    console.print(
        f"To watch on another device, open this within {minutes}. It works once, for viewing:",
        highlight=False,
        soft_wrap=True,
    )
    if len(lines[0]) <= console.width and _can_encode(drawn.getvalue(), console.encoding):
        for line in lines:
            console.print(Text(line, style="bright_white on black"), highlight=False)
    console.print(url, highlight=False, markup=False, soft_wrap=True)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (LookupError, UnicodeError):
        return False
    return True
