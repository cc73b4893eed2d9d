"""A session: one source, read by a thread, and all changes that are asked for from outside.

The compute loop takes the chunks; the session's pipeline says what becomes of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol, TypeAlias

from mimamba.drivers.driver import (
    Driver,
    Forwarding,
    HasAuxiliary,
    HasBattery,
    LinkChange,
    Seekable,
    TakesCues,
)
from mimamba.drivers.errors import DriverError
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.open import Connect, open_source
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.decoding.decoder_state import SnapshotError, pack_state
from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.engine.engine import Engine, EngineStopped
from mimamba.service.engine.loop import ComputeLoop, Inflow
from mimamba.service.logs.epoch_logs import (
    MAX_EVENTS,
    ActiveModel,
    EpochLogs,
    LinkEntry,
    SessionSnapshot,
    playback_entry,
)
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.personal_decoder import HopsBefore, PersonalDecoder, ServedHead
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.sensor_poller import SensorPoller
from mimamba.service.sessions.session_decoder import MAX_WAIT, SessionDecoder, require_baselines
from mimamba.service.sessions.session_pipeline import SessionPipeline
from mimamba.service.sessions.session_sensors import SessionSensors

State: TypeAlias = Literal["opening", "open", "ended"]


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


class Session(SessionPipeline):
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
        saved model. None starts over.
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
    opened
        Set once the source is open, or has failed to open.
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
        super().__init__(
            name, r, subject, max_events, max_delay, max_wait, saved, token, detect, notices
        )
        self.url = url
        self.state: State = "opening"
        self.reason: str | None = None
        self.error: Exception | None = None
        self.opened = threading.Event()
        self._loop = loop
        self._engine = engine
        self._required = required
        self._observer = observer
        self._connect_to = connect
        self._closing = threading.Lock()
        self._closed = False
        self._driver: Driver | None = None
        self._inflow: Inflow[Session] | None = None
        self._following = threading.Event()
        self._poller = poller
        self._auxiliary: HasAuxiliary | None = None
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
        """The session after all chunks so far, and all their hops; its thread waits meanwhile.

        With ``fresh_head`` the personal output starts over: what it makes from here on depends on
        nothing before, but for the person's rest.

        Raises
        ------
        SessionOver
            If it is not open.
        EngineStopped
            If its model has failed.
        """
        with self._loop.held(self._inflow):
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
        with self._loop.held(measured=self._inflow):
            self.check_open()
            if self._inflow is None:
                raise SessionOver(f"Expected that {self.name} follows its source, but it begins.")
            return self._save([each.chunk for each in self._inflow.arrived])

    def add_marker(self, marker: ReceivedMarker) -> None:
        """Log a marker as soon as its sample is there, which may wait for a round already."""
        super().add_marker(marker)
        if self._inflow is not None:
            self._loop.hasten(self._inflow)

    def settle(self) -> None:
        """Wait until it follows its source, and all chunks that have come are computed."""
        self._following.wait()
        inflow = self._inflow
        while self.state == "open" and inflow is not None and inflow.arrived:
            with self._loop.held(inflow):
                pass  # more of a recording may have come meanwhile
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
        with self._loop.held(self._inflow):
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
        """Hold the session after all chunks so far, and give its decoder; raises SessionOver."""
        with self._loop.held(self._inflow):
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
        if person is not None:
            with self.between_chunks() as model:  # refused before there is a person
                require_baselines(model)
            self.subject.store(person)
        with self.between_chunks() as model:
            decoder = require_baselines(model)
            before = self.subject.person
            if person is not None:
                self.subject.admit(person)
            self.subject.person_before = before
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

    def withdraw_rest(self) -> None:
        """Undo that a rest was asked for, as its decoder does; raises SessionOver, NoBaseline."""
        with self.between_chunks() as model:
            require_baselines(model).withdraw_rest()

    def set_person(self, person: str) -> None:
        """Make someone the session's person."""
        self.subject.person = person

    def forget_person(self, person: str) -> None:
        """Go on without a person who was deleted."""
        self.subject.forget(person)

    def report_recording(self, detail: str) -> None:
        """Report on the link that a recording of this session began or ended."""
        self._on_link_event(LinkEntry(local_clock(), "recording", detail))

    def now(self) -> float:
        """Return the time on the clock of its timestamps, s."""
        return local_clock()

    def hops_before(self, index: int, seconds: float) -> HopsBefore | None:
        """Return what the head measured in the seconds up to a sample; None without a head.

        Raises SessionOver if the session is not open.
        """
        with self._loop.held(self._inflow):
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
        with self._loop.held(self._inflow):
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
    def battery(self) -> float | None:
        """The device's charge, percent; None where it reports none."""
        return self._driver.battery if isinstance(self._driver, HasBattery) else None

    # Any thread: a marker may be set, a recording end, a baseline be asked for ------------------

    def _notify(self) -> None:
        """Notify the observer: at the round's end, if it is the compute loop that has news."""
        if not self._loop.note(self):
            self._observer.notify(self)

    # In the poller's thread ----------------------------------------------------------------------

    def take_sensors(self) -> bool:
        """Log what was measured beside the EEG; return whether there was anything."""
        if self._sensors is None or self._auxiliary is None:
            return False
        return self._log_sensors(self._sensors, self._auxiliary.take_auxiliary())

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
                self.place_markers(late=True)  # no sample will come for those that still wait
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
                self._inflow = inflow
                if info.live and isinstance(driver, Forwarding):
                    driver.forward(inflow.hand_on)
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
        self._begin(driver.info, self._engine, self._required)
        if isinstance(driver, Seekable):
            self.link = playback_entry(driver.playback())
            driver.watch(lambda playback: self._on_link_event(playback_entry(playback)))
        if self._decoder and self._saved is None:
            self._decoder.start()
        self.state = "open"
        self.opened.set()
        self._observer.notify(self)
