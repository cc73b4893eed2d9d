"""Conversion of MNE's Raw to a recording.

MNE returns volts. Samples are read in blocks, so that memory holds only the selected channels as
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mimamba.drivers.channels import (
    EEG,
    ChannelChoice,
    ChannelSelection,
    DeclaredChannel,
    eeg_notices,
    find_eeg,
)
from mimamba.drivers.driver import Samples, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.bids_sidecars import BIDSSidecars, read_sidecars
from mimamba.drivers.formats.events import FileEvent, recording_with_events
from mimamba.drivers.formats.recording import Recording

BLOCK_VALUES = 2**20
"""Values per block."""
MAX_VALUES = 2**30
"""Largest number of values: as many as the largest file can have, with pauses filled."""
VOLT = 107
"""FIFF's code for the unit of volts."""


def open_raw(opener: Callable[[], Any], kind: str, path: Path) -> Any:
    """Open a file with MNE; raises BadRecording if that fails."""
    try:
        with np.errstate(all="ignore"):
            raw = opener()
            raw.get_channel_types()  # else invalid types would fail later
            return raw
    except Exception as error:  # MNE raises any error for damaged files, even Exception
        raise mne_error(kind, path, error) from error


def mne_error(kind: str, path: Path, error: Exception) -> BadRecording:
    """Convert an error of MNE to one line."""
    found = f"{type(error).__name__}: {error}"[:200]
    return BadRecording(
        f"a complete {kind} file at {path}",
        f"one that is cut off or damaged ({found})",
        "record again",
    )


def raw_to_recording(
    raw: Any, kind: str, path: Path, choice: ChannelChoice, typed: bool = True
) -> Recording:
    """Convert the EEG of a file that MNE has opened, or the channels asked for.

    ``typed`` is False for a format in which MNE takes a channel for EEG if it has no type.

    Raises
    ------
    BadRecording
        If the file has no EEG, or its samples cannot be read.
    BadChannels
        If a channel asked for does not exist.
    """
    notices: list[str] = []
    tables = read_sidecars(path)
    picks = _pick(raw, tables, choice, path, notices, typed)
    sfreq = float(raw.info["sfreq"])
    notices.extend(tables.rate_notices(sfreq))
    if raw.n_times * len(picks.rows) > MAX_VALUES:
        raise BadRecording(
            f"up to {MAX_VALUES:,} values in {path}", f"{raw.n_times:,} samples", "split the file"
        )
    try:
        with np.errstate(all="ignore"):
            data = _microvolts(raw, picks.rows, notices)
            annotations = _annotations(raw)
    except Exception as error:  # as in open_raw
        raise mne_error(kind, path, error) from error
    index = np.arange(raw.n_times, dtype=np.int64)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
        ch_names=picks.names,
        live=False,
        notices=tuple(notices),
    )
    return recording_with_events(info, data, index, annotations, tables.events)


def _pick(
    raw: Any,
    tables: BIDSSidecars,
    choice: ChannelChoice,
    path: Path,
    notices: list[str],
    typed: bool,
) -> ChannelSelection:
    names: list[str] = raw.ch_names
    own = [kind.upper() for kind in raw.get_channel_types()]
    if not typed:
        own = ["" if kind == EEG else kind for kind in own]
    found = find_eeg(
        [
            DeclaredChannel(name, tables.kinds.get(name, kind))
            for name, kind in zip(names, own, strict=True)
        ]
    )
    eeg = tuple(names[row] for row in found.rows)
    if not eeg and choice.channels is None:
        raise BadRecording(
            "EEG channels", f"{', '.join(names)} in {path}", "select channels with channels="
        )
    if choice.channels is None:
        notices.extend(eeg_notices(found, names))
    picks = ChannelChoice(choice.channels or eeg, choice.names).select(names)
    bad = [names[row] for row in picks.rows if names[row] in {*raw.info["bads"], *tables.bad}]
    if bad:
        notices.append(f"{', '.join(bad)}: marked as bad in the file.")
    return picks


def _microvolts(raw: Any, rows: Sequence[int], notices: list[str]) -> Samples:
    """Read samples, (n_times, n_channels), µV; other units than voltage are kept."""
    units = [raw.info["chs"][row]["unit"] for row in rows]
    factors = np.array([1e6 if unit == VOLT else 1.0 for unit in units])
    other = [raw.ch_names[row] for row, unit in zip(rows, units, strict=True) if unit != VOLT]
    if other:
        notices.append(f"{', '.join(other)}: not a voltage; the values are treated as µV.")
    data = np.empty((raw.n_times, len(rows)), np.float32)
    step = max(1, BLOCK_VALUES // raw.info["nchan"])
    for start in range(0, raw.n_times, step):
        stop = min(start + step, raw.n_times)
        data[start:stop] = raw.get_data(list(rows), start, stop).T * factors
    return data


def _annotations(raw: Any) -> list[FileEvent]:
    """Read the annotations, with onsets from the first sample."""
    noted = raw.annotations
    return [
        FileEvent(float(onset) - raw.first_time, str(text), "annotations", float(duration))
        for onset, duration, text in zip(
            noted.onset, noted.duration, noted.description, strict=True
        )
    ]
