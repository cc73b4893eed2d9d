"""``mimamba convert``: a recording of any known format, written in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from rich.console import Console

from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.formats.gaps import gaps_of
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.writing import CannotWrite, WriteResult
from mimamba.drivers.open import open_recording

Write: TypeAlias = Callable[[Recording, Path], WriteResult]

SUFFIXES = (".edf", ".bdf", ".csv", ".parquet", ".xdf")
BIDS = "bids:"


def convert(source: str, out: str, force: bool = False) -> None:
    """Read a recording and write it in the format that ``out`` names; tell what was written.

    Parameters
    ----------
    source
        A recording's path, or a ``replay://`` URL, which may choose channels.
    out
        A path that ends in .edf, .bdf, .csv, .parquet or .xdf; or a place in a BIDS dataset,
        ``bids:FOLDER?subject=01&task=rest`` (``session``, ``run``).
    force
        Whether to replace what is there.

    Raises
    ------
    DriverError
        If the recording cannot be read, or not be written so. Then nothing is left behind.
    """
    console = Console(stderr=True)
    with console.status("Reading"):
        recording = open_recording(source)
    with console.status("Writing"):
        path, written = export(recording, out, force)
    for notice in (*recording.info.notices, *written.notices):
        console.print(notice, style="yellow", highlight=False, markup=False)
    Console(soft_wrap=True).print(summary(recording, path, written), highlight=False, markup=False)


def export(recording: Recording, out: str, force: bool = False) -> tuple[Path, WriteResult]:
    """Write a recording in the format that ``out`` names; see ``convert``. Gives the file."""
    try:
        if out.startswith(BIDS):
            return _to_bids(recording, out, force)
        return _to_file(recording, Path(out), force)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotWrite(f"to write {out}", reason, "choose a place with room") from error


def summary(recording: Recording, path: Path, written: WriteResult) -> str:
    """What was written, in one line."""
    gaps = gaps_of(recording.index)
    lost = sum(gap.count for gap in gaps)
    parts = [
        f"{_count(recording.n_times, 'sample')} of {_count(recording.info.n_channels, 'channel')}",
        f"{_count(len(gaps), 'gap')} ({_count(lost, 'sample')} lost)",
        _count(len(recording.markers), "marker"),
        "values as they are" if written.lsb is None else f"LSB {written.lsb:.4g} µV",
    ]
    return f"{path}: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _to_file(recording: Recording, path: Path, force: bool) -> tuple[Path, WriteResult]:
    """Write into a folder beside it, and move the file when it is whole."""
    write = _writer(path)
    _check_free(path, force)
    with TemporaryDirectory(prefix=".mimamba-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        written = write(recording, partial)
        _check_free(path, force)
        partial.replace(path)
    return path, written


def _to_bids(recording: Recording, out: str, force: bool) -> tuple[Path, WriteResult]:
    with _extra("mne-bids and edfio, to write BIDS"):
        from mimamba.drivers.formats.bids_writer import parse_place, write_bids
    return write_bids(recording, parse_place(out), force)


@contextmanager
def _extra(what: str) -> Iterator[None]:
    """Turn a library that is not installed into one line."""
    try:
        yield
    except ImportError as error:
        raise LibraryMissing(
            what, f"not installed ({error.name})", "install it: pip install 'mimamba[files]'"
        ) from error


def _check_free(path: Path, force: bool) -> None:
    if path.is_dir() or (path.exists() and not force):
        raise CannotWrite("a file that is not there yet", f"{path}", "choose another, or --force")


def _writer(path: Path) -> Write:
    """What writes a file of that name."""
    suffix = path.suffix.lower()
    if suffix in {".edf", ".bdf"}:
        with _extra("edfio, to write EDF and BDF"):
            from mimamba.drivers.formats.edf.writer import write_bdf, write_edf
        return write_edf if suffix == ".edf" else write_bdf
    if suffix == ".parquet":
        with _extra("pyarrow, to write Parquet"):
            from mimamba.drivers.formats.tables.parquet_writer import write_parquet
        return write_parquet
    if suffix == ".csv":
        from mimamba.drivers.formats.tables.csv_writer import write_csv

        return write_csv
    if suffix == ".xdf":
        from mimamba.drivers.formats.xdf.write_recording import write_xdf

        return write_xdf
    raise CannotWrite(
        f"a name that ends in {', '.join(SUFFIXES)}, or {BIDS}FOLDER?subject=..&task=..",
        f"{path}",
        "name the format so",
    )
