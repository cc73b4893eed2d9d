"""Recorder: reads a session's logs and writes them to an XDF file.

It keeps one position per topic and appends new entries twice a second, so a slow disk affects the
recording only. Each time it writes events before the signal, and the signal before its results:
wherever the file is cut off, the rest is consistent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.xdf.chunk_writer import FilePosition, XDFWriter
from mimamba.service.logs.epoch_logs import (
    ActiveModel,
    EpochLogs,
    Event,
    LinkEntry,
    SessionSnapshot,
    gap_detail,
)
from mimamba.service.logs.log import SignalRun
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.recordings.personal_streams import PersonalStreams, RecordedHeads
from mimamba.service.recordings.result_streams import ResultNumbers, ResultStreams
from mimamba.service.recordings.sensor_streams import SensorNumbers, SensorStreams
from mimamba.service.recordings.stream_headers import (
    event_text,
    feedback_header,
    file_header,
    link_header,
    marker_header,
    signal_header,
)
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.storage.folders import (
    LEAST_BYTES,
    LOW_BYTES,
    cannot_record,
    check_free_space,
    free_space,
)
from mimamba.service.topics import TOPICS, Topic

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session

WAKE = 0.5
"""Seconds between two writes: lost at most if the process is killed."""
SYNC = 2.0
"""Seconds between two fsyncs: lost at most in a power cut, with one write."""
LATE_SAMPLE = 0.5
"""Seconds at most that the end waits for the sample of its moment, with which the markers of other
programs come: links take less."""
LATE_MARKER = MAX_DELAY + 0.5
"""Seconds at most that it waits for markers: they wait no longer for their sample."""
CLOCKS = 0.1
"""Seconds by which a marker of this moment may be ahead of it: the time on another machine's clock
is an estimate."""
OFFSETS = 5.0
BOUNDARIES = 10.0
"""Seconds between two clock offsets, and between two boundary chunks, as in LabRecorder."""
SOURCES = 16
"""Programs whose markers get a stream each; those of all others share one."""
OTHERS = "other markers"


@dataclass(frozen=True)
class RecordingEnd:
    """End of a recording.

    Parameters
    ----------
    reason
        None if it was stopped.
    whole
        Whether the file has its footers.
    seconds
        Length of the signal in the file, lost samples counted.
    elsewhere
        True if another recorder goes on with the file.
    """

    reason: str | None
    whole: bool
    seconds: float = 0.0
    elsewhere: bool = False


@dataclass(frozen=True)
class RecorderPosition:
    """A place in a recording at which another recorder can go on.

    Parameters
    ----------
    file
        The place in the file.
    epoch, at
        The session's epoch, and the ``seq`` of each topic that comes next.
    expected, first
        Index of the next sample and of the first one; None before it.
    signal, link, results
        Numbers of streams; ``signal`` is None before its first sample.
    sources
        Streams of markers by program.
    outputs, sha256
        The model's; None without one.
    heads
        The personal outputs.
    sensors
        Streams of what the device measures beside the EEG.
    feedback
        Stream of the log of feedback; None before its first event.
    """

    file: FilePosition
    epoch: str
    at: dict[Topic, int]
    expected: int | None
    first: int | None
    signal: int | None
    link: int
    results: ResultNumbers
    sources: dict[str, int]
    outputs: dict[str, list[str]] | None
    sha256: str | None
    heads: RecordedHeads = field(default_factory=RecordedHeads)
    sensors: SensorNumbers = field(default_factory=SensorNumbers)
    feedback: int | None = None


class RecorderLease(Protocol):
    """The right to write a file that several processes can reach."""

    def renew(self, position: RecorderPosition) -> bool:
        """Note how far the file is; return False if another recorder has it now."""
        ...


class Recorder:
    """Writes one session to one file, from the session's present position.

    Parameters
    ----------
    path
        The file to create, or to continue.
    session
        An open session.
    on_end
        Called once, in the recorder's thread, when the file is complete, just before it is closed.
    lease
        The right to write the file; None where no other process continues it.
    position
        Where another recorder has left the file; None begins it.

    Raises
    ------
    SessionOver, EngineStopped
        If the session is not open.
    FileExistsError
        If the file exists.
    CannotRecord
        If it cannot be written; leaves no file.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        on_end: Callable[[RecordingEnd], None],
        lease: RecorderLease | None = None,
        position: RecorderPosition | None = None,
    ) -> None:
        check_free_space(path.parent)
        self._path, self._session, self._on_end, self._lease = path, session, on_end, lease
        self._signal: int | None = None
        self._first: int | None = None
        self._flushed: int | None = None  # index after the last sample that is in the file
        self._sources: dict[str, int] = {}
        self._feedback: int | None = None  # declared at its first event
        self._warned = False
        self._stopping = threading.Event()
        self._synced_at = self._offsets_at = self._boundary_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"recorder {path.stem}")
        self._verb = "began" if position is None else "goes on"
        if position is not None:
            self._continue(position)
            return
        snapshot = session.snapshot(fresh_head=True)
        sha256 = sha256_of(session.active_model)
        self._follow_from(snapshot.logs, snapshot.next, snapshot.first, sha256)
        try:
            self._writer = XDFWriter(path, file_header())
        except FileExistsError:
            raise
        except OSError as error:
            raise cannot_record(path.parent, error) from error
        try:
            self._begin(snapshot)
        except OSError as error:
            self.abandon()
            raise cannot_record(path.parent, error) from error

    def start(self) -> None:
        """Start to write."""
        self._session.watchers.add(self)
        self._session.report_recording(f"the recording {self._path.stem} {self._verb}")
        self._thread.start()

    def stop(self, wait: bool = True) -> None:
        """Stop the recording; returns when its file is closed.

        With ``wait`` it goes on to the sample of this moment, which comes some milliseconds later,
        so that the markers set before are in it. Otherwise they are logged without their sample.
        """
        if wait:
            self._await_present()
        else:
            self._session.place_markers(late=True)
        self._stopping.set()
        self._thread.join()

    def _await_present(self) -> None:
        """Wait for the sample of this moment, and for the markers up to it.

        A source that sends nothing is waited for no longer than a marker waits for its sample.
        """
        session = self._session
        present, begun = session.now(), time.monotonic()
        while self._thread.is_alive() and time.monotonic() < begun + LATE_MARKER:
            session.place_markers()  # also if the source sends nothing any more
            newest = self._logs.signal.newest
            behind = self._live and newest is not None and newest[1] < present
            sample_comes = behind and time.monotonic() < begun + LATE_SAMPLE
            markers = [each.timestamp for each in session.waiting_markers()]
            if not sample_comes and not any(each <= present + CLOCKS for each in markers):
                break
            time.sleep(0.01)

    def abandon(self) -> None:
        """Delete the file of a recording that was not started."""
        self._writer.close()
        self._path.unlink()

    def _follow_from(
        self,
        logs: EpochLogs,
        at: Mapping[Topic, int],
        expected: int | None,
        sha256: str | None,
    ) -> None:
        assert self._session.info is not None  # as it is open
        self._sfreq, self._live = self._session.info.sfreq, self._session.info.live
        self._logs, self._expected, self._sha256 = logs, expected, sha256
        self._at: dict[Topic, int] = dict.fromkeys(TOPICS, 0) | dict(at)  # an older file has fewer

    def _continue(self, position: RecorderPosition) -> None:
        """Go on where another recorder has left the file."""
        logs = self._session.check_open()
        self._follow_from(logs, position.at, position.expected, position.sha256)
        try:
            self._writer = XDFWriter(self._path, position.file)
        except OSError as error:
            raise cannot_record(self._path.parent, error) from error
        self._flushed, self._first = position.expected, position.first
        self._signal, self._link = position.signal, position.link
        self._sources, self._feedback = dict(position.sources), position.feedback
        self._sensors = SensorStreams(self._writer, self._session, position.sensors)
        results, outputs = position.results, position.outputs
        self._made = ResultStreams(self._writer, self._session, results, outputs)
        self._personal = PersonalStreams(self._writer, self._session, logs, position.heads)

    @property
    def _position(self) -> RecorderPosition:
        """The place after everything that is flushed."""
        return RecorderPosition(
            self._writer.position,
            self._logs.epoch,
            dict(self._at),
            self._expected,
            self._first,
            self._signal,
            self._link,
            self._made.numbers,
            dict(self._sources),
            self._made.outputs,
            self._sha256,
            self._personal.recorded,
            self._sensors.numbers,
            self._feedback,
        )

    def _begin(self, snapshot: SessionSnapshot) -> None:
        """Write the headers to the disk, before the first sample."""
        session, created = self._session, self._session.now()
        if snapshot.first is not None:
            self._signal_stream(snapshot.first)
        self._link = self._writer.declare(link_header(session), created)
        self._sensors = SensorStreams(self._writer, session)
        self._made = ResultStreams.declare(self._writer, session, snapshot, created)
        heads = RecordedHeads(snapshot.next_head)
        self._personal = PersonalStreams(self._writer, session, snapshot.logs, heads)
        self._writer.clock_offsets(created)
        self._writer.boundary()
        self._writer.flush()
        self._writer.sync()
        self._writer.sync_folder()
        if self._lease is not None:
            self._lease.renew(self._position)

    def _signal_stream(self, first: int) -> int:
        """Declare the signal's stream at its first sample, whose index its header contains."""
        if self._signal is None:
            header = signal_header(self._session, self._logs.epoch, first)
            self._signal = self._writer.declare_late(header, self._session.now())
        return self._signal

    # In the recorder's thread --------------------------------------------------------------------

    def _run(self) -> None:
        ending = RecordingEnd("an internal error; see the service's log", whole=False)
        try:
            ending = self._follow()
        except OSError as error:
            found = error.strerror or str(error)
            ending = RecordingEnd(f"the file could not be written: {found}", self._try_finish())
        finally:
            self._session.watchers.discard(self)
            try:
                self._on_end(replace(ending, seconds=self._seconds))
            finally:
                self._writer.close()  # the lock keeps others from the file until its end is noted
            why = f": {ending.reason}" if ending.reason else ""
            self._session.report_recording(f"the recording {self._path.stem} ended{why}")

    def _follow(self) -> RecordingEnd:
        """Write until there is a reason to end, and return it."""
        while True:
            stopped = self._stopping.wait(WAKE)
            over = self._end_reason()
            self._write_news()
            if not self._flush(time.monotonic()):
                return RecordingEnd("another service goes on with it", False, elsewhere=True)
            over = over or self._check_disk()
            if stopped or over:
                self._signal_stream(0)  # also without samples
                self._writer.finish()
                return RecordingEnd(None if stopped else over, whole=True)

    def _try_finish(self) -> bool:
        """Write the footers after a failed write; returns whether that worked."""
        try:
            self._writer.finish()
        except OSError:
            return False
        return True

    @property
    def _seconds(self) -> float:
        """Length of the signal in the file, s."""
        if self._first is None or self._flushed is None:
            return 0.0
        return max(0, self._flushed - self._first) / self._sfreq

    def _end_reason(self) -> str | None:
        """Return why no more entries will come, if so; called before the logs are read last."""
        if self._session.logs is not self._logs:
            return "the source restarted its numbering (a seek or a loop)"
        if speed_of(self._session) != 1:
            return "the replay's speed was changed"
        if sha256_of(self._logs.active_models[-1]) != self._sha256:
            return "the model was changed"
        if self._session.state == "ended":
            return self._session.reason or "the session ended"
        return None

    def _write_news(self) -> None:
        """Write new entries: results are read before the signal, and written after it."""
        events: list[tuple[float, str]] = []
        made = [
            entry
            for topic in ("prediction", "quality", "bands")
            for entry in self._news(topic, events)
        ]
        measured = [
            entry for topic in ("ppg", "motion", "heart") for entry in self._news(topic, events)
        ]
        personal = self._personal.news()
        markers = self._news("marker", events)
        links = self._news("link", events)
        feedback = self._news("feedback", events)
        # Gaps come from the signal itself, together with those that the recorder causes.
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
        self._write_feedback(feedback)
        self._sensors.write(measured)
        self._made.write(made)
        self._personal.write(personal)

    def _news(self, topic: Topic, events: list[tuple[float, str]]) -> list[Event]:
        """Return a topic's new entries; adds an event if some have left the log unread."""
        log, at = self._logs.events(topic), self._at[topic]
        entries = log.read(at, log.next)
        if entries:
            self._at[topic] = entries[-1][0] + 1
            gone = entries[0][0] - at
            if gone:
                detail = f"{gone} entries of the topic {topic} are missing: the disk was too slow"
                events.append(
                    (self._session.now(), event_text(LinkEntry(0.0, "recording", detail)))
                )
        return [entry for _, entry in entries]

    def _note_jump(self, run: SignalRun, events: list[tuple[float, str]]) -> None:
        """Add an event if samples before this run are missing in the file."""
        lost = 0 if self._expected is None else run.first - self._expected
        if lost:
            stamp = float(run.timestamps[0])
            detail = gap_detail(lost, self._sfreq)
            if run.start > self._at["signal"]:
                detail = f"{lost} samples are missing: the disk was too slow"
            gap = LinkEntry(stamp, "gap", detail, self._expected, lost)
            events.append((stamp, event_text(gap)))
        self._first = run.first if self._first is None else self._first
        self._expected = run.first + len(run.timestamps)
        self._at["signal"] = run.seq + 1

    def _write_markers(self, entries: list[Event]) -> None:
        for each in entries:
            if isinstance(each, Marker):
                self._writer.texts(self._source(each.source), [(each.timestamp, each.label)])

    def _write_feedback(self, entries: list[Event]) -> None:
        noted = [
            (each.timestamp, note)
            for each in entries
            if isinstance(each, FeedbackEntry)
            for note in each.noted
        ]
        if noted and self._feedback is None:
            header = feedback_header(self._session)
            self._feedback = self._writer.declare_late(header, self._session.now())
        if self._feedback is not None:
            self._writer.texts(self._feedback, noted)

    def _source(self, source: str) -> int:
        """Return the stream of a program's markers, declared at its first marker."""
        if len(self._sources) >= SOURCES and source not in self._sources:
            source = OTHERS
        if source not in self._sources:
            header = marker_header(self._session, source)
            self._sources[source] = self._writer.declare_late(header, self._session.now())
        return self._sources[source]

    def _flush(self, now: float) -> bool:
        """Write to the disk, with the chunks that are due at intervals.

        Returns False if another recorder has the file now.
        """
        if now - self._offsets_at >= OFFSETS:
            self._writer.clock_offsets(self._session.now())
            self._offsets_at = now
        if now - self._boundary_at >= BOUNDARIES:
            self._writer.boundary()
            self._boundary_at = now
        self._writer.flush()
        self._flushed = self._expected
        if now - self._synced_at >= SYNC:
            self._writer.sync()
            self._synced_at = now
            return self._lease is None or self._lease.renew(self._position)
        return True

    def _check_disk(self) -> str | None:
        """Return why the disk is full, if so; warns long before."""
        free = free_space(self._path.parent)
        if free < LOW_BYTES and not self._warned:
            self._warned = True
            self._session.report_recording(
                f"the disk of {self._path.stem} is nearly full: {free / 1e6:.1f} MB left; "
                f"the recording ends when there are {LEAST_BYTES / 1e6:.1f} MB"
            )
        return "the disk is full" if free < LEAST_BYTES else None


def sha256_of(active: ActiveModel) -> str | None:
    """Return a model's checksum; None without one."""
    return active.model.sha256 if active.model else None


def speed_of(session: Session) -> float:
    """Return the speed of a source: 1 if live, inf for as fast as possible."""
    return session.seekable.playback().speed if session.seekable else 1.0
