"""Writer of BIDS-EEG (https://bids-specification.readthedocs.io), through mne-bids.

``bids:FOLDER?subject=01&task=rest`` names a recording in a dataset; ``session`` and ``run`` are
optional. The signal is EDF+, or BDF+ if the device resolves more than 16 bits. A missing dataset is
created. The descriptions of an existing dataset and of its people are kept.

Blocks of a calibration and ratings are events of their own, with ``trial_type`` (the state, or
``rating``), their duration, and the columns ``valence`` and ``arousal``. A marker with another name
has that as its ``trial_type``, and its own label in the column ``label``. HED annotations of
markers are in the sidecar of the events, one for each value (BIDS, appendix "Hierarchical Event
Descriptors").
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl

import mne
import mne_bids
import msgspec

from mimamba.drivers.errors import CannotWrite
from mimamba.drivers.formats.bids_facts import HED_VERSION, BIDSFacts
from mimamba.drivers.formats.bids_sidecars import read_tsv
from mimamba.drivers.formats.calibration_blocks import BlockEvent, find_block_events
from mimamba.drivers.formats.edf.writer import needs_bdf, start_time, write_bdf, write_edf
from mimamba.drivers.formats.recording import Recording, WriteResult

SCHEME = "bids:"
NEEDED, OPTIONAL = ("subject", "task"), ("session", "run")
PEOPLE = "participants.tsv"
DESCRIPTION = "dataset_description.json"
MISSING = "n/a"
"""Text of a cell without a value."""
LABEL = "trial_type"
"""Column of events.tsv with the marker's name: its label, if it has no other."""
ORIGINAL = "label"
"""Column of events.tsv with the marker's label, where markers have other names."""
RATING_COLUMNS = {
    "valence": "Rating of the block or moment by the person: unpleasant (0) to pleasant (100).",
    "arousal": "Rating of the block or moment by the person: calm (0) to excited (100).",
}
"""Columns of events.tsv with their descriptions."""
MOST_NAMED, MOST_COMPARED, SHOWN = 10, 1000, 60
"""Labels that a notice names, labels that each is compared with, and characters of each."""


@dataclass(frozen=True)
class BIDSEntities:
    """Entities that name a recording in a dataset; labels are letters and digits."""

    root: Path
    subject: str
    task: str
    session: str | None = None
    run: str | None = None

    @property
    def folder(self) -> Path:
        """Folder of the recording's files."""
        return self.subject_folder / "eeg"

    @property
    def subject_folder(self) -> Path:
        """Folder of the session's ``scans.tsv``."""
        folder = self.root / f"sub-{self.subject}"
        return folder / f"ses-{self.session}" if self.session else folder

    @property
    def stem(self) -> str:
        """Prefix of the recording's file names."""
        parts = (
            ("sub", self.subject),
            ("ses", self.session),
            ("task", self.task),
            ("run", self.run),
        )
        return "_".join(f"{key}-{value}" for key, value in parts if value)

    def signals(self) -> list[Path]:
        """List the signal files that exist already."""
        return sorted(
            each for each in self.folder.glob(f"{self.stem}_eeg.*") if each.suffix != ".json"
        )


def parse_bids_target(text: str) -> BIDSEntities:
    """Parse ``bids:FOLDER?subject=..&task=..``; raises CannotWrite if it is not valid."""
    folder, _, query = text.removeprefix(SCHEME).partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    wrong = [key for key in given if key not in (*NEEDED, *OPTIONAL)]
    missing = [key for key in NEEDED if key not in given]
    bad = [
        f"{key}={value}" for key, value in given.items() if not re.fullmatch("[A-Za-z0-9]+", value)
    ]
    if not folder or wrong or missing or bad:
        found = ", ".join([*(f"no {key}" for key in missing), *wrong, *bad]) or "no folder"
        raise CannotWrite(
            "bids:FOLDER?subject=01&task=rest (session, run), labels of letters and digits",
            f"{found} in {text}",
            "correct it",
        )
    return BIDSEntities(Path(folder), **given)


SCAN_COLUMNS = {
    "title": "Name of the recording, given by a person.",
    "notes": "Notes about the recording, in a person's words.",
}
"""Columns of scans.tsv with their descriptions."""
SEXES = {"female": "F", "male": "M", "other": "O"}
"""Sexes as ``participants.tsv`` has them."""
NO_FACTS = BIDSFacts()


