"""Markers for the blinks and jaw clenches of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Marker, Seconds, StreamInfo
from mimamba.models.detection.band_filter import BandFilterState
from mimamba.models.detection.blink import BAND as BLINK_BAND
from mimamba.models.detection.blink import BlinkDetector, BlinkMemory
from mimamba.models.detection.event_kinds import DETECTOR, LABELS, EventKind
from mimamba.models.detection.jaw import BAND as JAW_BAND
from mimamba.models.detection.jaw import JawDetector, JawMemory

FOREHEAD = (("AF7", "AF8"), ("FP1", "FP2"), ("AF3", "AF4"), ("AFZ",), ("FPZ",))
"""Electrodes for blinks: the first of these groups that is there; else any of them."""
TEMPLES = (
    *("TP9", "TP10", "T7", "T8", "TP7", "TP8", "FT7", "FT8"),
    *("T3", "T4", "T5", "T6", "FT9", "FT10"),
)
"""Electrodes for jaw clenches; without them, all that are not on the forehead."""
OVERSAMPLING = 2.2
"""Least ratio of a stream's rate to a band's upper edge."""
KEPT_SECONDS = 5.0
"""Times of samples and recorded events that are kept, s."""
SAME_SECONDS = 0.25
"""Distance from a recorded event within which a found one is the same, s."""


@dataclass(frozen=True, eq=False)
class DetectorState:
    """State of an ``EventDetector``; its arrays are never modified.

    Parameters
    ----------
    kinds
        What it was asked to find.
    first
        Index of the first sample after the newest gap.
    next
        Epoch and index of the next sample; None before the first one.
    values
        (1, n_channels) the newest possible values; None before the first ones.
    stamps
        (n_kept,) times of the newest samples, s.
    recorded
        Events of the recording among them: index and label.
    blink, jaw
        States of the detectors; None for one that has not begun.
    """

    kinds: tuple[EventKind, ...]
    first: int = 0
    next: tuple[int, int] | None = None
    values: NDArray[np.float64] | None = None
    stamps: Seconds = field(default_factory=lambda: np.zeros(0))
    recorded: tuple[tuple[int, str], ...] = ()
    blink: tuple[BandFilterState, BlinkMemory] | None = None
    jaw: tuple[BandFilterState, JawMemory] | None = None


class EventDetector:
    """Detector of events in a stream's chunks.

    A gap, and a new epoch, starts over: for the next 2 s nothing is found. A recording's own
    markers of a detector count as found already. The result does not depend on how the stream is
    cut into chunks.

    Parameters
    ----------
    info
        The stream.
    kinds
        What to find. What its channels or its rate do not show is left out, with a notice.

    Attributes
    ----------
    notices
        One sentence for each kind that cannot be found.
    """

    def __init__(self, info: StreamInfo, kinds: Sequence[EventKind]) -> None:
        notices = []
        self._kinds = tuple(kinds)
        self._sfreq = info.sfreq
        self._columns: dict[EventKind, list[int]] = {}
        for kind in dict.fromkeys(kinds):
            columns, band = (
                (find_forehead(info.ch_names), BLINK_BAND)
                if kind == "blink"
                else (find_temples(info.ch_names), JAW_BAND)
            )
            if not columns:
                notices.append(f"No channel is on the forehead, so a {kind} cannot be detected.")
            elif info.sfreq < OVERSAMPLING * band[1]:
                notices.append(f"{info.sfreq:g} Hz are too slow to detect a {LABELS[kind]}.")
            else:
                self._columns[kind] = columns
        self.notices = tuple(notices)
        self._blink: BlinkDetector | None = None
        self._jaw: JawDetector | None = None
        self._first = 0
        self._next: tuple[int, int] | None = None  # epoch and index
        self._values: NDArray[np.float64] | None = None
        self._stamps: Seconds = np.zeros(0)
        self._recorded: list[tuple[int, str]] = []

    @property
    def kept(self) -> int:
        """Most times that its state has."""
        return round(KEPT_SECONDS * self._sfreq)

    @property
    def columns(self) -> dict[EventKind, list[int]]:
        """The channels in which each kind is looked for."""
        return self._columns

    @property
    def state(self) -> DetectorState:
        """Complete state; set it to continue from there, with the same stream and kinds."""
        return DetectorState(
            self._kinds,
            self._first,
            self._next,
            self._values,
            self._stamps[-self.kept :],
            tuple(self._recorded),
            self._blink.state if self._blink else None,
            self._jaw.state if self._jaw else None,
        )

    @state.setter
    def state(self, state: DetectorState) -> None:
        self._begin_detectors()
        self._first, self._next = state.first, state.next
        self._values, self._stamps = state.values, state.stamps
        self._recorded = list(state.recorded)
        if self._blink is not None and state.blink is not None:
            self._blink.state = state.blink
        if self._jaw is not None and state.jaw is not None:
            self._jaw.state = state.jaw

    def push(self, chunk: Chunk) -> list[Marker]:
        """Return the events that are certain with this chunk, in order; their samples are past."""
        if not chunk.n_times or not self._columns:
            return []
        if self._next != (chunk.epoch, chunk.first):
            self._restart(chunk)
        self._next = (chunk.epoch, chunk.end)
        self._note(chunk)
        data = self._fill(chunk.data.astype(np.float64))
        found = []
        if self._blink is not None:
            places = self._blink.push(data[:, self._columns["blink"]])
            found += [(self._first + at, LABELS["blink"]) for at in places]
        if self._jaw is not None:
            places = self._jaw.push(data[:, self._columns["jaw"]])
            found += [(self._first + at, LABELS["jaw"]) for at in places]
        start = chunk.end - len(self._stamps)
        return [
            Marker(float(self._stamps[max(0, index - start)]), index, label, DETECTOR)
            for index, label in sorted(found)
            if not self._is_recorded(index, label)
        ]

    def _restart(self, chunk: Chunk) -> None:
        self._first = chunk.first
        self._values, self._stamps, self._recorded = None, np.zeros(0), []
        self._begin_detectors()

    def _begin_detectors(self) -> None:
        blink, jaw = self._columns.get("blink"), self._columns.get("jaw")
        self._blink = BlinkDetector(self._sfreq, len(blink)) if blink else None
        self._jaw = JawDetector(self._sfreq, len(jaw)) if jaw else None

    def _note(self, chunk: Chunk) -> None:
        """Keep the times of the newest samples, and the events that the recording has already."""
        stamps = np.concatenate([self._stamps, chunk.timestamps])
        self._stamps = stamps[-(self.kept + chunk.n_times) :]
        self._recorded = [each for each in self._recorded if each[0] > chunk.first - self.kept]
        self._recorded += [
            (marker.index, marker.label) for marker in chunk.markers if marker.source == DETECTOR
        ]

    def _is_recorded(self, index: int, label: str) -> bool:
        near = SAME_SECONDS * self._sfreq
        return any(abs(at - index) <= near and name == label for at, name in self._recorded)

    def _fill(self, data: NDArray[np.float64]) -> NDArray[np.float64]:
        """Replace what is no number by the value before it."""
        before = np.zeros((1, data.shape[1])) if self._values is None else self._values
        rows = np.concatenate([before, data])
        good = np.isfinite(rows)
        if not good.all():
            place = np.maximum.accumulate(np.where(good, np.arange(len(rows))[:, None], 0), axis=0)
            rows = np.take_along_axis(rows, place, axis=0)
        self._values = rows[-1:]
        return rows[1:]


def find_forehead(ch_names: Sequence[str]) -> list[int]:
    """Return the columns of the electrodes for blinks; none if there are none."""
    places = {name.upper(): column for column, name in enumerate(ch_names)}
    for group in FOREHEAD:
        if all(name in places for name in group):
            return [places[name] for name in group]
    return [places[name] for group in FOREHEAD for name in group if name in places][:1]


def find_temples(ch_names: Sequence[str]) -> list[int]:
    """Return the columns of the channels for jaw clenches."""
    names = [name.upper() for name in ch_names]
    forehead = {name for group in FOREHEAD for name in group}
    temples = [column for column, name in enumerate(names) if name in TEMPLES]
    others = [column for column, name in enumerate(names) if name not in forehead]
    return temples or others or list(range(len(names)))
