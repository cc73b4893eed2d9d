"""The pipeline of a session: from its source's chunks to the entries of its logs."""

from __future__ import annotations

import math
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, Marker, StreamInfo
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.detection.detector_state import pack_detector, unpack_detector
from mimamba.models.detection.event_detector import EventDetector
from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.personal.features import SIGNAL
from mimamba.models.prediction import Prediction
from mimamba.models.signal.baseline import UNALIGNED, AlignerState
from mimamba.models.signal.channel_meters import ChannelMeters
from mimamba.models.signal.hops import Hop, HopWork
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.models.signal.sliding_window import Window
from mimamba.service.engine.arrivals import ArrivedChunk, join_up_to_hops
from mimamba.service.engine.engine import Engine, Slot
from mimamba.service.engine.member import DueHop, Logged
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs, LinkEntry
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.personal import (
    CalibrationEntry,
    HeadCard,
    PersonalReading,
    RatingEntry,
)
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.pending_markers import PendingMarkers
from mimamba.service.sessions.personal_decoder import PersonalDecoder
from mimamba.service.sessions.personal_state import pack_personal, unpack_personal
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.sessions.session_counters import SessionCounters
from mimamba.service.sessions.session_decoder import SessionDecoder, labels_of_rating
from mimamba.service.sessions.session_sensors import SessionSensors
from mimamba.service.topics import TOPICS, LinkEvent, Timing, Topic


class SessionTap(Protocol):
    """A part of the service that takes a session's chunks; called in the compute loop's thread."""

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        ...

    def end(self) -> None:
        """Note that the session has ended; called in any thread, with the loop held."""
        ...


