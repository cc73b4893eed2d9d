"""LSL output: predictions, quality, bands and markers of all sessions as LSL streams.

It reads the sessions' logs in a thread of its own: no call to liblsl delays a session or the event
loop.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mimamba.drivers.driver import Marker
from mimamba.drivers.lsl.discovery import load_pylsl
from mimamba.drivers.lsl.markers import MARKER_TYPE as MARKERS
from mimamba.drivers.lsl.markers import OWN_PREFIX
from mimamba.drivers.lsl.outlet import append_values
from mimamba.models.signal.measures import BANDS, BandPower, Quality
from mimamba.service.bridges.lsl_sensors import SensorOutlets
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs, Event
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.recordings.stream_headers import (
    STATUS,
    prediction_rows,
    set_channels,
    set_rows,
)
from mimamba.service.sessions.session import Session
from mimamba.service.topics import TOPICS, Topic

WAKE = 0.02
"""Seconds between two reads of the logs: the maximal delay, well below a hop."""


class LSLOut:
    """Streams of each session, from its opening until its deletion.

    ``SESSION predictions``: a channel per output's label, as ``valence/low``, NaN if the model
    abstained; then the sample's index and the status. ``SESSION quality``: a channel per source
    channel, 0 to 1. ``SESSION bands``: a channel per source channel and band, as ``TP9/alpha``
    (µV²), NaN without a value. ``SESSION markers``: text. ``SESSION sets``: for each prediction
    with a set, a channel per output's label, 1 if the set holds it, else 0; ``OUTPUT/coverage`` and
    ``OUTPUT/labelled``; the sample's index; NaN for an output without a set. All have an irregular
    rate, and numbers are double64; timestamps are those of the samples that they describe. When the
    model changes, ``SESSION predictions`` and ``SESSION sets`` are new streams. ``SESSION ppg``,
    ``SESSION acceleration`` and ``SESSION rotation`` are float32 at their nominal rates, and
    ``SESSION heart rate`` comes once a second; they begin with the first samples of a device that
    has them.

    Parameters
    ----------
    sessions
        Returns the sessions by id; called in the thread.

    Raises
    ------
    LibraryMissing
        If liblsl does not load.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]]) -> None:
        load_pylsl()
        self._sessions = sessions
        self._streams: dict[Session, _Streams] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lsl out")

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def close(self) -> None:
        """End all streams; returns when the thread has ended."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(WAKE):
            present = list(self._sessions().values())
            for session in present:
                self._follow(session)
            for gone in self._streams.keys() - set(present):
                del self._streams[gone]
        for session in self._streams:
            session.watchers.discard(self)
        self._streams.clear()

    def _follow(self, session: Session) -> None:
        if session not in self._streams and session.state == "open":
            self._streams[session] = _Streams(session)
            session.watchers.add(self)
        if session in self._streams:
            self._streams[session].send_new()


@dataclass(eq=False)
class _Position:
    """A topic's stream, and its next entry to send."""

    outlet: Any
    at: int


