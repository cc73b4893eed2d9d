"""A session: one source, its logs and its model.

Its thread reads the source; the compute loop takes the chunks.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    Chunk,
    Driver,
    Forwarding,
    HasAuxiliary,
    HasBattery,
    LinkChange,
    Marker,
    Seekable,
    StreamInfo,
    TakesCues,
)
from mimamba.drivers.errors import DriverError
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.open import Connect, open_source
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder_state import SnapshotError, pack_state
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
from mimamba.service.engine.engine import Engine, EngineStopped, Slot
from mimamba.service.engine.loop import ComputeLoop, DueHop, Inflow, Logged
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.personal import (
    CalibrationEntry,
    HeadCard,
    PersonalReading,
    RatingEntry,
)
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.epoch_logs import (
    MAX_EVENTS,
    ActiveModel,
    EpochLogs,
    LinkEntry,
    SessionSnapshot,
    playback_entry,
)
from mimamba.service.sessions.pending_markers import MAX_DELAY, PendingMarkers
from mimamba.service.sessions.personal_decoder import HopsBefore, PersonalDecoder, ServedHead
from mimamba.service.sessions.personal_state import pack_personal, unpack_personal
from mimamba.service.sessions.prediction_log import PublishedPrediction
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.sensor_poller import SensorPoller
from mimamba.service.sessions.session_counters import SessionCounters
from mimamba.service.sessions.session_decoder import (
    MAX_WAIT,
    SessionBaseline,
    SessionDecoder,
    labels_of_rating,
    require_baselines,
)
from mimamba.service.sessions.session_sensors import SessionSensors
from mimamba.service.topics import TOPICS, LinkEvent, Timing, Topic

State: TypeAlias = Literal["opening", "open", "ended"]
SETTLE_PERIOD = 0.005
"""Seconds between two looks at the chunks that wait."""


class SessionOver(RuntimeError):
    """The session is not open, or not any more."""


class SessionObserver(Protocol):
    """An observer of sessions, called from any of their threads; it does not block."""

    def notify(self, session: Session) -> None:
        """Send what is new now: a prediction, a marker, the link, the state."""
        ...

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Send what is new in sessions, and when it is due the new signal of others.

        Called after each round of the compute loop.
        """
        ...


class SessionTap(Protocol):
    """A part of the service that takes a session's chunks; called in the compute loop's thread."""

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        ...

    def end(self) -> None:
        """Note that the session has ended; called in any thread, with the loop held."""
        ...


