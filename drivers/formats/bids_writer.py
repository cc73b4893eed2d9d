"""BIDS-EEG (https://bids-specification.readthedocs.io), through mne-bids.

``bids:FOLDER?subject=01&task=rest`` names a recording's place in a dataset; ``session`` and ``run``
may follow. The signal is EDF+, or BDF+ where the device resolves more than 16 bits; the dataset is
made if it is not there. What a dataset says of itself and of a person it has already is kept.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl

import mne
import mne_bids

from mimamba.drivers.formats.edf.writer import needs_bdf, started, write_bdf, write_edf
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.writing import CannotWrite, WriteResult

SCHEME = "bids:"
NEEDED, OPTIONAL = ("subject", "task"), ("session", "run")
PEOPLE = "participants.tsv"


@dataclass(frozen=True)
class BIDSEntities:
    """A recording's place in a dataset; labels are letters and digits."""

    root: Path
    subject: str
    task: str
    session: str | None = None
    run: str | None = None

    @property
    def folder(self) -> Path:
        """Where the recording's files are."""
        return self.subject_folder / "eeg"

    @property
    def subject_folder(self) -> Path:
        """Where the session's ``scans.tsv`` is."""
        folder = self.root / f"sub-{self.subject}"
        return folder / f"ses-{self.session}" if self.session else folder

    @property
    def stem(self) -> str:
        """What the recording's file names begin with."""
        parts = (
            ("sub", self.subject),
            ("ses", self.session),
            ("task", self.task),
            ("run", self.run),
        )
        return "_".join(f"{key}-{value}" for key, value in parts if value)

    def signals(self) -> list[Path]:
        """The signal files that are there already."""
        return sorted(
            each for each in self.folder.glob(f"{self.stem}_eeg.*") if each.suffix != ".json"
        )


def parse_place(text: str) -> BIDSEntities:
    """Read ``bids:FOLDER?subject=..&task=..``; raises CannotWrite where it is not that."""
    folder, _, query = text.removeprefix(SCHEME).partition("?")
    told = dict(parse_qsl(query, keep_blank_values=True))
    wrong = [key for key in told if key not in (*NEEDED, *OPTIONAL)]
    missing = [key for key in NEEDED if key not in told]
    bad = [
        f"{key}={value}" for key, value in told.items() if not re.fullmatch("[A-Za-z0-9]+", value)
    ]
    if not folder or wrong or missing or bad:
        found = ", ".join([*(f"no {key}" for key in missing), *wrong, *bad]) or "no folder"
        raise CannotWrite(
            "bids:FOLDER?subject=01&task=rest (session, run), labels of letters and digits",
            f"{found} in {text}",
            "correct it",
        )
    return BIDSEntities(Path(folder), **told)


def write_bids(
    recording: Recording, place: BIDSEntities, force: bool = False
) -> tuple[Path, WriteResult]:
    """Add a recording to a dataset; gives the signal's file.

    All is made in a folder of its own and moved when it is whole.

    Raises
    ------
    CannotWrite
        If the recording is there already and not to be replaced, or does not fit into EDF.
    """
    before = place.signals()
    if before and not force:
        raise CannotWrite("a place that is free", f"{before[0]}", "choose another run, or --force")
    with TemporaryDirectory(prefix=".mimamba-", dir=place.root.parent) as folder:
        staging = BIDSEntities(
            Path(folder) / "dataset", place.subject, place.task, place.session, place.run
        )
        new_person = _stage_tables(place, staging)
        suffix = ".bdf" if needs_bdf(recording) else ".edf"
        signal = Path(folder) / f"signal{suffix}"
        written = (write_bdf if suffix == ".bdf" else write_edf)(recording, signal)
        _describe(recording, signal, staging)
        _move(staging.root, place.root, new_person)
    target = place.folder / f"{place.stem}_eeg{suffix}"
    for each in before:
        if each != target:
            each.unlink(missing_ok=True)
    return target, written


def _stage_tables(place: BIDSEntities, staging: BIDSEntities) -> bool:
    """Copy the tables that get a row more; tell whether the person is new to the dataset."""
    staging.subject_folder.mkdir(parents=True)
    scans = f"{_prefix(place)}_scans.tsv"
    if (place.subject_folder / scans).exists():
        shutil.copy(place.subject_folder / scans, staging.subject_folder / scans)
    if not (place.root / PEOPLE).exists():
        return True
    rows = (place.root / PEOPLE).read_text(encoding="utf-8-sig").splitlines()
    if any(row.split("\t")[0] == f"sub-{place.subject}" for row in rows):
        return False
    shutil.copy(place.root / PEOPLE, staging.root / PEOPLE)
    return True


def _prefix(place: BIDSEntities) -> str:
    session = f"_ses-{place.session}" if place.session else ""
    return f"sub-{place.subject}{session}"


def _describe(recording: Recording, signal: Path, staging: BIDSEntities) -> None:
    """Have mne-bids copy the signal and write all that describes it."""
    read = mne.io.read_raw_bdf if signal.suffix == ".bdf" else mne.io.read_raw_edf
    raw = read(signal, verbose="error")
    if started(recording) is None:
        raw.set_meas_date(None)
    path = mne_bids.BIDSPath(
        subject=staging.subject,
        session=staging.session,
        task=staging.task,
        run=staging.run,
        datatype="eeg",
        root=staging.root,
    )
    mne_bids.write_raw_bids(raw, path, overwrite=True, verbose="error")
    sidecar = path.copy().update(suffix="eeg", extension=".json")
    mne_bids.update_sidecar_json(sidecar, {"Manufacturer": "n/a"}, verbose="error")


def _move(staging: Path, root: Path, new_person: bool) -> None:
    """Put all files into the dataset; its own descriptions stay."""
    for source in sorted(staging.rglob("*"), reverse=True):
        target = root / source.relative_to(staging)
        shared = source.parent == staging and target.exists()
        if source.is_dir() or (shared and not (source.name == PEOPLE and new_person)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