class _Streams:
    """Streams of one session."""

    def __init__(self, session: Session) -> None:
        assert session.logs is not None  # as it is open
        assert session.info is not None
        self._session = session
        self._logs: EpochLogs = session.logs
        self._model_index = len(session.logs.active_models) - 1
        self._outputs: Mapping[str, Sequence[str]] = {}
        self._kinds: tuple[str, ...] = ()
        self._positions: dict[Topic, _Position] = {}
        self._sets: Any = None
        self._open_predictions(session.logs.prediction.next)
        self._open("quality", "Quality", dict.fromkeys(session.info.ch_names, "score"))
        bands = (f"{name}/{band}" for name in session.info.ch_names for band in BANDS)
        self._open("bands", "Bands", dict.fromkeys(bands, "microvolts^2"))
        self._open("marker", MARKERS, {"marker": "text"})
        self._sensors = SensorOutlets(session.logs)

    def send_new(self) -> None:
        """Send new entries of the logs, also those of a next epoch."""
        present = self._session.logs
        self._catch_up()
        if present is not None and present is not self._logs:
            self._logs, self._model_index = present, 0
            for position in self._positions.values():
                position.at = 0
            self._sensors.begin_epoch()
            self._catch_up()

    def _catch_up(self) -> None:
        """Send all entries; predictions of another model go to a new stream."""
        logs = self._logs
        stops = {topic: logs.log(topic).next for topic in TOPICS}
        for active_model in logs.active_models[self._model_index + 1 :]:
            before = logs.active_models[self._model_index]
            if _only_head_checked(before, active_model):
                self._model_index += 1
                continue
            self._send(stops | {"prediction": active_model.since})
            self._model_index += 1
            self._open_predictions(active_model.since)
        self._send(stops)
        self._sensors.send(logs, self._make_outlet)

    def _open_predictions(self, at: int) -> None:
        """Open a stream for the present model's predictions, from this entry on."""
        active_model = self._logs.active_models[self._model_index]
        self._positions.pop("prediction", None)
        self._sets = None
        self._outputs = active_model.outputs or {}
        if active_model.outputs is not None:
            self._kinds = active_model.head.kinds if active_model.head else ()
            channels = _prediction_channels(self._outputs, self._kinds)
            self._open("prediction", "Predictions", channels)
            self._positions["prediction"].at = at
            units = {each["label"]: each["unit"] for each in set_channels(self._outputs)}
            self._sets = self._make_outlet("sets", "Sets", units, 0.0, "double64")

    def _open(self, topic: Topic, kind: str, channels: Mapping[str, str]) -> None:
        """Open a stream with these channels and units, for entries from now on."""
        outlet = self._make_outlet(
            kind.lower(), kind, channels, 0.0, "string" if kind == MARKERS else "double64"
        )
        self._positions[topic] = _Position(outlet, self._logs.events(topic).next)

    def _make_outlet(
        self, name: str, kind: str, channels: Mapping[str, str], sfreq: float, numbers: str
    ) -> Any:
        """Make an outlet of this session; a rate of 0 Hz is an irregular one."""
        lsl = load_pylsl()
        name = f"{self._session.name} {name}"
        info = lsl.StreamInfo(
            name,
            kind,
            len(channels),
            sfreq or lsl.IRREGULAR_RATE,
            numbers,
            f"{OWN_PREFIX}{socket.gethostname()}:{name}",
        )
        described = info.desc().append_child("channels")
        for label, unit in channels.items():
            facts = {"label": label, "unit": unit, "type": kind}
            append_values(described.append_child("channel"), facts)
        append_values(info.desc().append_child("mimamba"), self._facts())
        return lsl.StreamOutlet(info)

    def _facts(self) -> dict[str, str]:
        """Return facts about the model, with its notice."""
        model = self._logs.active_models[self._model_index].model
        if model is None:
            return {}
        return {"model": model.name, "sha256": model.sha256, "notice": model.notice or ""}

    def _send(self, stops: Mapping[Topic, int]) -> None:
        for topic, position in self._positions.items():
            for seq, entry in self._logs.events(topic).read(position.at, stops[topic]):
                values, timestamp = self._sample(entry)
                position.outlet.push_sample(values, timestamp)
                position.at = seq + 1
                if isinstance(entry, PublishedPrediction) and entry.prediction.set:
                    (row,) = set_rows([entry.prediction], self._outputs).tolist()
                    self._sets.push_sample(row, timestamp)

    def _sample(self, entry: Event) -> tuple[Iterable[Any], float]:
        """Return an entry's values and its timestamp."""
        if isinstance(entry, PublishedPrediction):
            (row,) = prediction_rows([entry.prediction], self._outputs).tolist()
            *chances, index, status = row
            personal = entry.personal.probabilities if entry.personal else None
            own = [(personal or {}).get(kind, math.nan) for kind in self._kinds]
            return [*chances, *own, index, status], entry.prediction.timestamp
        if isinstance(entry, Quality):
            return [each.score for each in entry.channels.values()], entry.timestamp
        if isinstance(entry, BandPower):
            return entry.power.flatten().tolist(), entry.timestamp
        assert isinstance(entry, Marker)
        return [entry.label], entry.timestamp


def _only_head_checked(before: ActiveModel, after: ActiveModel) -> bool:
    """Return whether the predictions of both have the same channels and facts."""
    heads = [each.head.id if each.head else None for each in (before, after)]
    return before.model == after.model and heads[0] == heads[1]


def _prediction_channels(
    outputs: Mapping[str, Sequence[str]], kinds: Sequence[str]
) -> dict[str, str]:
    labels = {f"{key}/{label}": "probability" for key, names in outputs.items() for label in names}
    codes = ", ".join(f"{value:g} {name}" for name, value in STATUS.items())
    own = {f"personal/{kind}": "probability" for kind in kinds}
    return {**labels, **own, "index": "sample", "status": codes}
