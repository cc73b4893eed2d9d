"""A recording in the making: one more reader of a session's logs, which writes what it reads.

It holds one integer per topic, wakes twice a second and adds what is new to an XDF file, so a slow
disk harms nobody but the recording. Within a wake, events come before the signal and the signal
before what was made of it: wherever the file is cut, what is left explains itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.xdf.writer import XDFWriter
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.recordings.result_streams import ResultStreams
from mimamba.service.recordings.stream_headers import (
    event_text,
    file_header,
    link_header,
    marker_header,
    signal_header,
)
from mimamba.service.sessions.epoch_logs import Event, LinkEntry, gap_detail
from mimamba.service.sessions.log import SignalRun
from mimamba.service.sessions.session import Session
from mimamba.service.storage.folders import (
    LEAST_BYTES,
    LOW_BYTES,
    cannot_record,
    check_room,
    free_space,
)
from mimamba.service.topics import Topic

WAKE = 0.5
"""Seconds between two writes: what a kill may cost."""
SYNC = 2.0
"""Seconds between two fsyncs: with a wake, what a power cut may cost."""
OFFSETS = 5.0
BOUNDARIES = 10.0
"""Seconds between two clock offsets, and between two boundaries, as LabRecorder has them."""
SOURCES = 16
"""Programs whose markers have a stream of their own; those of all others share one."""
OTHERS = "other markers"


@dataclass(frozen=True)
class RecordingEnd:
    """How a recording ended.

    ``reason`` is None where that was asked for; ``whole`` tells whether the file has its end.
    """

    reason: str | None
    whole: bool


class Recorder:
    """Writes one session into one file, from the place where the session stands.

    Parameters
    ----------
    path
        The file to make.
    session
        An open one.
    on_end
        Called once, from the recorder's thread, when the file is closed.

    Raises
    ------
    SessionOver, EngineStopped
        If the session is not open.
    FileExistsError
        If the file is there.
    CannotRecord
        If it cannot be written; no file is left then.
    """

    def __init__(
        self, path: Path, session: Session, on_end: Callable[[RecordingEnd], None]
    ) -> None:
        check_room(path.parent)
        self._path, self._session, self._on_end = path, session, on_end
        self._snapshot = session.snapshot()
        assert session.info is not None  # as it is open
        self._sfreq = session.info.sfreq
        self._at = dict(self._snapshot.next)
        self._logs, self._expected = self._snapshot.logs, self._snapshot.first
        self._signal: int | None = None
        self._sources: dict[str, int] = {}
        self._warned = False
        self._stopping = threading.Event()
        self._synced = self._told_offsets = self._bounded = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"recorder {path.stem}")
        try:
            self._writer = XDFWriter(path, file_header())
        except FileExistsError:
            raise
        except OSError as error:
            raise cannot_record(path.parent, error) from error
        try:
            self._begin()
        except OSError as error:
            self.abandon()
            raise cannot_record(path.parent, error) from error

    def start(self) -> None:
        """Begin to write."""
        self._session.report_recording(f"the recording {self._path.stem} began")
        self._thread.start()

    def stop(self) -> None:
        """End the recording; returns when its file is closed."""
        self._stopping.set()
        self._thread.join()

    def abandon(self) -> None:
        """Take back a recording that was not started."""
        self._writer.close()
        self._path.unlink()

    def _begin(self) -> None:
        """The headers, on the disk before the first sample."""
        session, snapshot, created = self._session, self._snapshot, local_clock()
        if snapshot.first is not None:
            self._signal_stream(snapshot.first)
        self._link = self._writer.declare(link_header(session), created)
        self._made = ResultStreams(self._writer, session, snapshot, created)
        self._writer.clock_offsets(created)
        self._writer.boundary()
        self._writer.flush()
        self._writer.sync()
        self._writer.sync_folder()

    def _signal_stream(self, first: int) -> int:
        """The signal's stream; as its header tells the first index, it waits for a sample."""
        if self._signal is None:
            header = signal_header(self._session, self._logs.epoch, first)
            self._signal = self._writer.declare_late(header, local_clock())
        return self._signal

    # In the recorder's thread --------------------------------------------------------------------

    def _run(self) -> None:
        ending = RecordingEnd("an internal error; the service's log tells more", whole=False)
        try:
            ending = self._follow()
        except OSError as error:
            found = error.strerror or str(error)
            ending = RecordingEnd(f"it could not be written any more: {found}", self._end_short())
        finally:
            self._writer.close()
            self._on_end(ending)
            why = f": {ending.reason}" if ending.reason else ""
            self._session.report_recording(f"the recording {self._path.stem} ended{why}")

    def _follow(self) -> RecordingEnd:
        """Write until there is a reason to end."""
        while True:
            stopped = self._stopping.wait(WAKE)
            over = self._over()
            self._write_news()
            self._hand_over(time.monotonic())
            over = over or self._check_disk()
            if stopped or over:
                self._signal_stream(0)  # also where no sample has come
                self._writer.finish()
                return RecordingEnd(None if stopped else over, whole=True)

    def _end_short(self) -> bool:
        """Whether a file that took no more takes at least its end."""
        try:
            self._writer.finish()
        except OSError:
            return False
        return True

    def _over(self) -> str | None:
        """Why nothing more will come, if so; asked before the logs are read for the last time."""
        if self._session.logs is not self._logs:
            return "the source began a new numbering (a seek or a loop)"
        if speed_of(self._session) != 1:
            return "the replay's speed was changed"
        if self._session.state == "ended":
            return self._session.reason or "the session ended"
        return None

    def _write_news(self) -> None:
        """All that is new: what was made of the signal is read before it, and written after it."""
        events: list[tuple[float, str]] = []
        made = [
            entry
            for topic in ("prediction", "quality", "bands")
            for entry in self._news(topic, events)
        ]
        markers = self._news("marker", events)
        links = self._news("link", events)
        # The signal itself tells of gaps, with those that the recorder has made.
        events += [
            (entry.timestamp, event_text(entry))
            for entry in links
            if isinstance(entry, LinkEntry) and entry.event != "gap"
        ]
        runs = self._logs.signal.read(self._at["signal"], self._logs.signal.next)
        for run in runs:
            self._note_jump(run, events)
        self._writer.texts(self._link, sorted(events))
        for run in runs:
            self._writer.numbers(self._signal_stream(run.first), run.timestamps, run.data)
        self._write_markers(markers)
        self._made.write(made)

    def _news(self, topic: Topic, events: list[tuple[float, str]]) -> list[Event]:
        """A topic's new entries; an event where some have left the log unread."""
        log, at = self._logs.events(topic), self._at[topic]
        entries = log.read(at, log.next)
        if entries:
            self._at[topic] = entries[-1][0] + 1
            gone = entries[0][0] - at
            if gone:
                detail = f"{gone} entries of the topic {topic} came too fast for the disk"
                events.append((local_clock(), event_text(LinkEntry(0.0, "recording", detail))))
        return [entry for _, entry in entries]

    def _note_jump(self, run: SignalRun, events: list[tuple[float, str]]) -> None:
        """Tell of samples that are not in the file before this run."""
        lost = 0 if self._expected is None else run.first - self._expected
        if lost:
            stamp = float(run.timestamps[0])
            detail = gap_detail(lost, self._sfreq)
            if run.start > self._at["signal"]:
                detail = f"{lost} samples came too fast for the disk"
            gap = LinkEntry(stamp, "gap", detail, self._expected, lost)
            events.append((stamp, event_text(gap)))
        self._expected = run.first + len(run.timestamps)
        self._at["signal"] = run.seq + 1

    def _write_markers(self, told: list[Event]) -> None:
        for each in told:
            if isinstance(each, Marker):
                self._writer.texts(self._source(each.source), [(each.timestamp, each.label)])

    def _source(self, source: str) -> int:
        """The stream of a program's markers, declared at its first one."""
        if len(self._sources) >= SOURCES and source not in self._sources:
            source = OTHERS
        if source not in self._sources:
            header = marker_header(self._session, source)
            self._sources[source] = self._writer.declare_late(header, local_clock())
        return self._sources[source]

    def _hand_over(self, now: float) -> None:
        """Write, with what is due at its own pace."""
        if now - self._told_offsets >= OFFSETS:
            self._writer.clock_offsets(local_clock())
            self._told_offsets = now
        if now - self._bounded >= BOUNDARIES:
            self._writer.boundary()
            self._bounded = now
        self._writer.flush()
        if now - self._synced >= SYNC:
            self._writer.sync()
            self._synced = now

    def _check_disk(self) -> str | None:
        """Why the disk can take no more, if so; a warning long before."""
        free = free_space(self._path.parent)
        if free < LOW_BYTES and not self._warned:
            self._warned = True
            self._session.report_recording(
                f"the disk of {self._path.stem} is nearly full: {free / 1e6:.1f} MB left; "
                f"the recording ends when there are {LEAST_BYTES / 1e6:.1f} MB"
            )
        return "the disk is full" if free < LEAST_BYTES else None


def speed_of(session: Session) -> float:
    """How fast the source is played: 1 for all that is live, inf for as fast as possible."""
    return session.seekable.playback().speed if session.seekable else 1.0
