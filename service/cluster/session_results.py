"""Results of a session, from its logs to the bus: without a hole, also over lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from mimamba.service.bus.bus import Bus, Guard, NotStored, publish
from mimamba.service.cluster.head_readings import HeadReader
from mimamba.service.cluster.subjects import (
    BUS_TOPICS,
    Bundle,
    Entry,
    LoggedFeedback,
    output_subject,
    pack,
)
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs
from mimamba.service.protocol.feedback_state import FeedbackEntry
from mimamba.service.protocol.messages import MotionMessage, PPGMessage, SignalMessage
from mimamba.service.sessions.session import Session
from mimamba.service.stream.reader import signal_message, topic_message
from mimamba.service.topics import Topic

MOST_ENTRIES = 256
"""Entries of a topic in one bundle."""
MOST_BYTES = 256 << 10
"""Bytes of sensors in one bundle, and of signal; the bus takes messages of 1 MiB."""
AT_ONCE = 16
"""Entries of signal that are read together."""
RETRY_SECONDS = 0.1
"""Pause before a bundle is sent again."""


class ResultsReader:
    """Takes from a session's logs whatever is new.

    Parameters
    ----------
    session
        An open session; its first entries are the oldest that its logs hold.
    """

    def __init__(self, session: Session) -> None:
        assert session.logs is not None
        self._session = session
        self._logs: EpochLogs = session.logs
        self._heads = HeadReader(self._logs)
        self._at: dict[Topic, int] = {each: self._logs.log(each).oldest for each in BUS_TOPICS}
        self._models = 0  # of these logs that were given

    @property
    def position(self) -> tuple[str, dict[Topic, int]]:
        """The epoch, and the ``seq`` of each topic that comes next."""
        return self._logs.epoch, dict(self._at)

    def take(self) -> Bundle | None:
        """Return the next entries, also of the next epoch; None if there is nothing new."""
        present = self._session.logs  # read first: the logs of a past epoch are complete
        bundle = self._take()
        if bundle is None and present is not None and present is not self._logs:
            self._logs, self._at, self._models = present, dict.fromkeys(BUS_TOPICS, 0), 0
            self._heads = HeadReader(present)
            bundle = self._take() or Bundle(present.epoch, dict(self._at), [], self._new_models())
        return bundle

    def _new_models(self) -> list[ActiveModel]:
        """Return the models that were not given yet, with the one before them."""
        models, given = list(self._logs.active_models), self._models
        self._models = len(models)
        return models[max(0, given - 1) :] if len(models) > given else []

    def _take(self) -> Bundle | None:
        first: dict[Topic, int] = {}
        entries: list[Entry] = []
        heads = self._heads.take()  # before their signal, which comes in the same bundle
        bands_end = self._logs.bands.next  # first: no bands are sent before their quality
        for topic in BUS_TOPICS:
            log, at = self._logs.log(topic), self._at[topic]
            end = bands_end if topic == "bands" else log.next
            if end == at:
                first[topic] = at
                continue
            first[topic] = at = max(at, log.oldest)
            stop = min(end, at + MOST_ENTRIES)
            if topic == "signal":
                for message in self._signal(at, stop):
                    entries.append(message)
                    at = message.seq + 1
            else:
                for made in self._events(topic, at, stop):
                    entries.append(made)
                    at = made.seq + 1
            self._at[topic] = at
        if not entries and not heads:
            return None
        return Bundle(self._logs.epoch, first, entries, self._new_models(), heads)

    def _events(self, topic: Topic, at: int, stop: int) -> Iterator[Entry]:
        size = 0
        for seq, entry in self._logs.events(topic).read(at, stop):
            made = (
                LoggedFeedback(seq, entry)  # with its notes, which no client gets
                if isinstance(entry, FeedbackEntry)
                else topic_message(self._session.name, seq, entry)
            )
            assert isinstance(made, Entry)
            yield made
            if isinstance(made, PPGMessage | MotionMessage):
                size += len(made.data) + len(made.timestamps)
            if size > MOST_BYTES // 2:  # there are two such topics
                return

    def _signal(self, at: int, stop: int) -> Iterator[SignalMessage]:
        """Return the signal entry by entry: their borders are part of their numbers."""
        size = 0
        for start in range(at, stop, AT_ONCE):
            for run in self._logs.signal.read_entries(start, min(start + AT_ONCE, stop)):
                yield signal_message(self._session.name, run)
                size += run.data.nbytes + run.timestamps.nbytes
                if size > MOST_BYTES:
                    return


class ResultsSender:
    """Sends a session's results to the bus, each bundle until it is stored.

    Parameters
    ----------
    bus
        The bus.
    session
        An open session.
    guard
        The shard's lease; once that is another's, sending ends with ``Overtaken``.
    """

    def __init__(self, bus: Bus, session: Session, guard: Guard) -> None:
        self._bus = bus
        self._subject = output_subject(session.name, "results")
        self._guard = guard
        self._reader = ResultsReader(session)
        self._woken = asyncio.Event()
        self._flushes: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Send what is new."""
        self._woken.set()

    async def flush(self) -> None:
        """Return once everything that the logs hold now is stored; ``run`` runs meanwhile."""
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append(flushed)
        self._woken.set()
        await flushed

    async def run(self) -> None:
        """Send until cancelled; raises Overtaken."""
        while True:
            self._woken.clear()
            while (bundle := self._reader.take()) is not None:
                await self._store(pack(bundle))
            flushes, self._flushes = self._flushes, []
            for each in flushes:
                if not each.done():
                    each.set_result(None)
            await self._woken.wait()

    async def _store(self, payload: bytes) -> None:
        """Send a bundle until it is stored: only then comes the next, so none is overtaken."""
        while True:
            try:
                await publish(self._bus, self._subject, payload, guard=self._guard)
            except NotStored:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
