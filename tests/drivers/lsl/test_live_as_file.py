"""Recordings played through LSL, against the same recordings read as files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import BadChannels, BadRecording
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.xdf.reader import XDFStream, load_streams
from mimamba.drivers.lsl.driver import LSLDriver
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import parse_source

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)

SECONDS = 8.0
"""Of each recording that is played: all are played at the same time."""
LONGEST_PAUSE = 2.0
"""Longer ones are not waited for: for a live source they are steps of a clock."""
MEASURED = 4.0
"""Signal from which a rate in doubt is measured, s, instead of 10."""
EVENTUALLY = 60.0
SIMULTANEOUS = 7


@dataclass
class Played:
    """A recording, the part of it that is played, and what a driver heard."""

    path: Path
    recording: Recording
    signal: XDFStream
    markers: Sequence[XDFStream]
    chunks: list[Chunk] = field(default_factory=list)
    info: StreamInfo | None = None
    failure: BaseException | None = None
    key: str = field(default_factory=lambda: str(uuid4()))
    heard: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Choose a part with a jump or a marker of the signal in its middle."""
        length = round(SECONDS * self.recording.info.sfreq)
        steps = np.abs(np.diff(self.signal.stamps))
        jump = int(np.argmax(steps)) + 1
        at = jump if steps[jump - 1] > 0.05 else length // 2
        if at != jump and self.recording.markers:
            at = int(np.searchsorted(self.recording.index, self.recording.markers[0].index))
        self.start = max(0, min(at - length // 2, len(self.signal.stamps) - length))
        self.stop = min(self.start + length, len(self.signal.stamps))

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def schedule(self) -> NDArray[np.float64]:
        """When each row is due, s after the first: by the stamps, without steps of their clock."""
        steps = np.diff(self.signal.stamps[self.rows])
        odd = (steps > LONGEST_PAUSE) | (steps < 0)
        steps[odd] = 1 / self.recording.info.sfreq
        return np.concatenate([[0.0], np.cumsum(steps)])

    def play(self) -> None:
        """Send in real time, once a driver listens."""
        signal = outlet(self.signal, self.key)
        marks = [outlet(stream, f"{self.key}-markers") for stream in self.markers]
        for each in (signal, *marks):
            while not each.have_consumers():
                if self.failure is not None:
                    return
                time.sleep(0.01)
        data, stamps = self.signal.values[self.rows].tolist(), self.signal.stamps[self.rows]
        start = local_clock()
        shift = start - float(stamps[0])
        due = [(float(at), n) for n, at in enumerate(self.schedule)]
        told = [list(zip(stream.stamps, stream.values, strict=True)) for stream in self.markers]
        for at, n in due:
            while (left := start + at - local_clock()) > 0:
                time.sleep(left)
            signal.push_sample(data[n], float(stamps[n]) + shift)
            for place, entries in zip(marks, told, strict=True):
                while entries and entries[0][0] <= stamps[n]:
                    stamp, entry = entries.pop(0)
                    if stamp >= stamps[0]:
                        values = entry if isinstance(entry, list) else entry.tolist()
                        place.push_sample(values, float(stamp) + shift)
        self.heard.wait(EVENTUALLY)  # what is pushed last is still on its way

    def hear(self) -> None:
        """Read what is played."""
        url = f"lsl://?source_id={self.key}&markers={self.key}-markers&timeout={EVENTUALLY:g}"
        n_times = self.stop - self.start
        try:
            with LSLDriver(parse_source(url), measure=MEASURED) as driver:
                self.info = driver.info
                closing = threading.Timer(EVENTUALLY, driver.close)
                closing.start()
                for chunk in driver:
                    self.chunks.append(chunk)
                    if sum(each.n_times for each in self.chunks) >= n_times:
                        break
                closing.cancel()
        except Exception as error:  # noqa: BLE001  raised by the test
            self.failure = error
        finally:
            self.heard.set()


def outlet(stream: XDFStream, source_id: str) -> Any:
    """An outlet that declares the same."""
    form = stream.text("channel_format")
    info = pylsl.StreamInfo(
        stream.name,
        stream.text("type"),
        int(stream.text("channel_count")),
        stream.rate,
        form,
        source_id,
    )
    described = stream.header.find("desc")
    if described is not None:
        copy_description(described, info.desc())
    return pylsl.StreamOutlet(info)


def copy_description(source: Element, to: Any) -> None:
    for child in source:
        if len(child):
            copy_description(child, to.append_child(child.tag))
        else:
            to.append_child_value(child.tag, child.text or "")


def recordings(folder: Path) -> list[Played]:
    """All XDF recordings in a folder that can be read."""
    found = []
    for path in sorted(folder.rglob("*.xdf")):
        try:
            recording = read_recording(path)
        except (BadRecording, BadChannels):
            continue
        streams, _ = load_streams(path)
        named = [each for each in streams if len(each.stamps) == len(recording.data)]
        signal = next(each for each in named if not each.is_text and each.values.ndim == 2)
        unique: list[XDFStream] = []
        for each in streams:
            if each.has_markers and not any(each.repeats(other) for other in unique):
                unique.append(each)
        found.append(Played(path, recording, signal, unique))
    return found


def batched(played: Sequence[Played]) -> Iterator[Sequence[Played]]:
    """Groups whose outlets fit into the 32 ports that liblsl looks at."""
    for start in range(0, len(played), SIMULTANEOUS):
        yield played[start : start + SIMULTANEOUS]


def test_every_recording_says_the_same_live_and_from_its_file(shared_data: Path) -> None:
    played = recordings(shared_data)
    assert len(played) >= 10
    for group in batched(played):
        threads = [
            threading.Thread(target=work) for each in group for work in (each.play, each.hear)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = [line for each in played if (line := compare(each))]
    assert told == []


def compare(played: Played) -> str:
    """What differs; empty if nothing does."""
    name, recording, rows = played.path.name, played.recording, played.rows
    if played.failure is not None or played.info is None:
        return f"{name}: {played.failure}"
    if played.info.sfreq != pytest.approx(recording.info.sfreq, rel=0.005):
        return f"{name}: {played.info.sfreq:g} Hz, not {recording.info.sfreq:g}"
    names = [each for each in played.info.ch_names if each in recording.info.ch_names]
    if list(recording.info.ch_names) != names:
        return f"{name}: {played.info.ch_names}, not {recording.info.ch_names}"
    picks = [played.info.ch_names.index(each) for each in names]
    data = np.concatenate([chunk.data for chunk in played.chunks])[:, picks]
    if not np.array_equal(data, recording.data[rows], equal_nan=True):
        return f"{name}: other values: {data.shape}, not {recording.data[rows].shape}"
    heard = np.concatenate([np.arange(chunk.first, chunk.end) for chunk in played.chunks])
    wanted = recording.index[rows] - recording.index[played.start]
    jumps = np.diff(wanted)
    jumps[jumps > LONGEST_PAUSE * recording.info.sfreq] = 1
    wanted = np.concatenate([[0], np.cumsum(jumps)])
    if np.abs(heard - wanted).max() > 2:
        return f"{name}: other gaps: {heard[-1]}, not {wanted[-1]} at the end"
    before = recording.index[played.start]
    marked = [
        (each.label, each.index - before)
        for each in recording.markers
        if 0 <= each.index - before <= wanted[-1] - 2
    ]
    told = [(each.label, each.index) for chunk in played.chunks for each in chunk.markers]
    if [each[0] for each in marked] != [each[0] for each in told[: len(marked)]]:
        return f"{name}: markers {told}, not {marked}"
    away = [abs(one[1] - other[1]) for one, other in zip(marked, told, strict=False)]
    # Where stamps are not even, their evened times depend on how many of them are known.
    uneven = any("not even" in notice for notice in recording.info.notices)
    close = 0.1 * recording.info.sfreq if uneven else 2
    return f"{name}: markers {told}, not at {marked}" if max(away, default=0) > close else ""
