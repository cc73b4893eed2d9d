"""A recording's facts and markers as JSON, for formats that leave room for them."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TypeVar

import msgspec

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.errors import BadRecording

SLOWEST, FASTEST = 10.0, 100_000.0
"""Rates that a signal may have, Hz."""
JOIN = "; "
"""Between the labels of markers at the same sample, in a column for people."""

T = TypeVar("T")


class RecordingMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """What a file says of its signal: ``StreamInfo``, less what is told by the file itself."""

    sfreq: float
    ch_names: tuple[str, ...]
    uv_per_bit: float | None = None
    range_uv: float | None = None
    simulated: bool = False
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: StreamInfo) -> RecordingMetadata:
        """Those of a source."""
        return cls(
            info.sfreq,
            info.ch_names,
            info.uv_per_bit,
            info.range_uv,
            info.simulated,
            info.notices,
        )

    def info(self, path: Path, ch_names: tuple[str, ...]) -> StreamInfo:
        """The facts of a file with the channels chosen.

        Raises
        ------
        BadRecording
            If they are no facts of a signal.
        """
        if not SLOWEST <= self.sfreq <= FASTEST:
            raise damaged(path, f"a rate of {self.sfreq:g} Hz")
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
    """One line."""
    return msgspec.json.encode(value).decode()


def from_json(text: str | bytes, kind: type[T], path: Path) -> T:
    """What ``to_json`` wrote; raises BadRecording where it is not that."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(path, f"{error}") from error


def damaged(path: Path, found: str) -> BadRecording:
    """The error for a file that contradicts itself."""
    return BadRecording(f"a whole file at {path}", found, "convert the recording again")


def check_markers(
    markers: tuple[Marker, ...], last: int, path: Path
) -> tuple[tuple[Marker, ...], tuple[str, ...]]:
    """Those up to index ``last``, and a notice where there are more: the file is cut.

    Raises
    ------
    BadRecording
        If an index or a timestamp is none.
    """
    if any(marker.index < 0 or not isfinite(marker.timestamp) for marker in markers):
        raise damaged(path, "a marker without a place")
    kept = tuple(marker for marker in markers if marker.index <= last)
    cut = len(markers) - len(kept)
    return kept, (f"Markers behind the last sample are left out: {cut}.",) if cut else ()


def labels_at(markers: tuple[Marker, ...]) -> dict[int, str]:
    """What a column of labels says at each index, on one line."""
    told: dict[int, list[str]] = {}
    for marker in markers:
        told.setdefault(marker.index, []).append(" ".join(marker.label.split()))
    return {index: JOIN.join(labels) for index, labels in told.items()}