def write_bids(
    recording: Recording, place: BIDSEntities, force: bool = False, facts: BIDSFacts = NO_FACTS
) -> tuple[Path, WriteResult]:
    """Add a recording to a dataset; return the signal's file.

    All files are made in a temporary folder and moved when they are complete. ``facts`` about the
    dataset and the person are written where these are new.

    Raises
    ------
    CannotWrite
        If the recording exists and ``force`` is not set, or if it does not fit into EDF.
    """
    before = place.signals()
    if before and not force:
        raise CannotWrite("a new recording", f"{before[0]}", "choose another run, or add --force")
    with TemporaryDirectory(prefix=".mimamba-", dir=place.root.parent) as folder:
        staging = BIDSEntities(
            Path(folder) / "dataset", place.subject, place.task, place.session, place.run
        )
        new_person = _stage_tables(place, staging)
        suffix = ".bdf" if needs_bdf(recording) else ".edf"
        signal = Path(folder) / f"signal{suffix}"
        written = (write_bdf if suffix == ".bdf" else write_edf)(recording, signal)
        tagged = _describe(recording, signal, staging, facts)
        _move(staging.root, place.root, new_person)
        if tagged:
            _note_hed_version(place.root / DESCRIPTION)
    target = place.folder / f"{place.stem}_eeg{suffix}"
    for each in before:
        if each != target:
            each.unlink(missing_ok=True)
    return target, replace(written, notices=(*written.notices, *_absent(recording, facts)))


def _absent(recording: Recording, facts: BIDSFacts) -> Iterator[str]:
    """Yield one notice of all labels that no marker has, each with its likely spelling."""
    there = list(dict.fromkeys(each.label.strip() for each in recording.markers))
    absent = [label for label in facts.expected if label not in there]
    if not absent:
        return
    named = []
    for label in absent[:MOST_NAMED]:
        near = get_close_matches(label, there[:MOST_COMPARED], n=1, cutoff=0.7)
        named.append(f"{label[:SHOWN]!r}" + "".join(f" (is it {each[:SHOWN]!r}?)" for each in near))
    more = f", and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
    yield f"No marker of this recording has these labels of [markers]: {', '.join(named)}{more}."


def _stage_tables(place: BIDSEntities, staging: BIDSEntities) -> bool:
    """Copy the tables that get a new row; True if the person is new to the dataset."""
    staging.subject_folder.mkdir(parents=True)
    for scans in (f"{_prefix(place)}_scans.tsv", f"{_prefix(place)}_scans.json"):
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


def _describe(recording: Recording, signal: Path, staging: BIDSEntities, facts: BIDSFacts) -> bool:
    """Copy the signal and write its descriptions, with mne-bids.

    Returns whether there are HED annotations among them.
    """
    read = mne.io.read_raw_bdf if signal.suffix == ".bdf" else mne.io.read_raw_edf
    raw = read(signal, verbose="error")
    if start_time(recording) is None:
        raw.set_meas_date(None)
    if facts.mains is not None:
        raw.info["line_freq"] = facts.mains
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
    if facts.name is not None or facts.authors:
        mne_bids.make_dataset_description(
            path=staging.root,
            name=facts.name or "EEG",
            authors=list(facts.authors) or None,
            overwrite=True,
            verbose="error",
        )
    _describe_person(staging, facts)
    _describe_scan(staging, facts)
    table = staging.folder / f"{staging.stem}_events.tsv"
    if facts.names:
        _name_events(table, facts)
    if events := find_block_events(recording.markers):
        _add_block_events(events, table, recording)
    return _annotate_events(table, facts)


def _annotate_events(table: Path, facts: BIDSFacts) -> bool:
    """Write the HED annotations of the events that there are; returns whether there are any."""
    rows = read_tsv(table) if facts.hed else None
    labels = dict.fromkeys(row.get(LABEL, "") for row in rows or ())
    tags = {label: facts.hed[label] for label in labels if label in facts.hed}
    if tags:
        sidecar = table.with_suffix(".json")
        described = msgspec.json.decode(sidecar.read_bytes())
        described[LABEL] = {**described.get(LABEL, {}), "HED": tags}
        sidecar.write_bytes(msgspec.json.format(msgspec.json.encode(described)))
    return bool(tags)


def _note_hed_version(description: Path) -> None:
    """Write the version of HED into the description of a dataset that has none."""
    described = msgspec.json.decode(description.read_bytes())
    if "HEDVersion" not in described:
        described["HEDVersion"] = HED_VERSION
        description.write_bytes(msgspec.json.format(msgspec.json.encode(described)))


