"""Conversion of recordings between formats, as `mimamba convert` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console

from mimamba.drivers.errors import CannotWrite, LibraryMissing
from mimamba.drivers.formats.bids_facts import BIDSFacts
from mimamba.drivers.formats.gap_filling import find_gaps
from mimamba.drivers.formats.marker_edits import edits_file
from mimamba.drivers.formats.recording import Recording, WriteResult
from mimamba.drivers.open import open_recording, open_with_streams

if TYPE_CHECKING:
    from mimamba.drivers.formats.xdf.reader import XDFStream

Write: TypeAlias = Callable[[Recording, Path], WriteResult]

SUFFIXES = (".edf", ".bdf", ".csv", ".parquet", ".xdf")
BIDS_SCHEME = "bids:"


NO_FACTS = BIDSFacts()


def convert(
    source: str, out: str, force: bool = False, facts: BIDSFacts = NO_FACTS
) -> list[XDFStream]:
    """Read a recording, write it in the format that ``out`` names, and print a summary.

    Parameters
    ----------
    source
        A recording's path, or a ``replay://`` URL, which may select channels.
    out
        A path that ends in .edf, .bdf, .csv, .parquet or .xdf; or a file in a BIDS dataset,
        ``bids:FOLDER?subject=01&task=rest`` (``session``, ``run``).
    force
        Replace an existing recording.
    facts
        For BIDS alone.

    Returns
    -------
    list of XDFStream
        For BIDS, which can have more than signal and markers, all streams of an XDF file; else
        none, so that they are not held while the file is written.

    Raises
    ------
    DriverError
        If the recording cannot be read, or cannot be written so. Nothing is left behind then.
    """
    console = Console(stderr=True)
    with console.status("Reading"):
        if out.startswith(BIDS_SCHEME):
            recording, streams = open_with_streams(source)
        else:
            recording, streams = open_recording(source), []
    with console.status("Writing"):
        path, written = export(recording, out, force, facts)
    for notice in (*recording.info.notices, *written.notices):
        console.print(notice, style="yellow", highlight=False, markup=False)
    Console(soft_wrap=True).print(
        summarize(recording, path, written), highlight=False, markup=False
    )
    return streams


def export(
    recording: Recording, out: str, force: bool = False, facts: BIDSFacts = NO_FACTS
) -> tuple[Path, WriteResult]:
    """Write a recording in the format that ``out`` names, see ``convert``; return its path.

    ``facts`` are for BIDS alone.
    """
    try:
        if out.startswith(BIDS_SCHEME):
            return _to_bids(recording, out, force, facts)
        return _to_file(recording, Path(out), force)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotWrite(
            f"a place where {out} can be written", reason, "choose another place"
        ) from error


def summarize(recording: Recording, path: Path, written: WriteResult) -> str:
    """Describe a written recording in one line."""
    gaps = find_gaps(recording.index)
    lost = sum(gap.count for gap in gaps)
    parts = [
        f"{_count(recording.n_times, 'sample')} of {_count(recording.info.n_channels, 'channel')}",
        f"{_count(len(gaps), 'gap')} ({_count(lost, 'sample')} lost)",
        _count(len(recording.markers), "marker"),
        "values unchanged" if written.lsb is None else f"LSB {written.lsb:.4g} µV",
    ]
    return f"{path}: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _to_file(recording: Recording, path: Path, force: bool) -> tuple[Path, WriteResult]:
    """Write into a temporary folder beside the file, and move the file when it is complete."""
    write = _find_writer(path)
    check_overwrite(path, force)
    with TemporaryDirectory(prefix=".mimamba-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        written = write(recording, partial)
        check_overwrite(path, force)
        partial.replace(path)
    edits_file(path).unlink(missing_ok=True)  # of the file that it replaces
    return path, written


def _to_bids(
    recording: Recording, out: str, force: bool, facts: BIDSFacts
) -> tuple[Path, WriteResult]:
    with _library("mne-bids edfio", "to write BIDS"):
        from mimamba.drivers.formats.bids_writer import parse_bids_target, write_bids
    return write_bids(recording, parse_bids_target(out), force, facts)


@contextmanager
def _library(packages: str, purpose: str) -> Iterator[None]:
    """Raise LibraryMissing if an import fails within; a damaged installation is mended by pip."""
    try:
        yield
    except ImportError as error:
        expected = f"{' and '.join(packages.split())}, {purpose}"
        remedy = f"install it: pip install {packages}"
        raise LibraryMissing(expected, f"no {error.name}", remedy) from error


def check_overwrite(path: Path, force: bool) -> None:
    """Raise CannotWrite where a file exists that is not to be replaced, or a folder does."""
    if path.is_dir() or (path.exists() and not force):
        raise CannotWrite(
            "a new file", f"an existing one at {path}", "choose another name, or add --force"
        )


def _find_writer(path: Path) -> Write:
    """Find the function that writes a file with this name."""
    suffix = path.suffix.lower()
    if suffix in {".edf", ".bdf"}:
        with _library("edfio", "to write EDF and BDF"):
            from mimamba.drivers.formats.edf.writer import write_bdf, write_edf
        return write_edf if suffix == ".edf" else write_bdf
    if suffix == ".parquet":
        with _library("pyarrow", "to write Parquet"):
            from mimamba.drivers.formats.tables.parquet_writer import write_parquet
        return write_parquet
    if suffix == ".csv":
        from mimamba.drivers.formats.tables.csv_writer import write_csv

        return write_csv
    if suffix == ".xdf":
        from mimamba.drivers.formats.xdf.recording_writer import write_xdf

        return write_xdf
    raise CannotWrite(
        f"a name that ends in {', '.join(SUFFIXES)}, or {BIDS_SCHEME}FOLDER?subject=..&task=..",
        f"{path}",
        "end the name with one of them",
    )
