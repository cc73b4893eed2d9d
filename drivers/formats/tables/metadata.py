"""A recording's metadata and markers as JSON, for formats with room for text."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TypeVar

import msgspec

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.stamp_check import MAX_SFREQ, MIN_SFREQ

LABEL_SEPARATOR = "; "
"""Separator of the labels of markers at one sample, in a column for people."""

T = TypeVar("T")


class RecordingMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Metadata of a signal: ``StreamInfo`` without what the file itself gives."""

    sfreq: float
    ch_names: tuple[str, ...]
    uv_per_bit: float | None = None
    range_uv: float | None = None
    simulated: bool = False
    notices: tuple[str, ...] = ()

    @classmethod
    def from_info(cls, info: StreamInfo) -> RecordingMetadata:
        """Take the metadata from a source's facts."""
        return cls(
            info.sfreq,
            info.ch_names,
            info.uv_per_bit,
            info.range_uv,
            info.simulated,
            info.notices,
        )

    def info(self, path: Path, ch_names: tuple[str, ...]) -> StreamInfo:
        """Return the facts about a file with the selected channels.

        Raises
        ------
        BadRecording
            If the sampling frequency is implausible.
        """
        if not MIN_SFREQ <= self.sfreq <= MAX_SFREQ:
            raise damaged_file(path, f"a rate of {self.sfreq:g} Hz")
        return StreamInfo(
            name=path.name,
            source_id=str(path),
            sfreq=self.sfreq,
            ch_names=ch_names,
            uv_per_bit=self.uv_per_bit,
            range_uv=self.range_uv,
            live=False,
            simulated=self.simulated,
            notices=self.notices,
        )


def to_json(value: RecordingMetadata | Marker | tuple[Marker, ...]) -> str:
    """Encode as one line of JSON."""
    return msgspec.json.encode(value).decode()


def from_json(text: str | bytes, kind: type[T], path: Path) -> T:
    """Decode JSON from ``to_json``; raises BadRecording if it is invalid."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged_file(path, f"{error}") from error


def damaged_file(path: Path, found: str) -> BadRecording:
    """Return the error for a file that contradicts itself."""
    return BadRecording(f"a complete file at {path}", found, "convert the recording again")


def check_markers(
    markers: tuple[Marker, ...], last: int, path: Path
) -> tuple[tuple[Marker, ...], tuple[str, ...]]:
    """Return the markers up to index ``last``, and a notice if there are more.

    Raises
    ------
    BadRecording
        If an index or a timestamp is invalid.
    """
    if any(marker.index < 0 or not isfinite(marker.timestamp) for marker in markers):
        raise damaged_file(path, "a marker at an invalid position")
    kept = tuple(marker for marker in markers if marker.index <= last)
    cut = len(markers) - len(kept)
    return kept, (f"Markers after the last sample are left out: {cut}.",) if cut else ()


def labels_at(markers: tuple[Marker, ...]) -> dict[int, str]:
    """Return the labels at each index, joined on one line."""
    labels: dict[int, list[str]] = {}
    for marker in markers:
        labels.setdefault(marker.index, []).append(" ".join(marker.label.split()))
    return {index: LABEL_SEPARATOR.join(each) for index, each in labels.items()}