class Session:
    """One source, one model (or none), and the logs that readers follow.

    Parameters
    ----------
    name
        Its id in the API.
    url
        The source.
    loop
        Computes on the source's chunks.
    engine
        Steps the model; None watches the signal only.
    required
        Whether a montage that the source cannot meet is an error; else the session goes on without
        a model and says so.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    observer
        Notified of everything new.
    connect
        Makes the driver of the URL, and has it report the link's changes.
    subject
        The person of the session, if any.
    max_events
        Markers and link events kept of an epoch.
    max_delay
        Seconds that a marker waits for its sample.
    max_wait
        Seconds after which a live source's hop is skipped if newer ones wait.
    saved
        The state of this session in another process, to continue it; its engine is that of the
        saved model. None begins anew.
    token
        A word for its epochs' names, of a session that another process may continue: its hops wait
        for the model however long. None makes one.
    poller
        Reads what the device measures beside the EEG; None reads none of it.
    detect
        Kinds of events to find in the signal; each becomes a marker.
    notices
        Remarks about the source, beside its own.

    Attributes
    ----------
    logs
        The logs of the present epoch; None before the source is open.
    link
        The newest event that says whether the stream runs.
    opened
        Set once the source is open, or has failed to open.
    watchers
        All who read its signal, quality or bands as they come, or record it. Without any, chunks
        are logged once per hop.
    """

    def __init__(
        self,
        name: str,
        url: str,
        loop: ComputeLoop[Session],
        engine: Engine | None,
        required: bool,
        r: float,
        observer: SessionObserver,
        connect: Connect = open_source,
        subject: Subject | None = None,
        max_events: int = MAX_EVENTS,
        max_delay: float = MAX_DELAY,
        max_wait: float = MAX_WAIT,
        saved: SavedSession | None = None,
        token: str | None = None,
        poller: SensorPoller[Session] | None = None,
        detect: Sequence[EventKind] = (),
        notices: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.url = url
        self.r = r
        self.subject = subject or Subject()
        self.state: State = "opening"
        self.reason: str | None = None
        self.error: Exception | None = None
        self.info: StreamInfo | None = None
        self.logs: EpochLogs | None = None
        self.link: LinkEntry | None = None
        self.counters = saved.counters if saved else SessionCounters()
        # No clock decides where a marker is, if another process is to place it alike.
        self._pending_markers = PendingMarkers(max_delay if token is None else math.inf)
        self._max_wait = max_wait if token is None else math.inf
        self._max_events = max_events
        self.opened = threading.Event()
        self.watchers: set[object] = set()
        self._loop = loop
        self._engine = engine
        self._required = required
        self._observer = observer
        self._connect_to = connect
        self._saved = saved
        self._patient = token is not None
        self._token = saved.token if saved else token or secrets.token_hex(4)
        self._closing = threading.Lock()
        self._closed = False
        self._driver: Driver | None = None
        self._decoder: SessionDecoder | None = None
        self._meters: ChannelMeters | None = None
        self._detect = detect
        self._notices = tuple(notices)
        self._detector: EventDetector | None = None
        self._epoch = 0
        self._inflow: Inflow[Session] | None = None
        self._following = threading.Event()
        self._poller = poller
        self._auxiliary: HasAuxiliary | None = None
        self._sensors: SessionSensors | None = None
        self._taps: tuple[SessionTap, ...] = ()
        self._personal: PersonalDecoder | None = None
        self._thread = threading.Thread(target=self._run, name=f"session {name}")

    def start(self) -> None:
        """Start to connect; ``opened`` is set when that has succeeded or failed."""
        self._thread.start()

    def close(self) -> None:
        """End the session, and wait until its thread has ended."""
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """End the session, without waiting for it."""
        with self._closing:
            self._closed = True
            if self._driver is not None:
                self._driver.close()

    def snapshot(self, fresh_head: bool = False) -> SessionSnapshot:
        """The session between two chunks, all hops so far predicted; its thread waits meanwhile.

        With ``fresh_head`` the personal output begins anew: what it makes from here on depends on
        nothing before, but for the person's rest.

        Raises
        ------
        SessionOver
            If it is not open.
        EngineStopped
            If its model has failed.
        """
        with self._loop.held():
            logs = self.check_open()
            state = pack_state(self._decoder.state()) if self._decoder else None
            snapshot = logs.snapshot(state)
            if fresh_head and self._personal is not None:
                self._use_personal(self._personal.fresh(self._shares(self._personal)))
            return snapshot

    def save(self) -> SavedSession:
        """Return the state with which another process continues, all hops so far predicted.

        The caller sees to it that no chunk comes meanwhile, and adds the state of the source.

        Raises
        ------
        SessionOver
            If it is not open, or does not follow its source yet.
        EngineStopped
            If its model has failed.
        """
        with self._loop.held():
            logs = self.check_open()
            if self._inflow is None:
                raise SessionOver(f"Expected that {self.name} follows its source, but it begins.")
            waiting = [each.chunk for each in self._inflow.arrived]
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

    def settle(self) -> None:
        """Wait until it follows its source, and all chunks that have come are computed."""
        self._following.wait()
        while self.state == "open" and self._inflow is not None and self._inflow.arrived:
            time.sleep(SETTLE_PERIOD)
        with self._loop.held():
            pass

    def set_model(self, engine: Engine | None, r: float) -> None:
        """Use another model, or none; the epoch goes on, and so do the predictions' numbers.

        Its hops begin with the next sample. All predictions of the old one are logged before.

        Raises
        ------
        SessionOver
            If the session is not open.
        MontageError, SignalError
            If the model cannot use the source; the old one goes on then.
        """
        self.check_open()
        assert self._driver is not None
        info = self._with_notices(self._driver.info)
        # Its filters take a while to design, which the loop need not wait for.
        decoder = self._make_decoder(engine, info, r) if engine else None
        with self._loop.held():
            try:
                logs = self.check_open()
            except SessionOver:
                if decoder:
                    decoder.close()
                raise
            if self._decoder:
                self._decoder.close()
            self._decoder, self.r, self.info = decoder, r, info
            if self._personal is not None:
                shares = self._shares(self._personal)
                if shares or self._personal.shares:  # the hops are others from here on
                    self._use_personal(self._personal.fresh(shares))
            self.counters.period = decoder.period if decoder else math.inf
            self._on_link_event(
                logs.set_model(self._with_head(decoder.active_model if decoder else ActiveModel()))
            )
            if decoder:
                decoder.start()

    @contextmanager
    def between_chunks(self) -> Iterator[SessionDecoder | None]:
        """Hold the session between two chunks, and give its decoder; raises SessionOver."""
        with self._loop.held():
            self.check_open()
            yield self._decoder

    def begin_baseline(self, seconds: float | None, person: str | None = None) -> None:
        """Take the person's rest from the next sample on; None for as long as in training.

        A person who is named is the session's person from now on.

        Raises
        ------
        SessionOver
            If the session is not open.
        NoBaseline
            If it has no model that uses baselines.
        PersonRefused, DamagedPerson, CannotKeep
            As ``People.add``.
        """
        with self.between_chunks() as model:
            decoder = require_baselines(model)
            if person is not None:
                self.subject.admit(person)
            decoder.start_baseline(seconds or decoder.checkpoint.baseline)

    def use_baseline(self, person: str) -> None:
        """Use the stored baseline of a person, who is the session's person from now on.

        Raises
        ------
        SessionOver
            If the session is not open.
        NoBaseline
            If it has no model that uses baselines, or the person has none for it.
        NoPerson, PersonRefused, DamagedPerson
            As ``People.get``.
        """
        with self.between_chunks() as model:
            require_baselines(model).use_stored(person)

    def cancel_baseline(self) -> None:
        """Stop taking the rest, and use the previous baseline.

        Raises
        ------
        SessionOver
            If the session is not open.
        NoBaseline
            If no rest is being taken, or there was no baseline before.
        """
        with self.between_chunks() as model:
            require_baselines(model).cancel_baseline()

    def set_person(self, person: str) -> None:
        """Make someone the session's person."""
        self.subject.person = person

    def forget_person(self, person: str) -> None:
        """Go on without a person who was deleted."""
        self.subject.forget(person)

    @property
    def baseline(self) -> SessionBaseline:
        """The baseline in use, and the one being taken."""
        if self._decoder is not None:
            return self._decoder.baseline
        return SessionBaseline(0.0, 0.0, 0.0, 0.0, self.subject.person)

    def report_recording(self, detail: str) -> None:
        """Report on the link that a recording of this session began or ended."""
        self._on_link_event(LinkEntry(local_clock(), "recording", detail))

    def now(self) -> float:
        """Return the time on the clock of its timestamps, s."""
        return local_clock()

    def add_marker(self, marker: ReceivedMarker) -> None:
        """Log a marker as soon as its sample is there; from any thread."""
        self._pending_markers.add(marker)
        self.place_markers()

    def place_markers(self, late: bool = False) -> None:
        """Log the markers that need not wait any more, with ``late`` all; from any thread."""
        with self._pending_markers.lock:  # no new epoch begins meanwhile
            if (logs := self.logs) is None:
                return
            placed = self._pending_markers.place(logs.signal, logs.info, late)
            for marker in placed:
                logs.marker.append(marker)
                self._take_label(marker)
        if placed:
            self._notify()

    @property
    def head(self) -> HeadCard | None:
        """The personal output beside the model's, if there is one."""
        return self._personal.head.card if self._personal else None

    @property
    def last_reading(self) -> PersonalReading | None:
        """The newest personal output; None without one."""
        return self._personal.newest if self._personal else None

    def hops_before(self, index: int, seconds: float) -> HopsBefore | None:
        """Return what the head measured in the seconds up to a sample; None without a head.

        Raises SessionOver if the session is not open.
        """
        with self._loop.held():
            logs = self.check_open()
            personal = self._personal
            return personal.hops_before(index, seconds, logs.epoch) if personal else None

    def set_head(self, head: ServedHead | None, person: str | None = None) -> None:
        """Use another personal output from the next sample on, or none.

        A person who is named is the session's person from now on.

        Raises
        ------
        SessionOver
            If the session is not open.
        MontageError, SignalError
            If the head cannot use the source.
        """
        self.check_open()
        assert self._driver is not None
        made = PersonalDecoder(head, self._driver.info) if head else None
        with self._loop.held():
            logs = self.check_open()
            if made is not None:
                made.shares = self._shares(made)
            self._use_personal(made)
            if person is not None:
                self.subject.person = person
            if head is None:
                detail = "no personal output is used from here on"
            else:
                detail = f"the personal output {head.card.id} is used from here on"
            self._on_link_event(logs.set_head(self.head, detail))

    def change_head_card(self, card: HeadCard) -> None:
        """Show people that a head in use was checked; nothing changes in its output."""
        with self._loop.held():
            logs = self.check_open()
            if self._personal is not None and self._personal.head.card.id == card.id:
                self._personal.with_card(card)
                detail = f"{card.right} of {card.checked} checks were right"
                self._on_link_event(logs.set_head(card, detail))

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

    def log_personal(self, entry: CalibrationEntry | RatingEntry | StudyEntry) -> None:
        """Log the progress of a calibration or a study, or a rating; from any thread."""
        if self.logs is not None:
            logs = {CalibrationEntry: self.logs.calibration, StudyEntry: self.logs.study}
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

    def cue(self, state: str | None, place: int) -> None:
        """Pass a cue on to a simulated wearer; ``place`` is 0 or 1 for the two states."""
        if self._driver is not None and isinstance(self._driver, TakesCues):
            self._driver.cue(state, place)

    def check_open(self) -> EpochLogs:
        """Return the present logs; raises SessionOver where the session is not open."""
        if self.state != "open" or self.logs is None:
            raise SessionOver(
                f"Expected an open session, but found that {self.name} is {self.state}."
            )
        return self.logs

    @property
    def seekable(self) -> Seekable | None:
        """The driver of a recording; None for a live source, and where it is not open."""
        return self._driver if self.state == "open" and isinstance(self._driver, Seekable) else None

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
    def battery(self) -> float | None:
        """The device's charge, percent; None where it reports none."""
        return self._driver.battery if isinstance(self._driver, HasBattery) else None

    # Any thread: a marker may be set, a recording end, a baseline be asked for ------------------

    def _on_link_event(self, entry: LinkEntry) -> None:
        """Count an event, log it on the link, and notify."""
        assert self.logs is not None
        self.counters.on_link_event(entry)
        if entry.event in ("connected", "lost", "retrying", "paused", "playing"):
            self.link = entry
        self.logs.link.append(entry)
        self._notify()

    def _notify(self) -> None:
        """Notify the observer: at the round's end, if it is the compute loop that has news."""
        if not self._loop.note(self):
            self._observer.notify(self)

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
        # Each is an entry of its own if another process may continue the session: there it is, too.
        for each in arrivals if self._patient else join_up_to_hops(arrivals, self._is_due):
            self._log_samples(self.logs, each.chunk)
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

    def _log_samples(self, logs: EpochLogs, chunk: Chunk) -> None:
        """Log a chunk, with the events that come with it and those that are found in it."""
        events = logs.take(chunk)
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

    # In the poller's thread ----------------------------------------------------------------------

    def take_sensors(self) -> bool:
        """Log what was measured beside the EEG; return whether there was anything."""
        if self._sensors is None or self._auxiliary is None:
            return False
        return self._log_sensors(self._sensors, self._auxiliary.take_auxiliary())

    def _log_sensors(self, sensors: SessionSensors, chunks: Sequence[AuxiliaryChunk]) -> bool:
        if self.logs is None:
            return False
        entries = [*sensors.feed(chunks)]
        for topic, entry in entries:
            self.logs.append(topic, entry)
        return bool(entries)

    # In the session's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        reason: str | None = "an internal error; see the service's log"
        try:
            self._follow()
            reason = None
        except (DriverError, MontageError, SignalError, EngineStopped, SnapshotError) as error:
            self.error, reason = error, str(error)
        finally:
            with self._loop.held():
                if self._decoder:
                    self._decoder.close()
                self.state, self.reason = "ended", reason
                for tap in self._taps:
                    tap.end()
            self.opened.set()
            self._following.set()
            self._observer.notify(self)

    def _follow(self) -> None:
        with self._connect() as driver:
            self._open(driver)
            info = driver.info
            inflow = self._loop.join(self, self._is_due, None if info.live else info.sfreq)
            try:
                for chunk in self._saved.waiting if self._saved else ():
                    inflow.put(chunk)
                if info.live and isinstance(driver, Forwarding):
                    driver.forward(inflow.hand_on)
                self._inflow = inflow
                self._following.set()
                with self._polled(driver):
                    for chunk in driver:
                        inflow.put(chunk)
            finally:
                self._following.set()
                self._loop.leave(inflow)
            if inflow.failure is not None:
                raise inflow.failure

    @contextmanager
    def _polled(self, driver: Driver) -> Iterator[None]:
        """Have the poller read what the device measures beside the EEG, if it does."""
        if self._poller is None or not (isinstance(driver, HasAuxiliary) and driver.has_auxiliary):
            yield
            return
        self._auxiliary, self._sensors = driver, SessionSensors()
        self._poller.join(self)
        try:
            yield
        finally:
            self._poller.leave(self)

    def _is_due(self, end: int) -> bool:
        """Return whether a chunk that ends before this index completes a hop."""
        decoder = self._decoder
        return decoder is not None and decoder.is_due(end)

    def _connect(self) -> Driver:
        """Make the driver, not yet entered; ``close`` ends it from now on."""
        driver = self._connect_to(self.url, self._on_link_change)
        with self._closing:
            self._driver = driver
            if self._closed:
                driver.close()
        return driver

    def _on_link_change(self, change: LinkChange) -> None:
        """Report a change of the link to the device; called by the driver."""
        self._on_link_event(LinkEntry(change.timestamp, change.state, change.detail))

    def _open(self, driver: Driver) -> None:
        if self._saved is not None:  # it goes on with what it began with
            content = self._saved.detector
            self._detector = unpack_detector(content, driver.info) if content else None
        elif self._detect:
            self._detector = EventDetector(driver.info, self._detect)
        if self._patient:
            content = self._saved.sensors if self._saved else None
            self._sensors = SessionSensors.unpack(content) if content else SessionSensors()
        self.info = info = self._with_notices(driver.info)
        if self._engine is not None:
            self._try_to_decode(self._engine, info)
        if self._saved is not None:
            self._continue(self._saved)
        else:
            self._start_epoch(0)
        if isinstance(driver, Seekable):
            self.link = playback_entry(driver.playback())
            driver.watch(lambda playback: self._on_link_event(playback_entry(playback)))
        if self._decoder and self._saved is None:
            self._decoder.start()
        self.state = "open"
        self.opened.set()
        self._observer.notify(self)

    def _with_notices(self, info: StreamInfo) -> StreamInfo:
        """Return the source's facts, with remarks about it and events not to be found in it."""
        found = self._notices + (self._detector.notices if self._detector else ())
        return replace(info, notices=info.notices + found) if found else info

    def _make_decoder(self, engine: Engine, info: StreamInfo, r: float) -> SessionDecoder:
        report, max_wait = self._on_decoder_event, self._max_wait
        return SessionDecoder(engine, info, r, report, self.subject, max_wait)

    def _try_to_decode(self, engine: Engine, info: StreamInfo) -> None:
        """Give the model its electrodes, or go on without it."""
        try:
            self._decoder = self._make_decoder(engine, info, self.r)
            self.counters.period = self._decoder.period
        except (MontageError, SignalError) as error:
            if self._required:
                raise
            notice = f"No predictions, only the signal: {error}."
            self.info = replace(info, notices=(*info.notices, notice))

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
