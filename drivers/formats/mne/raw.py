"""What MNE has opened, as a recording.

MNE gives volts; samples are read in blocks, so that only float32 of the channels taken is held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import Samples, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.bids_sidecars import Sidecars, beside
from mimamba.drivers.formats.events import Event, with_events
from mimamba.drivers.formats.recording import Recording

BLOCK = 2**20
"""Values per block."""
LARGEST = 2**30
"""Values of a recording: as many as the largest file can hold, pauses filled."""
VOLT = 107
"""FIFF's code for the unit of volts."""


def open_raw(opener: Callable[[], Any], kind: str, path: Path) -> Any:
    """What MNE's opener gives; raises BadRecording where it fails."""
    try:
        with np.errstate(all="ignore"):
            raw = opener()
            raw.get_channel_types()  # fails late where the types are nonsense
            return raw
    except Exception as error:  # MNE raises what nonsense led to, a bare Exception among it
        raise damaged(kind, path, error) from error


def damaged(kind: str, path: Path, error: Exception) -> BadRecording:
    """One line for an error of MNE."""
    found = f"{type(error).__name__}: {error}"[:200]
    return BadRecording(
        f"a whole {kind} file at {path}", f"it is cut or damaged ({found})", "record again"
    )


def recording_of(raw: Any, kind: str, path: Path, choice: ChannelChoice) -> Recording:
    """The EEG of a file that MNE has opened, or the channels asked for.

    Raises
    ------
    BadRecording
        If it holds none, or its samples cannot be read.
    BadChannels
        If the channels asked for are not there.
    """
    notices: list[str] = []
    tables = beside(path)
    picks = _pick(raw, tables, choice, path, notices)
    sfreq = float(raw.info["sfreq"])
    if raw.n_times * len(picks.rows) > LARGEST:
        raise BadRecording(
            f"up to {LARGEST:,} values in {path}", f"{raw.n_times:,} samples", "split the file"
        )
    try:
        with np.errstate(all="ignore"):
            data = _microvolts(raw, picks.rows, notices)
            noted = _annotations(raw)
    except Exception as error:  # as above
        raise damaged(kind, path, error) from error
    index = np.arange(raw.n_times, dtype=np.int64)
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
        ch_names=picks.names,
        live=False,
        notices=tuple(notices),
    )
    return with_events(info, data, index, noted, tables.events)


def _pick(
    raw: Any, tables: Sidecars, choice: ChannelChoice, path: Path, notices: list[str]
) -> ChannelSelection:
    names: list[str] = raw.ch_names
    told = {name: kind.upper() for name, kind in zip(names, raw.get_channel_types(), strict=True)}
    kinds = {name: tables.kinds.get(name, kind) for name, kind in told.items()}
    eeg = tuple(name for name in names if kinds[name] == "EEG")
    if not eeg and choice.channels is None:
        raise BadRecording(
            "EEG channels", f"{', '.join(names)} in {path}", "choose some with channels="
        )
    left = [f"{name} ({kinds[name]})" for name in names if name not in eeg]
    if left and choice.channels is None:
        notices.append(f"Left out: {', '.join(left)}.")
    picks = ChannelChoice(choice.channels or eeg, choice.names).pick(names)
    bad = [names[row] for row in picks.rows if names[row] in {*raw.info["bads"], *tables.bad}]
    if bad:
        notices.append(f"{', '.join(bad)}: marked as bad in the file.")
    return picks


def _microvolts(raw: Any, rows: Sequence[int], notices: list[str]) -> Samples:
    """(n_times, n_channels); what is no voltage stays as it is."""
    units = [raw.info["chs"][row]["unit"] for row in rows]
    factors = np.array([1e6 if unit == VOLT else 1.0 for unit in units])
    other = [raw.ch_names[row] for row, unit in zip(rows, units, strict=True) if unit != VOLT]
    if other:
        notices.append(f"{', '.join(other)}: no voltage; the numbers are taken as µV.")
    data = np.empty((raw.n_times, len(rows)), np.float32)
    step = max(1, BLOCK // raw.info["nchan"])
    for start in range(0, raw.n_times, step):
        stop = min(start + step, raw.n_times)
        data[start:stop] = raw.get_data(list(rows), start, stop).T * factors
    return data


def _annotations(raw: Any) -> list[Event]:
    """Annotations; their onsets counted from the first sample."""
    noted = raw.annotations
    return [
        Event(float(onset) - raw.first_time, str(text), "annotations", float(duration))
        for onset, duration, text in zip(
            noted.onset, noted.duration, noted.description, strict=True
        )
    ]