def _describe_person(staging: BIDSEntities, facts: BIDSFacts) -> None:
    """Write age and sex into the person's row, and what the letters mean."""
    known = {
        "age": None if facts.age is None else str(facts.age),
        "sex": SEXES[facts.sex] if facts.sex else None,
    }
    given = {name: value for name, value in known.items() if value is not None}
    if not given:
        return
    table = staging.root / PEOPLE
    _set_cells(table, f"sub-{staging.subject}", given)
    sidecar = table.with_suffix(".json")
    described = msgspec.json.decode(sidecar.read_bytes())
    described |= {
        "age": {"Description": "Age of the participant", "Units": "years"},
        "sex": {
            "Description": "Sex of the participant",
            "Levels": {letter: sex for sex, letter in SEXES.items()},
        },
    }
    sidecar.write_bytes(msgspec.json.format(msgspec.json.encode(described)))


def _describe_scan(staging: BIDSEntities, facts: BIDSFacts) -> None:
    """Write title and notes into the recording's row, each on one line, and what they are."""
    known = {"title": facts.title, "notes": facts.notes}
    given = {name: " ".join(text.split()) for name, text in known.items() if text}
    if not given:
        return
    table = staging.subject_folder / f"{_prefix(staging)}_scans.tsv"
    for each in staging.signals():
        _set_cells(table, f"{each.parent.name}/{each.name}", given)
    described = {name: {"Description": text} for name, text in SCAN_COLUMNS.items()}
    sidecar = table.with_suffix(".json")
    if sidecar.exists():
        described = msgspec.json.decode(sidecar.read_bytes()) | described
    sidecar.write_bytes(msgspec.json.format(msgspec.json.encode(described)))


def _set_cells(table: Path, row: str, given: dict[str, str]) -> None:
    """Write cells into the row of a TSV table with this first cell; adds missing columns."""
    columns, *rows = (line.split("\t") for line in table.read_text("utf-8-sig").splitlines())
    columns += [name for name in given if name not in columns]
    lines = [columns]
    for found in rows:
        cells = dict(zip(columns, [*found, *[MISSING] * (len(columns) - len(found))], strict=True))
        cells |= given if found[0] == row else {}
        lines.append([cells[name] for name in columns])
    table.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def _add_block_events(events: tuple[BlockEvent, ...], table: Path, recording: Recording) -> None:
    """Add blocks and ratings to the table of events, which holds the markers, and describe them."""
    rows = [dict(row) for row in read_tsv(table) or () if row.get("onset")]
    columns = [*dict.fromkeys([*rows[0], *RATING_COLUMNS])]
    sfreq = recording.info.sfreq
    for each in events:
        row = {
            "onset": f"{each.start / sfreq:.6f}",
            "duration": f"{(each.stop - each.start) / sfreq:.6f}",
            LABEL: each.kind,
            "sample": str(each.start),
        }
        given = {"valence": each.valence, "arousal": each.arousal}
        row |= {name: f"{value:g}" for name, value in given.items() if value is not None}
        rows.append(row)
    rows.sort(key=lambda row: float(row["onset"]))
    _write_events(table, columns, rows, RATING_COLUMNS)


def _name_events(table: Path, facts: BIDSFacts) -> None:
    """Give markers their names, and equal names equal event codes; keep the labels."""
    rows = [dict(row) for row in read_tsv(table) or () if row.get("onset")]
    if not any(row[LABEL] in facts.names for row in rows):
        return
    codes: dict[str, str] = {}
    for row in rows:
        row[ORIGINAL] = row[LABEL]
        row[LABEL] = facts.names.get(row[LABEL], row[LABEL])
        row["value"] = codes.setdefault(row[LABEL], row["value"])
    texts = {ORIGINAL: "Label of the marker as the program that set it has sent it."}
    _write_events(table, list(rows[0]), rows, texts)


def _write_events(
    table: Path, columns: list[str], rows: list[dict[str, str]], texts: Mapping[str, str]
) -> None:
    """Replace the table of events, and describe the columns of ``texts`` in its sidecar."""
    lines = [columns, *([row.get(name, MISSING) for name in columns] for row in rows)]
    table.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    sidecar = table.with_suffix(".json")
    described = msgspec.json.decode(sidecar.read_bytes())
    described |= {name: {"Description": text} for name, text in texts.items()}
    sidecar.write_bytes(msgspec.json.format(msgspec.json.encode(described)))


def _move(staging: Path, root: Path, new_person: bool) -> None:
    """Move all files into the dataset; keep its own descriptions."""
    for source in sorted(staging.rglob("*"), reverse=True):
        target = root / source.relative_to(staging)
        shared = source.parent == staging and target.exists()
        if source.is_dir() or (shared and not (source.name == PEOPLE and new_person)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
