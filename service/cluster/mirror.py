"""A session that a worker elsewhere computes, with logs that are filled from the bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BANDS, BandPower, Quality
from mimamba.service.bus.bus import Bus, NotStored
from mimamba.service.cluster.subjects import Bundle, Entry, View, output_subject, unpack_bundle
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.protocol.messages import (
    BandsMessage,
    LinkMessage,
    MarkerMessage,
    PredictionMessage,
    QualityMessage,
    SignalMessage,
)
from mimamba.service.protocol.personal import CalibrationEntry, RatingEntry
from mimamba.service.sessions.epoch_logs import ActiveModel, EpochLogs, LinkEntry, SessionSnapshot
from mimamba.service.sessions.prediction_log import PublishedPrediction
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.session import Session, SessionObserver, SessionOver, SessionTap
from mimamba.service.sessions.session_decoder import SessionDecoder
from mimamba.service.topics import Topic

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.2

TOPIC_OF: dict[type[Entry], Topic] = {
    PredictionMessage: "prediction",
    QualityMessage: "quality",
    BandsMessage: "bands",
    SignalMessage: "signal",
    MarkerMessage: "marker",
    LinkMessage: "link",
}
"""Topic of each kind of message."""


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

    Attributes
    ----------
    worker
        Name of its worker.
    """

    def __init__(
        self, bus: Bus, view: View, loop: ComputeLoop[Session], observer: SessionObserver
    ) -> None:
        super().__init__(view.session, view.source, loop, None, False, 0.0, observer)
        self._bus = bus
        self._model = ActiveModel()
        self.worker = view.worker
        self._filled = False
        self._caught_up: asyncio.Event | None = None
        self._follower: asyncio.Task[None] | None = None
        self.show(view)

    def show(self, view: View) -> None:
        """Show the session as its worker describes it now."""
        self.info, self.link, self.worker = view.info, view.link, view.worker
        self.state, self.reason = view.state, view.reason
        self._model = ActiveModel(0, view.model, view.outputs, view.montage, view.delay)
        if view.epoch and (self.logs is None or (not self._filled and self._differs(view.epoch))):
            self.logs = EpochLogs(view.epoch, view.info, self._model)
        self.opened.set()
        self._observer.notify(self)

    def _differs(self, epoch: str) -> bool:
        return self.logs is None or self.logs.epoch != epoch

    # Following -----------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Fill the logs from the bus from now on; return once they hold what the bus has."""
        if self._caught_up is None:
            self._caught_up = asyncio.Event()
            self._follower = asyncio.create_task(self._mirror(self._caught_up))
        await self._caught_up.wait()

    async def _mirror(self, caught_up: asyncio.Event) -> None:
        subject = output_subject(self.name, "results")
        seen = 0
        while True:
            try:
                newest = await self._bus.newest(subject)
                stop = newest[0].sequence if newest else 0
                if not newest:
                    caught_up.set()
                async with self._bus.follow(subject, seen) as messages:
                    async for message in messages:
                        seen = message.sequence
                        self._take(message.payload)
                        if seen >= stop:
                            caught_up.set()
            except NotStored as error:  # the server is away
                log.warning("bus", extra={"session": self.name, "reason": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return  # the connection was closed

    def _take(self, payload: bytes) -> None:
        try:
            bundle = unpack_bundle(payload)
        except msgspec.MsgspecError as error:
            log.warning("a message was refused", extra={"reason": str(error)})
            return
        logs = self._logs_for(bundle)
        news = False
        for entry in bundle.entries:
            topic = TOPIC_OF[type(entry)]
            if entry.seq == logs.log(topic).next:  # else it is told a second time
                append(logs, entry)
                news = news or topic in ("prediction", "marker", "link")
        self._observer.notify_round([self], [self] if news else [])

    def _logs_for(self, bundle: Bundle) -> EpochLogs:
        """Return the logs that a bundle continues; new ones for another epoch, or after a hole."""
        assert self.info is not None
        logs = self.logs
        hole = logs is not None and any(
            first > logs.log(topic).next for topic, first in bundle.first.items()
        )
        if logs is None or not self._filled or self._differs(bundle.epoch) or hole:
            logs = EpochLogs(bundle.epoch, self.info, self._model, first=bundle.first)
            self.logs, self._filled = logs, True
            self._observer.notify(self)
        return logs

    # What a worker does, and a gateway does not ---------------------------------------------------

    def start(self) -> None:
        """Do nothing: its worker has started it."""

    def stop(self) -> None:
        """Stop following; the session goes on."""
        if self._follower is not None:
            self._follower.get_loop().call_soon_threadsafe(self._follower.cancel)

    def close(self) -> None:
        """Stop following; the session goes on."""
        self.stop()

    def snapshot(self, fresh_head: bool = False) -> SessionSnapshot:
        """Raise ComputedElsewhere."""
        raise self._elsewhere("recorded with a fresh head" if fresh_head else "recorded")

    def save(self) -> SavedSession:
        """Raise ComputedElsewhere."""
        raise self._elsewhere("saved")

    def set_model(self, engine: Engine | None, r: float) -> None:
        """Raise ComputedElsewhere."""
        name = engine.checkpoint.name if engine else "no"
        raise self._elsewhere(f"given {name} model with r = {r:g}")

    @contextmanager
    def between_chunks(self) -> Iterator[SessionDecoder | None]:
        """Raise ComputedElsewhere."""
        self._refuse("given a baseline")
        yield None

    def add_marker(self, marker: ReceivedMarker) -> None:
        """Raise ComputedElsewhere."""
        raise self._elsewhere(f"given the marker {marker.label!r}")

    def log_marker(self, marker: Marker) -> None:
        """Raise ComputedElsewhere."""
        raise self._elsewhere(f"given the marker {marker.label!r}")

    def log_personal(self, entry: CalibrationEntry | RatingEntry) -> None:
        """Raise ComputedElsewhere."""
        what = "a rating" if isinstance(entry, RatingEntry) else "a calibration"
        raise self._elsewhere(f"given {what}")

    def add_tap(self, tap: SessionTap) -> None:
        """Raise ComputedElsewhere."""
        raise self._elsewhere(f"tapped for {type(tap).__name__}")

    def _refuse(self, action: str) -> None:
        raise self._elsewhere(action)

    def place_markers(self) -> None:
        """Do nothing: its worker places them."""

    def _elsewhere(self, action: str) -> ComputedElsewhere:
        return ComputedElsewhere(
            f"Expected a session of this process, but {self.name} is computed by worker "
            f"{self.worker}: it cannot be {action} over the bus. Use a service without --bus."
        )


def append(logs: EpochLogs, entry: Entry) -> None:
    """Append a message of the bus to the log of its topic."""
    if isinstance(entry, SignalMessage):
        stamps = np.frombuffer(entry.timestamps, "<f8").astype(np.float64, copy=False)
        data = np.frombuffer(entry.data, "<f4").astype(np.float32, copy=False)
        chunk = Chunk(data.reshape(len(stamps), logs.info.n_channels), stamps, entry.first)
        logs.signal.append(chunk)
        logs.expected = chunk.end
    elif isinstance(entry, PredictionMessage):
        made = Prediction(entry.index, entry.timestamp, entry.status, entry.reason, entry.outputs)
        logs.prediction.append(PublishedPrediction(made, entry.timing))
    elif isinstance(entry, QualityMessage):
        logs.quality.append(Quality(entry.index, entry.timestamp, entry.channels, entry.motion))
    elif isinstance(entry, BandsMessage):
        rows = [[getattr(each, band) for band in BANDS] for each in entry.channels.values()]
        power = np.array(rows, np.float64)  # None becomes NaN
        logs.bands.append(BandPower(entry.index, entry.timestamp, tuple(entry.channels), power))
    elif isinstance(entry, MarkerMessage):
        logs.marker.append(Marker(entry.timestamp, entry.index, entry.label, entry.source))
    else:
        logs.link.append(
            LinkEntry(entry.timestamp, entry.event, entry.detail, entry.first, entry.lost)
        )