class SessionPipeline(ABC):
    """All that becomes of a session's chunks: logs, measures, events, predictions; a loop's member.

    Parameters
    ----------
    name
        Its id in the API.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    subject
        The person of the session, if any.
    max_events, max_delay, max_wait, saved, token, detect, notices
        As in ``Session``.

    Attributes
    ----------
    logs
        The logs of the present epoch; None before the source is open.
    link
        The newest event that says whether the stream runs.
    watchers
        All who read its signal, quality or bands as they come, or record it. Without any, chunks
        are logged once per hop.
    """

    def __init__(
        self,
        name: str,
        r: float,
        subject: Subject | None,
        max_events: int,
        max_delay: float,
        max_wait: float,
        saved: SavedSession | None,
        token: str | None,
        detect: Sequence[EventKind],
        notices: Sequence[str],
    ) -> None:
        self.name = name
        self.r = r
        self.subject = subject or Subject()
        self.info: StreamInfo | None = None
        self.logs: EpochLogs | None = None
        self.link: LinkEntry | None = None
        self.counters = saved.counters if saved else SessionCounters()
        self.watchers: set[object] = set()
        # No clock decides where a marker is, if another process is to place it alike.
        self._pending_markers = PendingMarkers(max_delay if token is None else math.inf)
        self._max_wait = max_wait if token is None else math.inf
        self._max_events = max_events
        self._saved = saved
        self._patient = token is not None
        self._token = saved.token if saved else token or secrets.token_hex(4)
        self._detect = detect
        self._notices = tuple(notices)
        self._epoch = 0
        self._decoder: SessionDecoder | None = None
        self._meters: ChannelMeters | None = None
        self._detector: EventDetector | None = None
        self._sensors: SessionSensors | None = None
        self._personal: PersonalDecoder | None = None
        self._taps: tuple[SessionTap, ...] = ()

    @abstractmethod
    def _notify(self) -> None:
        """Notify the observer of the session's news."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The model of this session."""
        return self._decoder.checkpoint if self._decoder else None

    @property
    def aligner(self) -> AlignerState:
        """The baseline that its model's windows are aligned by, and the one being taken."""
        return self._decoder.aligner if self._decoder else UNALIGNED

    @property
    def active_model(self) -> ActiveModel:
        """The model that makes the predictions now."""
        return self.logs.active_models[-1] if self.logs else ActiveModel()

    @property
    def baseline(self) -> SessionBaseline:
        """The baseline in use, and the one being taken."""
        if self._decoder is not None:
            return self._decoder.baseline
        return SessionBaseline(0.0, 0.0, 0.0, 0.0, self.subject.person)

    @property
    def head(self) -> HeadCard | None:
        """The personal output beside the model's, if there is one."""
        return self._personal.head.card if self._personal else None

    @property
    def last_reading(self) -> PersonalReading | None:
        """The newest personal output; None without one."""
        return self._personal.newest if self._personal else None

    # Any thread: a marker may be set, a recording end, a baseline be asked for ------------------

    def add_marker(self, marker: ReceivedMarker) -> None:
        """Log a marker as soon as its sample is there; from any thread."""
        self._pending_markers.add(marker)
        self.place_markers()

    def waiting_markers(self) -> tuple[ReceivedMarker, ...]:
        """Return the markers that were set and are not logged yet; from any thread."""
        return self._pending_markers.waiting()

    def place_markers(self, late: bool = False) -> None:
        """Log the markers that need not wait any more, with ``late`` all; from any thread."""
        if not (late or self._pending_markers.any_wait):  # the usual case
            return  # at an end, what another thread logs just now is waited for
        with self._pending_markers.lock:  # no new epoch begins meanwhile
            if (logs := self.logs) is None:
                return
            placed = self._pending_markers.place(logs.signal, logs.info, late)
            for marker in placed:
                logs.marker.append(marker)
                self._take_label(marker)
        if placed:
            self._notify()

    def log_personal(
        self, entry: CalibrationEntry | RatingEntry | StudyEntry | FeedbackEntry
    ) -> None:
        """Log the progress of a calibration, a study or feedback, or a rating; from any thread."""
        if self.logs is not None:
            logs = {
                CalibrationEntry: self.logs.calibration,
                StudyEntry: self.logs.study,
                FeedbackEntry: self.logs.feedback,
            }
            logs.get(type(entry), self.logs.rating).append(entry)
            if isinstance(entry, RatingEntry) and self._decoder is not None:
                for text in labels_of_rating(entry):
                    self._decoder.label_sets.put(entry.index, text)
            self._notify()

    def log_marker(self, marker: Marker) -> None:
        """Log a marker of a known sample; from any thread."""
        if self.logs is not None:
            self.logs.marker.append(marker)
            self._take_label(marker)
            self._notify()

    def _take_label(self, marker: Marker) -> None:
        """Let the model's prediction sets learn from a marker that tells the true label."""
        if self._decoder is not None:
            self._decoder.label_sets.put(marker.index, marker.label)

    def _on_link_event(self, entry: LinkEntry) -> None:
        """Count an event, log it on the link, and notify."""
        assert self.logs is not None
        self.counters.on_link_event(entry)
        if entry.event in ("connected", "lost", "retrying", "paused", "playing"):
            self.link = entry
        self.logs.link.append(entry)
        self._notify()

    def _on_decoder_event(
        self, event: LinkEvent, detail: str, hop: Hop | Prediction | None
    ) -> None:
        """Report an event of the decoder at a hop, or from the next sample on."""
        assert self.logs is not None
        if hop is None:
            self._on_link_event(LinkEntry(local_clock(), event, detail, self.logs.expected))
        else:
            self._on_link_event(LinkEntry(hop.timestamp, event, detail, hop.index))

    # In the compute loop -------------------------------------------------------------------------

    @property
    def meters(self) -> ChannelMeters:
        assert self._meters is not None
        return self._meters

    @property
    def stepping(self) -> tuple[Engine, Slot]:
        assert self._decoder is not None
        return self._decoder.stepping

    @property
    def watched(self) -> bool:
        return bool(self.watchers) or self._pending_markers.any_wait

    @property
    def unattended(self) -> bool:
        # What is known of motion when a window is measured goes into its quality, unless it was
        # noted before; what a detector finds are markers, which others follow.
        sensors = self._sensors is not None and not self._patient
        return not (sensors or self._taps or self._detector is not None or self.watched)

    def log(self, arrivals: Sequence[ArrivedChunk]) -> Logged:
        epoch = arrivals[0].chunk.epoch
        if epoch != self._epoch:
            if self._decoder:
                self._decoder.begin_epoch()
            self._start_epoch(epoch)
            self._notify()  # also those who follow no signal go on in the new logs
        assert self.logs is not None
        windows: list[Window] = []
        works: list[tuple[HopWork, float]] = []
        joinable = not self._patient or self._are_plain(arrivals)
        for each in join_up_to_hops(arrivals, self._is_due) if joinable else arrivals:
            # Each is an entry of its own if another process may continue the session: there it is,
            # too.
            self._log_samples(self.logs, each.chunk, each.lengths if self._patient else ())
            made = self.meters.windows(each.chunk)
            if self._patient and self._sensors is not None:
                self._log_sensors(self._sensors, each.chunk.auxiliary)
                self._sensors.expect(len(made))
            windows += made
            for tap in self._taps:
                tap.take(each.chunk)
            if self._patient:
                self.place_markers()  # whatever else is in this round
            if self._decoder and (works or not self._decoder.keep(each.chunk)):
                works.append((self._decoder.cut(each.chunk), each.received))
        self.place_markers()
        return Logged(windows, works)

    def _are_plain(self, arrivals: Sequence[ArrivedChunk]) -> bool:
        """Return whether nothing is to be done between these chunks that counts them one by one."""
        busy = self._taps or self._detector is not None or self._pending_markers.any_wait
        return not busy and not any(each.chunk.markers or each.chunk.auxiliary for each in arrivals)

    def _log_samples(self, logs: EpochLogs, chunk: Chunk, lengths: Sequence[int]) -> None:
        """Log a chunk, with the events that come with it and those that are found in it."""
        events = logs.take(chunk, lengths)
        self.counters.samples += chunk.n_times
        for event in events:
            if isinstance(event, LinkEntry):
                self.counters.on_link_event(event)
            else:
                self._take_label(event)
        found = self._detector.push(chunk) if self._detector else []
        for marker in found:
            logs.marker.append(marker)
        if events or found:
            self._notify()

    def add_measures(self, measures: Sequence[BandPower | Quality]) -> None:
        assert self.logs is not None
        if self._sensors is not None:
            measures = self._sensors.add_motion(measures)
        for each in measures:
            self.logs.add_measure(each)

    def accept(self, hops: Sequence[DueHop]) -> list[DueHop]:
        if self._personal is not None and self._personal.shares:
            self._personal.take_hops(each.hop for each in hops)
        return self._decoder.accept(hops) if self._decoder else []

    def publish(self, prediction: Prediction, received: float, stepped: float) -> None:
        assert self.logs is not None
        if self._decoder is not None:
            prediction = self._decoder.with_set(prediction)
        timing = Timing(received, stepped, local_clock())
        self.counters.on_prediction(prediction.outputs is None, timing.published - received)
        personal = self._personal.reading_at(prediction.index) if self._personal else None
        self.logs.prediction.append(PublishedPrediction(prediction, timing, personal))
        self._notify()

    def _log_sensors(self, sensors: SessionSensors, chunks: Sequence[AuxiliaryChunk]) -> bool:
        if self.logs is None:
            return False
        entries = [*sensors.feed(chunks)]
        for topic, entry in entries:
            self.logs.append(topic, entry)
        return bool(entries)

    def _is_due(self, end: int) -> bool:
        """Return whether a chunk that ends before this index completes a hop."""
        decoder = self._decoder
        return decoder is not None and decoder.is_due(end)

    # Beginning and continuing --------------------------------------------------------------------

    def _begin(self, info: StreamInfo, engine: Engine | None, required: bool) -> None:
        """Make everything that its source and model need, and the first logs.

        With ``required`` a montage that the source cannot meet is an error.
        """
        if self._saved is not None:  # it goes on with what it began with
            content = self._saved.detector
            self._detector = unpack_detector(content, info) if content else None
        elif self._detect:
            self._detector = EventDetector(info, self._detect)
        if self._patient:
            content = self._saved.sensors if self._saved else None
            self._sensors = SessionSensors.unpack(content) if content else SessionSensors()
        self.info = self._with_notices(info)
        if engine is not None:
            self._try_to_decode(engine, self.info, required)
        if self._saved is not None:
            self._continue(self._saved)
        else:
            self._start_epoch(0)

    def _with_notices(self, info: StreamInfo) -> StreamInfo:
        """Return the source's facts, with remarks about it and events not to be found in it."""
        found = self._notices + (self._detector.notices if self._detector else ())
        return replace(info, notices=info.notices + found) if found else info

    def _make_decoder(self, engine: Engine, info: StreamInfo, r: float) -> SessionDecoder:
        report, max_wait = self._on_decoder_event, self._max_wait
        return SessionDecoder(engine, info, r, report, self.subject, max_wait)

    def _try_to_decode(self, engine: Engine, info: StreamInfo, required: bool) -> None:
        """Give the model its electrodes, or go on without it."""
        try:
            self._decoder = self._make_decoder(engine, info, self.r)
            self.counters.period = self._decoder.period
        except (MontageError, SignalError) as error:
            if required:
                raise
            notice = f"No predictions, only the signal: {error}."
            self.info = replace(info, notices=(*info.notices, notice))

    def _save(self, waiting: Sequence[Chunk]) -> SavedSession:
        """Return the state; ``waiting`` are the chunks that have come and are not computed."""
        logs = self.logs
        assert logs is not None
        return SavedSession(
            self._token,
            self._epoch,
            {topic: logs.log(topic).next for topic in TOPICS},
            logs.expected,
            logs.signal.newest,
            self.link,
            replace(self.counters),
            self.meters.state,
            self._decoder.save() if self._decoder else None,
            tuple(waiting),
            self._pending_markers.waiting(),
            detector=pack_detector(self._detector) if self._detector else None,
            personal=pack_personal(self._personal) if self._personal else None,
            subject=self.subject.state,
            next_head=logs.next_head,
            sensors=self._sensors.pack() if self._sensors else None,
        )

    def _continue(self, saved: SavedSession) -> None:
        """Set everything to the state of this session in another process."""
        assert self.info is not None
        self.subject.state = saved.subject
        if saved.personal is not None:
            self._use_personal(unpack_personal(saved.personal, self.info))
        self._start_epoch(saved.epoch, saved.next, saved.head_number)
        assert self.logs is not None
        self.logs.expected, self.logs.signal.newest = saved.expected, saved.newest
        self.link, self.meters.state = saved.link, saved.meters
        if self._decoder and saved.decoder:
            self._decoder.restore(saved.decoder, self.info.sfreq)
            self.counters.period = self._decoder.period
        for marker in saved.pending:
            self._pending_markers.add(marker)

    def _start_epoch(
        self, epoch: int, first: Mapping[Topic, int] | None = None, first_head: int = 0
    ) -> None:
        assert self.info is not None
        self._epoch = epoch
        active_model = self._with_head(
            self._decoder.active_model if self._decoder else ActiveModel()
        )
        name = f"{self._token}-{epoch}"
        logs = EpochLogs(name, self.info, active_model, self._max_events, first, first_head)
        if self.logs is not None:
            self.logs.end_heads()
        if self._personal is not None:
            logs.add_head(self._personal)
        self._meters = ChannelMeters(self.info)
        with self._pending_markers.lock:
            self.logs = logs

    # Personal outputs and taps -------------------------------------------------------------------

    def _with_head(self, active_model: ActiveModel) -> ActiveModel:
        return replace(active_model, head=self.head)

    def _shares(self, personal: PersonalDecoder) -> bool:
        """Return whether the model's hops serve a personal output, too."""
        decoder = self._decoder
        return decoder is not None and decoder.cuts(SIGNAL, personal.electrodes)

    def _use_personal(self, made: PersonalDecoder | None) -> None:
        """Change the personal decoder, with the loop held."""
        if self._personal is not None:
            self.remove_tap(self._personal)
        self._personal = made
        if made is not None:
            self.add_tap(made)
        if self.logs is not None and made is not None:
            self.logs.add_head(made)

    def add_tap(self, tap: SessionTap) -> None:
        """Give a tap all chunks from the next one on; the loop is held."""
        self._taps = (*self._taps, tap)

    def remove_tap(self, tap: SessionTap) -> None:
        """Give a tap no more chunks; the loop is held, or it is the loop that calls."""
        self._taps = tuple(each for each in self._taps if each is not tap)
