"""Conversion of an app's messages to chunks of EEG, auxiliary chunks, markers and charge.

Without a number, a sample's place is known by its time alone: that of its bundle, else that of its
arrival. ``SampleClock`` evens these out, as for Mind Monitor's CSV: samples that share a time are
apart by the rate, and a gap is where the times run ahead and stay there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mimamba.drivers.driver import (
    AUXILIARY_SECONDS,
    AuxiliaryChunk,
    AuxiliaryInfo,
    Chunk,
    Samples,
)
from mimamba.drivers.lsl.markers import MarkerBuffer, ReceivedMarker
from mimamba.drivers.osc.contact_remarks import ContactRemarks
from mimamba.drivers.osc.datagrams import OSCMessage
from mimamba.drivers.osc.layouts import (
    ELECTRODES,
    N_ELECTRODES,
    NUMBERS,
    AppEvent,
    AppLayout,
    Charge,
    ContactGrades,
    SensorSample,
)
from mimamba.drivers.osc.packet_order import NumberedSample, NumberOrder
from mimamba.drivers.timing.live_stamps import LiveStamps
from mimamba.drivers.timing.packet_counter import CounterClock, PacketNumbering
from mimamba.drivers.timing.sample_clock import SampleClock


@dataclass(frozen=True)
class ArrivedMessage:
    """A message, and its time of arrival, s on the LSL clock."""

    message: OSCMessage
    stamp: float


class AppReceiver:
    """Decoder and clocks for all that one app sends.

    Parameters
    ----------
    layout
        The app's.
    sfreq
        Nominal rate of the EEG, Hz.
    rows
        Places of the channels among an EEG message's values.
    offset
        Level of the raw values, µV, which is subtracted.
    timed
        True if the messages of EEG are in bundles with a time.
    """

    def __init__(
        self, layout: AppLayout, sfreq: float, rows: Sequence[int], offset: float, timed: bool
    ) -> None:
        self.battery: float | None = None
        """Charge that was reported last, percent."""
        self._layout = layout
        self._rows = list(rows)
        self._offset = offset
        self._stamps = LiveStamps(sfreq, layout.title) if timed else None
        self._clock = SampleClock(sfreq)
        self._order = NumberOrder()
        self._counter = CounterClock(PacketNumbering(NUMBERS, 1, 1, NUMBERS - 1), sfreq)
        self._markers = MarkerBuffer(sfreq)
        self._contact = ContactRemarks(layout.title, ELECTRODES[:N_ELECTRODES])
        self._remarks: list[str] = []
        self._tracks: dict[str, _AuxiliaryTrack] = {}
        self._eeg: list[Chunk] = []
        self._auxiliary: deque[AuxiliaryChunk] = deque()
        self._taking = threading.Lock()

    def feed(self, arrived: Sequence[ArrivedMessage], now: float) -> None:
        """Process messages in order of arrival, up to ``now``, s on the LSL clock."""
        plain: list[tuple[float, float, tuple[float, ...]]] = []
        ordered: list[NumberedSample] = []
        for each in arrived:
            found = self._layout.decode(each.message)
            if isinstance(found, Charge):
                self.battery = found.percent
            elif isinstance(found, ContactGrades):
                self._remarks += self._contact.push(found.grades, each.stamp)
            elif isinstance(found, AppEvent):
                self._markers.add([ReceivedMarker(each.stamp, found.label, self._layout.title)])
            elif isinstance(found, SensorSample):
                if found.info is not None:
                    self._keep(found.info, found.values, each.stamp)
                elif found.number is not None:
                    ordered += self._order.push(
                        NumberedSample(found.number, each.stamp, found.values)
                    )
                else:
                    time = each.message.time
                    plain.append((np.nan if time is None else time, each.stamp, found.values))
        self._take_numbered(ordered + self._order.expire(now))
        self._take_plain(plain)

    def flush(self) -> None:
        """Decide about everything that is held back."""
        self._take_numbered(self._order.flush())
        self._put(self._counter.flush())
        self._put(self._clock.flush())

    def take_eeg(self) -> list[Chunk]:
        """Return the EEG since the last call, with the markers that are due."""
        taken, self._eeg = self._eeg, []
        return taken

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the rest since the last call; from any thread."""
        with self._taking:
            taken = list(self._auxiliary)
            self._auxiliary.clear()
        return taken

    def take_remarks(self) -> tuple[str, ...]:
        """Return remarks about contact and the app's clock since the last call."""
        remarks, self._remarks = tuple(self._remarks), []
        return remarks if self._stamps is None else remarks + self._stamps.take_remarks()

    def _take_plain(self, samples: list[tuple[float, float, tuple[float, ...]]]) -> None:
        if not samples:
            return
        times = np.array([arrived for _, arrived, _ in samples])
        if self._stamps is not None:
            pairs = [self._stamps.push(np.array([time]), arrived) for time, arrived, _ in samples]
            times = np.concatenate(pairs)
        self._put(self._clock.push(times, self._microvolts([values for _, _, values in samples])))

    def _take_numbered(self, samples: list[NumberedSample]) -> None:
        if not samples:
            return
        numbers = np.array([each.number for each in samples], np.float64)
        stamps = np.array([each.stamp for each in samples])
        values = self._microvolts([each.values for each in samples])
        self._put(self._counter.push(numbers, stamps, values))

    def _put(self, chunks: list[Chunk]) -> None:
        self._eeg += [self._markers.attach(chunk) for chunk in chunks]

    def _microvolts(self, samples: list[tuple[float, ...]]) -> Samples:
        """Return the chosen channels; NaN where a message has fewer values than the first one."""
        rows = np.full((len(samples), len(self._rows)), np.nan)
        for k, values in enumerate(samples):
            rows[k] = [values[row] if row < len(values) else np.nan for row in self._rows]
        with np.errstate(over="ignore"):  # anything may be sent
            microvolts: Samples = (rows - self._offset).astype(np.float32)
        return microvolts

    def _keep(self, info: AuxiliaryInfo, values: tuple[float, ...], stamp: float) -> None:
        track = self._tracks.setdefault(info.name, _AuxiliaryTrack(info))
        for chunk in track.push(values, stamp):
            oldest = chunk.timestamps[-1] - AUXILIARY_SECONDS
            with self._taking:
                self._auxiliary.append(chunk)
                while self._auxiliary[0].timestamps[-1] < oldest:
                    self._auxiliary.popleft()


class _AuxiliaryTrack:
    """One sensor's clock, by the times of arrival."""

    def __init__(self, info: AuxiliaryInfo) -> None:
        self._info = info
        self._clock = SampleClock(info.sfreq)

    def push(self, values: tuple[float, ...], stamp: float) -> list[AuxiliaryChunk]:
        with np.errstate(over="ignore"):
            row = np.array([values]).astype(np.float32)
        return [
            AuxiliaryChunk(self._info, chunk.data, chunk.timestamps, chunk.first)
            for chunk in self._clock.push(np.array([stamp]), row)
        ]


def merge_chunks(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Merge chunks that follow each other without a gap."""
    merged: list[list[Chunk]] = []
    for chunk in chunks:
        if merged and merged[-1][-1].end == chunk.first:
            merged[-1].append(chunk)
        else:
            merged.append([chunk])
    return [
        replace(
            run[0],
            data=np.concatenate([each.data for each in run]),
            timestamps=np.concatenate([each.timestamps for each in run]),
            markers=tuple(marker for each in run for marker in each.markers),
        )
        for run in merged
    ]
