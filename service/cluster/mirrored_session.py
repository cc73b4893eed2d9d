"""A session that a worker elsewhere computes, with logs that are filled from the bus."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import msgspec

from mimamba.drivers.driver import Marker, TakesCues
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bus.bus import Bus, BusMessage, NotStored, start_on
from mimamba.service.cluster.head_readings import take_readings
from mimamba.service.cluster.mirrored_logs import (
    TOPIC_OF,
    append,
    append_signal,
    is_earlier,
    is_next,
    newest_reading,
)
from mimamba.service.cluster.request_messages import (
    BeginBaseline,
    CancelBaseline,
    ChangeHeadCard,
    FindHops,
    ForgetPerson,
    LogCalibration,
    LogFeedback,
    LogMarker,
    LogRating,
    LogRecording,
    LogStudy,
    PlaceMarker,
    SetPerson,
    TakeHeadAway,
    TakeSnapshot,
    UseBaseline,
    UseHead,
    UseModel,
)
from mimamba.service.cluster.requests import ANSWER_SECONDS, read_hops
from mimamba.service.cluster.signal_taps import SignalTaps
from mimamba.service.cluster.subjects import (
    Bundle,
    View,
    output_subject,
    pack,
    unpack_bundle,
)
from mimamba.service.cluster.worker_requests import RETRY_SECONDS, WorkerRequests
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs, SessionSnapshot
from mimamba.service.people.carried_people import CarriedPerson, pack_person
from mimamba.service.people.people import NoPerson, People, Person
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.messages import MarkerMessage, SignalMessage
from mimamba.service.protocol.personal import (
    CalibrationEntry,
    HeadCard,
    PersonalReading,
    RatingEntry,
)
from mimamba.service.protocol.study_progress import StudyEntry
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.personal_decoder import HopsBefore, ServedHead
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.session import (
    Session,
    SessionObserver,
    SessionOver,
)
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.sessions.session_decoder import SessionDecoder
from mimamba.service.sessions.session_pipeline import SessionTap

log = logging.getLogger(__name__)

NEWS = frozenset({"prediction", "marker", "link", "calibration", "rating", "study", "feedback"})
"""Topics whose followers are woken at once."""
OFFSETS = 64
"""Newest samples whose way here is compared: the quickest says most about the clocks."""
SETTLE_PERIOD = 0.005
"""Seconds between two looks at what has come over the bus."""


class ComputedElsewhere(SessionOver):
    """The session is computed by a worker, and this cannot be done from here."""


class MirroredSession(Session):
    """A session of the bus, as a gateway shows it.

    Parameters
    ----------
    bus
        The bus.
    view
        The session as its worker describes it.
    loop
        Of the gateway; it computes nothing of this session.
    observer
        Notified of everything new.
    people
        The people, whose files stay here; None knows nobody.

    Attributes
    ----------
    worker
        Name of its worker.
    wearer
        Its source, if this gateway reads it, for cues to a simulated wearer.
    """

    def __init__(
        self,
        bus: Bus,
        view: View,
        loop: ComputeLoop[Session],
        observer: SessionObserver,
        people: People | None = None,
    ) -> None:
        super().__init__(view.session, view.source, loop, None, False, 0.0, observer)
        self._bus, self._people = bus, people
        self._model = ActiveModel()
        self.worker = view.worker
        self.wearer: TakesCues | None = None
        self._view = view
        self._asyncio = asyncio.get_running_loop()
        self._ahead: deque[float] = deque(maxlen=OFFSETS)
        self._models_known = False
        self._filled = False
        self._caught_up = asyncio.Event()
        self._markers_told: dict[ReceivedMarker, float] = {}  # not in the log yet; when
        self._seen = 0  # number of the last bundle that was taken
        self._tap_epoch = 0  # number of the present logs, for taps
        self._signal_taps = SignalTaps(self.name)
        self._requests = WorkerRequests(bus, self.name, self.show, lambda: self._view.notes)
        self._follower: asyncio.Task[None] | None = None
        self.show(view)

    def show(self, view: View) -> None:
        """Show the session as its worker describes it now."""
        self._view = view
        self.info, self.link, self.worker = view.info, view.link, view.worker
        self.subject.person = view.baseline.person
        if view.state == "ended" and self._follower is not None:
            self._requests.soon(self._end(view.reason))
        else:
            self.state, self.reason = view.state, view.reason
        self._model = ActiveModel(0, view.model, view.outputs, view.montage, view.delay, view.head)
        if view.epoch and not self._filled:
            self.logs = EpochLogs(view.epoch, view.info, self._model)
        self.opened.set()
        self._observer.notify(self)

    def _differs(self, epoch: str) -> bool:
        return self.logs is None or self.logs.epoch != epoch

    # Following -----------------------------------------------------------------------------------

    async def watch(self, patience: float | None = ANSWER_SECONDS) -> None:
        """Fill the logs from the bus from now on; return once they hold what the bus has.

        Returns after ``stop``, too. Raises NotStored if it takes longer than ``patience``, s; None
        waits without end.
        """
        if self._follower is None and not self._closed:
            self._follower = asyncio.create_task(self._mirror())
        try:
            async with asyncio.timeout(patience):
                await self._caught_up.wait()
        except TimeoutError:
            raise NotStored(
                f"Expected from the bus what is known of {self.name} within {patience:g} s, but "
                "it does not answer. Try again."
            ) from None

    async def catch_up(self) -> None:
        """Follow the bus anew after it was away: ``watch`` waits again for what it has now."""
        follower = self._follower
        if follower is None or self._closed:
            return
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        if not self._closed:  # meanwhile
            self._caught_up.clear()
            self._follower = asyncio.create_task(self._mirror())

    async def _mirror(self) -> None:
        subject = output_subject(self.name, "results")
        while True:
            try:
                newest = await self._bus.newest(subject)
                stop = newest[0].sequence if newest else 0
                if self._seen >= stop:
                    self._caught_up.set()
                told = await self._bus.now()
                take = partial(self._take_message, stop, told - local_clock())
                async with self._bus.follow(subject, self._seen, take) as messages:
                    async for message in messages:
                        take(message)
            except NotStored as error:  # the server is away
                log.warning("bus", extra={"session": self.name, "reason": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return  # the connection was closed

    @property
    def watched(self) -> bool:
        """True if somebody here waits for its signal, as a calibration does, too."""
        return bool(self.watchers) or self._signal_taps.any

    async def tell_viewed(self, seconds: float) -> None:
        """Let the worker send the signal promptly for so long: somebody views it."""
        if self.state == "open":
            await self._requests.tell_viewed(seconds)

    def _take_message(self, stop: int, ahead: float, message: BusMessage) -> bool:
        """Take a message; ``stop`` is the number with which all is known.

        ``ahead`` is the bus's clock less this machine's, s: a message up to ``stop`` came when it
        was stored, and not only now.
        """
        late = message.sequence <= stop
        self._take(message.payload, message.stored - ahead if late else local_clock())
        self._seen = message.sequence
        if self._seen >= stop:
            self._caught_up.set()
        return True

    def _take(self, payload: bytes, came: float) -> None:
        try:
            bundle = unpack_bundle(payload)
        except msgspec.MsgspecError as error:
            log.warning("a message was refused", extra={"reason": str(error)})
            return
        if self.logs is not None and self._filled and is_earlier(bundle.epoch, self.logs.epoch):
            return  # another worker computes it again
        logs = self._logs_for(bundle)
        self._take_models(logs, bundle.models)
        news = False
        signal: list[SignalMessage] = []
        next_signal = logs.signal.next
        for entry in bundle.entries:
            if isinstance(entry, SignalMessage):
                if entry.seq == next_signal:  # else it is told a second time
                    signal.append(entry)
                    next_signal += 1
                continue
            topic = TOPIC_OF[type(entry)]
            if entry.seq == logs.log(topic).next:
                append(logs, entry)
                if isinstance(entry, MarkerMessage):
                    placed = ReceivedMarker(entry.timestamp, entry.label, entry.source)
                    self._markers_told.pop(placed, None)
                news = news or topic in NEWS
        for chunk in append_signal(logs, signal):
            self._ahead.append(float(chunk.timestamps[-1]) - came)
            self._signal_taps.put(replace(chunk, epoch=self._tap_epoch))
        take_readings(logs, bundle.heads)  # after their signal, as a recorder reads them before
        self._observer.notify_round([self], [self] if news else [])

    def _logs_for(self, bundle: Bundle) -> EpochLogs:
        """Return the logs that a bundle continues; new ones for another epoch.

        A log without the entries before the bundle's goes on after the hole, without those so far.
        """
        assert self.info is not None
        logs = self.logs
        if logs is None or not self._filled or self._differs(bundle.epoch):
            logs = EpochLogs(bundle.epoch, self.info, self._model, first=bundle.first)
            self.logs, self._filled, self._models_known = logs, True, False
            self._tap_epoch += 1
            self._observer.notify(self)
            return logs
        for topic, first in bundle.first.items():
            log_of_topic = logs.log(topic)
            if first > log_of_topic.next:
                missing = f"{log_of_topic.next} to {first - 1} of {topic}"
                extra = {"session": self.name, "entries": missing}
                log.warning("entries are missing", extra=extra)
                log_of_topic.skip_to(first)
                if topic == "prediction":  # the changes of model between are not known, either
                    self._take_models(logs, [replace(self._model, since=first)])
        return logs

    def _take_models(self, logs: EpochLogs, models: Sequence[ActiveModel]) -> None:
        """Note which models made the predictions; those that are known come again."""
        for each in models:
            if not self._models_known:
                logs.prediction.widen(each.predictions_per_hour)
                logs.active_models[0] = replace(each, since=0)
                self._models_known = True
            elif is_next(each, logs.active_models[-1]):
                logs.prediction.widen(each.predictions_per_hour)
                logs.active_models.append(each)

    # Requests to the worker, from any thread but the event loop's ---------------------------------

    def now(self) -> float:
        """Return the time on the acquirer's clock, s.

        It is what the samples say that came last, so it is late by the time that the quickest of
        them took: a chunk's length and some ms. Without samples it is this machine's own.
        """
        return local_clock() + max(self._ahead, default=0.0)

    @property
    def active_model(self) -> ActiveModel:
        """The model that makes the predictions now."""
        return self._model

    @property
    def battery(self) -> float | None:
        """The device's charge, percent; None where it reports none."""
        return self._view.battery

    @property
    def baseline(self) -> SessionBaseline:
        """The baseline in use, and the one being taken."""
        return self._view.baseline

    def begin_baseline(self, seconds: float | None, person: str | None = None) -> None:
        """Let the worker take the person's rest; raises as ``Session.begin_baseline``."""
        if person is None or self._people is None:
            self._requests.ask(BeginBaseline(seconds))
            return
        try:
            known = self._people.get(person)
        except NoPerson:
            known = Person()
        self._requests.ask(BeginBaseline(seconds, pack_person(person, known)))
        self._people.add(person)

    def use_baseline(self, person: str) -> None:
        """Let the worker use a stored baseline; raises as ``Session.use_baseline``."""
        self._requests.ask(UseBaseline(self._find_person(person)))

    def forget_person(self, person: str) -> None:
        """Let the worker go on without a person who was deleted."""
        super().forget_person(person)
        self._requests.tell(ForgetPerson(person))

    def _find_person(self, name: str) -> CarriedPerson:
        """Return what the worker needs of a person; raises as ``People.get``."""
        if self._people is None:
            raise NoPerson(f"No person is named {name!r}: this service stores nobody.")
        return pack_person(name, self._people.get(name))

    @property
    def head(self) -> HeadCard | None:
        """The personal output beside the model's, if there is one."""
        return self._view.head

    def set_head(self, head: ServedHead | None, person: str | None = None) -> None:
        """Let the worker use another personal output, or none; raises as ``Session.set_head``."""
        if head is None:
            self._requests.ask(TakeHeadAway())
        else:
            carried = None if person is None else self._find_person(person)
            self._requests.ask(UseHead(head.card, head.content, head.rest, carried))

    def set_person(self, person: str) -> None:
        """Let the worker make someone the session's person; raises as ``People.get``."""
        self._requests.tell(SetPerson(self._find_person(person)))
        super().set_person(person)

    def change_head_card(self, card: HeadCard) -> None:
        """Let the worker show that a head in use was checked."""
        self._requests.ask(ChangeHeadCard(card))

    @property
    def last_reading(self) -> PersonalReading | None:
        """The newest personal output that has come; None without one."""
        head = self.head
        return newest_reading(self.logs, head) if self.logs and head else None

    def hops_before(self, index: int, seconds: float) -> HopsBefore | None:
        """Ask the worker what the head measured; raises as ``Session.hops_before``, NotStored."""
        hops = self._requests.ask(FindHops(index, seconds)).hops
        return None if hops is None else read_hops(hops)

    def log_marker(self, marker: Marker) -> None:
        """Let the worker log a marker of a known sample."""
        self._expect_marker(ReceivedMarker(marker.timestamp, marker.label, marker.source))
        self._requests.tell(LogMarker(marker))

    def log_personal(
        self, entry: CalibrationEntry | RatingEntry | StudyEntry | FeedbackEntry
    ) -> None:
        """Let the worker log the progress of a calibration, a study or feedback, or a rating.

        Feedback that is told twice within a minute is told once. A rating is in the logs here, too,
        when this returns. Raises NotStored if no worker answers.
        """
        if isinstance(entry, FeedbackEntry):
            asked = LogFeedback(entry)
            self._requests.tell(asked, hashlib.blake2b(pack(asked), digest_size=12).hexdigest())
            return
        if isinstance(entry, StudyEntry):
            self._requests.tell(LogStudy(entry))
            return
        if isinstance(entry, CalibrationEntry):
            self._requests.tell(LogCalibration(entry))
            return
        self.check_open()
        self._requests.ask(LogRating(entry))
        end = time.monotonic() + ANSWER_SECONDS
        while not self._has_rating(entry):
            if time.monotonic() > end:
                raise NotStored(
                    "Expected the rating from the worker, but found none yet. It may still come: "
                    "look at the ratings before you rate again."
                )
            time.sleep(SETTLE_PERIOD)

    def _has_rating(self, entry: RatingEntry) -> bool:
        log = self.check_open().rating  # another one after a gap in the bus
        return entry in [each for _, each in log.read(log.oldest, log.next)]

    def cue(self, state: str | None, place: int) -> None:
        """Pass a cue on to a simulated wearer, if this gateway reads the source."""
        if self.wearer is not None:
            self.wearer.cue(state, place)

    def add_tap(self, tap: SessionTap) -> None:
        """Give a tap all chunks from the next one on, in a thread of the session's taps."""
        self._signal_taps.add(tap)

    def remove_tap(self, tap: SessionTap) -> None:
        """Give a tap no more chunks."""
        self._signal_taps.remove(tap)

    @contextmanager
    def between_chunks(self) -> Iterator[SessionDecoder | None]:
        """Let no tap take a chunk meanwhile; the decoder is the worker's. Raises SessionOver."""
        with self._signal_taps.held():
            self.check_open()
            yield None

    def cancel_baseline(self) -> None:
        """Let the worker use the previous baseline; raises as ``Session.cancel_baseline``."""
        self._requests.ask(CancelBaseline())

    def use_model(self, choice: ModelChoice) -> None:
        """Let the worker use another model, or none; raises its refusal, or NotStored."""
        self._requests.ask(UseModel(choice))

    def report_recording(self, detail: str) -> None:
        """Let the worker log an event of a recording."""
        self._requests.tell(LogRecording(detail))

    def add_marker(self, marker: ReceivedMarker) -> None:
        """Let the worker set a marker; one that is told twice within a minute is one."""
        self._expect_marker(marker)
        said = f"{self.name} {marker.timestamp!r} {marker.source} {marker.label}"
        self._requests.tell(
            PlaceMarker(marker), hashlib.blake2b(said.encode(), digest_size=12).hexdigest()
        )

    def waiting_markers(self) -> tuple[ReceivedMarker, ...]:
        """Return the markers told of late that are not in the log yet."""
        return tuple(self._markers_told)

    def _expect_marker(self, marker: ReceivedMarker) -> None:
        wait = ANSWER_SECONDS + MAX_DELAY
        now, past = time.monotonic(), self.now() - wait
        for other, told in list(self._markers_told.items()):
            if told < now - wait and other.timestamp < past:  # its worker has refused it
                self._markers_told.pop(other, None)
        self._markers_told[marker] = now

    # What a worker does, and a gateway does not ---------------------------------------------------

    def start(self) -> None:
        """Do nothing: its worker has started it."""

    def stop(self) -> None:
        """Stop following; the session goes on, but what is done with it here."""
        self._closed = True
        self._signal_taps.end()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all that waited there
            self._asyncio.call_soon_threadsafe(self._end_following)

    def _end_following(self) -> None:
        """Follow no more, and let those go on that wait for the logs."""
        if self._follower is not None:
            self._follower.cancel()
        self._caught_up.set()

    async def drain(self) -> None:
        """Wait until all taps have ended, after ``stop``, and what they said is on the bus."""
        await asyncio.to_thread(self._signal_taps.join)
        await self._requests.drain()

    def close(self) -> None:
        """Stop following; the session goes on."""
        self.stop()

    def forget(self) -> None:
        """End: the worker has ended the session. The last results are taken before."""
        self._requests.soon(self._end(self.reason, stop=True))

    async def _end(self, reason: str | None, stop: bool = False) -> None:
        """Show that the session has ended, once all of its results are in the logs."""
        with contextlib.suppress(TimeoutError, NotStored):
            async with asyncio.timeout(ANSWER_SECONDS):
                newest = await self._bus.newest(output_subject(self.name, "results"))
                while self._filled and newest and self._seen < newest[0].sequence:
                    await asyncio.sleep(SETTLE_PERIOD)
        self.state, self.reason = "ended", reason
        self._signal_taps.end()
        self._observer.notify(self)
        if stop:
            self.stop()

    def snapshot(self, fresh_head: bool = False) -> SessionSnapshot:
        """Return the session as its worker has it between two packets; not on the event loop.

        Raises as ``Session.snapshot``, and NotStored if no worker answers.
        """
        self.check_open()
        start_on(self._asyncio, self.watch()).result()
        start = self._requests.ask(TakeSnapshot(fresh_head)).position
        assert start is not None
        end = time.monotonic() + ANSWER_SECONDS
        while (logs := self.check_open()).epoch != start.epoch:
            if time.monotonic() > end:
                raise NotStored(f"Expected the epoch {start.epoch}, but found {logs.epoch}.")
            time.sleep(SETTLE_PERIOD)
        return SessionSnapshot(logs, start.first, start.next, start.state, start.next_head)

    def save(self) -> SavedSession:
        """Raise ComputedElsewhere."""
        raise self._elsewhere("saved")

    def set_model(self, engine: Engine | None, r: float) -> None:
        """Raise ComputedElsewhere."""
        name = engine.checkpoint.name if engine else "no"
        raise self._elsewhere(f"given {name} model with r = {r:g}")

    def place_markers(self, late: bool = False) -> None:
        """Do nothing: its worker places them."""

    def _elsewhere(self, action: str) -> ComputedElsewhere:
        return ComputedElsewhere(
            f"Expected a session of this process, but {self.name} is computed by worker "
            f"{self.worker}: it cannot be {action} over the bus. Use a service without --bus."
        )
