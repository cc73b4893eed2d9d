"""What a session has to tell, on its way into the logs of its present epoch."""

from __future__ import annotations

from collections.abc import Callable

from mimamba.drivers.driver import Chunk, LinkChange
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import Hop
from mimamba.service.protocol.events import LinkEvent
from mimamba.service.protocol.messages import Timing
from mimamba.service.sessions.epoch_logs import EpochLogs, LinkEntry, PublishedPrediction
from mimamba.service.sessions.pending_markers import PendingMarkers
from mimamba.service.sessions.session_counters import SessionCounters


class EventRecorder:
    """Logs what befalls a session, counts it, and has it told.

    Parameters
    ----------
    prompt
        Called where something should be told at once; it does not block.

    Attributes
    ----------
    logs
        The present epoch's logs; None before the first.
    link
        How the stream stands: the newest event that says so.
    marks
        Markers that wait for their sample.
    """

    def __init__(self, prompt: Callable[[], None]) -> None:
        self.logs: EpochLogs | None = None
        self.link: LinkEntry | None = None
        self.counters = SessionCounters()
        self.marks = PendingMarkers()
        self._prompt = prompt

    def begin(self, logs: EpochLogs) -> None:
        """A new epoch's logs are the present ones."""
        with self.marks.lock:
            self.logs = logs

    def take(self, chunk: Chunk) -> None:
        """Log a chunk, and what is missing before it."""
        assert self.logs is not None
        if gap := self.logs.gap_before(chunk):
            self.tell(gap)
        self.counters.samples += chunk.n_times
        self.logs.take(chunk)
        if chunk.markers:
            self._prompt()
        self.place_marks()

    def place_marks(self) -> None:
        """Log the markers that need not wait any more; from any thread."""
        with self.marks.lock:  # no new epoch begins meanwhile
            if (logs := self.logs) is None:
                return
            placed = self.marks.place(logs.signal, logs.info)
            for marker in placed:
                logs.marker.append(marker)
        if placed:
            self._prompt()

    def tell(self, entry: LinkEntry) -> None:
        """Tell all who follow the link what befell."""
        assert self.logs is not None
        self.counters.on_link_event(entry)
        if entry.event in ("connected", "lost", "retrying", "paused", "playing"):
            self.link = entry
        self.logs.link.append(entry)
        self._prompt()

    def note(self, event: LinkEvent, detail: str, hop: Hop | None = None) -> None:
        """Tell what befell the model at a hop, or from the next sample on."""
        assert self.logs is not None
        if hop is None:
            self.tell(LinkEntry(local_clock(), event, detail, self.logs.expected))
        else:
            self.tell(LinkEntry(hop.timestamp, event, detail, hop.index))

    def link_changed(self, change: LinkChange) -> None:
        """From the supervisor, in the session's thread."""
        self.tell(LinkEntry(change.timestamp, change.state, change.detail))

    def publish(self, prediction: Prediction, received: float, stepped: float) -> None:
        """From the engine, in its thread."""
        assert self.logs is not None
        timing = Timing(received, stepped, local_clock())
        self.counters.on_prediction(prediction.outputs is None, timing.published - received)
        self.logs.prediction.append(PublishedPrediction(prediction, timing))
        self._prompt()
