"""Conversion of a Muse's notifications to chunks of EEG, auxiliary chunks and battery charge."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mimamba.drivers.auxiliary_buffer import AuxiliaryBuffer
from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk
from mimamba.drivers.muse.block_joiner import BlockJoiner, JoinedBlock
from mimamba.drivers.muse.packets import Battery, Sensor, SensorBlock, decode_notification
from mimamba.drivers.timing.packet_counter import CounterClock, PacketNumbering


class MuseReceiver:
    """Decoder, joiner and clock for everything that one connection brings.

    Without Bluetooth, and without threads: its user calls it from one.
    """

    def __init__(self) -> None:
        self.battery: float | None = None
        """Charge that was reported last, percent."""
        self._tracks: dict[str, _Track] = {}
        self._eeg: list[Chunk] = []
        self._auxiliary = AuxiliaryBuffer()

    def feed(self, characteristic: str, data: bytes, stamp: float) -> None:
        """Process a notification, received at ``stamp``, s on the LSL clock."""
        for track in self._tracks.values():
            self._put(track, track.joiner.expire(stamp))
        blocks = []
        for found in decode_notification(characteristic, data):
            if isinstance(found, Battery):
                self.battery = found.charge
            else:
                blocks.append(found)
        # Several blocks of one sensor in a notification were measured one after the other.
        left = Counter(block.sensor for block in blocks)
        for block in blocks:
            left[block.sensor] -= 1
            self._take(block, stamp, left[block.sensor] * block.sensor.block_seconds)

    def flush(self) -> None:
        """Decide about everything that is held back."""
        for track in self._tracks.values():
            self._put(track, track.joiner.flush())
            self._keep(track, track.clock.flush())

    def take_eeg(self) -> list[Chunk]:
        """Return the EEG since the last call, µV of the four electrodes."""
        taken, self._eeg = self._eeg, []
        return _merge(taken)

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the rest since the last call."""
        return self._auxiliary.take()

    def _take(self, block: SensorBlock, stamp: float, age: float) -> None:
        track = self._tracks.get(block.sensor.name)
        if track is None:
            track = self._tracks[block.sensor.name] = _Track(block.sensor)
        # A headset does not change a sensor's format while it measures.
        if track.sensor == block.sensor:
            self._put(track, track.joiner.push(block, stamp, age))

    def _put(self, track: _Track, joined: list[JoinedBlock]) -> None:
        for block in joined:
            self._keep(track, track.number(block))

    def _keep(self, track: _Track, chunks: list[Chunk]) -> None:
        if track.info is None:
            self._eeg += chunks
            return
        self._auxiliary.add(
            AuxiliaryChunk(track.info, chunk.data, chunk.timestamps, chunk.first)
            for chunk in chunks
        )


def _merge(chunks: list[Chunk]) -> list[Chunk]:
    """Merge chunks that follow each other without a gap."""
    if len(chunks) < 2:
        return chunks
    runs: list[list[Chunk]] = []
    for chunk in chunks:
        if runs and runs[-1][-1].end == chunk.first:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return [
        Chunk(
            np.concatenate([each.data for each in run]),
            np.concatenate([each.timestamps for each in run]),
            run[0].first,
        )
        for run in runs
    ]


class _Track:
    """One sensor's joiner and clock."""

    def __init__(self, sensor: Sensor) -> None:
        self.sensor = sensor
        self.joiner = BlockJoiner(sensor)
        numbering = PacketNumbering(
            sensor.n_numbers, sensor.n_times, sensor.n_times, sensor.n_numbers - 1
        )
        self.clock = CounterClock(numbering, sensor.sfreq)
        self.info = (
            None
            if sensor.name == "eeg"
            else AuxiliaryInfo(sensor.name, sensor.unit, sensor.sfreq, sensor.ch_names)
        )
        self._ages = np.arange(sensor.n_times - 1, -1, -1) / sensor.sfreq

    def number(self, block: JoinedBlock) -> list[Chunk]:
        """Return the samples that are numbered and stamped by now."""
        numbers = np.full(self.sensor.n_times, float(block.number))
        return self.clock.push(numbers, block.stamp - self._ages, block.values)
