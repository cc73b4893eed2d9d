"""Metrics of the service for Prometheus, collected on request.

Each application has a registry of its own; prometheus_client's global registry stays empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from mimamba.service.bridges.udp_markers import UDPMarkers
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.mirrored_session import MirroredSession
from mimamba.service.mqtt.mqtt_out import MQTTOut
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.session import Session, State
from mimamba.service.stream.hub import Hub

PREFIX = "mimamba_"

Label = TypeVar("Label", bound=str)


def make_registry(
    hub: Hub,
    sessions: SessionRegistry,
    recordings: Recordings,
    udp: UDPMarkers,
    mqtt: MQTTOut | None,
) -> CollectorRegistry:
    """Create a registry for one service."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(hub, sessions, recordings, udp, mqtt))
    return registry


class ServiceCollector(Collector):
    """Collects the metrics of a running service; call it on its event loop.

    Parameters
    ----------
    hub, sessions, recordings, udp, mqtt
        Parts of the service.
    """

    def __init__(
        self,
        hub: Hub,
        sessions: SessionRegistry,
        recordings: Recordings,
        udp: UDPMarkers,
        mqtt: MQTTOut | None,
    ) -> None:
        self._hub = hub
        self._sessions = sessions
        self._recordings = recordings
        self._udp = udp
        self._mqtt = mqtt

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        yield InfoMetricFamily(f"{PREFIX}build", "The version.", {"version": version("mimamba")})
        sessions = list(self._sessions.all().values())
        yield from self._of_states(sessions)
        # Those of a bus are counted by their workers.
        yield from self._of_sessions(
            [each for each in sessions if not isinstance(each, MirroredSession)]
        )
        if isinstance(self._sessions, BusSessions):
            yield from self._of_workers(self._sessions)
        yield from self._of_engines()
        yield from self._of_subscribers()
        yield from self._of_recordings()
        yield _counter("errors", "Errors by kind.", "kind", self._hub.counters.errors)
        yield _counter(
            "refusals",
            "Refused requests and WebSockets by reason.",
            "reason",
            self._hub.counters.refused,
        )
        yield CounterMetricFamily(
            f"{PREFIX}datagrams_refused",
            "Datagrams that were not valid markers.",
            self._udp.refused,
        )
        if self._mqtt is not None:
            yield from _of_broker(self._mqtt)

    def _of_workers(self, sessions: BusSessions) -> Iterator[Metric]:
        workers = {each.worker: each for each in sessions.workers()}
        reached = self._hub.farewell is None
        help_text = "0 while clients are sent away, as the bus does not answer, else 1."
        yield GaugeMetricFamily(f"{PREFIX}bus_reached", help_text, reached)
        yield GaugeMetricFamily(f"{PREFIX}workers", "Workers that are alive.", len(workers))
        for name, help_text, field in (
            ("worker_sessions", "Sessions that a worker computes.", "sessions"),
            ("worker_capacity", "Sessions that it computes at most.", "capacity"),
            ("worker_shards", "Shards that it has.", "shards"),
            ("worker_cpu", "Share of one core that it uses.", "cpu"),
        ):
            values = {worker: getattr(each, field) for worker, each in workers.items()}
            yield _gauge(name, help_text, "worker", values)
        hand_overs = CounterMetricFamily(
            f"{PREFIX}hand_overs",
            "Shards that a worker took over from one that was gone, or gave to another.",
            labels=("worker", "kind"),
        )
        for worker, each in workers.items():
            hand_overs.add_metric((worker, "taken"), each.taken)
            hand_overs.add_metric((worker, "given"), each.moved)
        yield hand_overs

    def _of_states(self, sessions: list[Session]) -> Iterator[Metric]:
        states = Counter(dict.fromkeys(get_args(State), 0))
        states.update(each.state for each in sessions)
        yield _gauge("sessions", "Sessions by state.", "state", states)

    def _of_sessions(self, sessions: list[Session]) -> Iterator[Metric]:
        counters = {each.name: each.counters for each in sessions}
        for name, help_text, field in (
            ("samples_received", "Received samples.", "samples"),
            ("samples_lost", "Lost samples: gaps in the numbering.", "lost"),
            ("links_lost", "Losses of the link to the device.", "links_lost"),
            ("hops_late", "Predictions published after the next hop was due.", "late"),
        ):
            values = {session: getattr(each, field) for session, each in counters.items()}
            yield _counter(name, help_text, "session", values)
        hops = CounterMetricFamily(
            f"{PREFIX}hops", "Hops by outcome.", labels=("session", "outcome")
        )
        for session, each in counters.items():
            for outcome in ("stepped", "abstained", "skipped"):
                hops.add_metric((session, outcome), getattr(each, outcome))
        yield hops

    def _of_engines(self) -> Iterator[Metric]:
        engines = self._sessions.engines()
        yield _counter(
            "engine_failures",
            "Engines that have stopped because their model failed.",
            "model",
            {name: int(engine.failure is not None) for name, engine in engines.items()},
        )
        yield _counter(
            "answers_unsound",
            "Outputs of a model that were not finite.",
            "model",
            {name: engine.non_finite for name, engine in engines.items()},
        )
        steps = HistogramMetricFamily(
            f"{PREFIX}step_seconds", "Duration of a step of a batch of hops.", labels=("model",)
        )
        for name, engine in engines.items():
            steps.add_metric((name,), *_buckets(engine.steps))
        yield steps

    def _of_subscribers(self) -> Iterator[Metric]:
        hub, counters = self._hub, self._hub.counters
        yield GaugeMetricFamily(
            f"{PREFIX}subscribers", "WebSocket connections, acquirers included.", hub.subscribers
        )
        for name, help_text, value in (
            ("messages_sent", "Messages sent to subscribers.", counters.messages),
            ("sent_bytes", "Size of these messages.", counters.message_bytes),
            (
                "entries_skipped",
                "Entries removed before a slow subscriber read them.",
                counters.skipped,
            ),
        ):
            yield CounterMetricFamily(f"{PREFIX}{name}", help_text, value)
        ages = HistogramMetricFamily(
            f"{PREFIX}prediction_age_seconds",
            "Time from the arrival of a prediction's last samples to its sending.",
        )
        ages.add_metric((), *_buckets(counters.ages))
        yield ages

    def _of_recordings(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            f"{PREFIX}recordings", "Recordings in progress.", self._recordings.running
        )
        yield _counter(
            "recordings_ended", "Ended recordings by outcome.", "outcome", self._recordings.endings
        )


def _of_broker(mqtt: MQTTOut) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        f"{PREFIX}mqtt_connected", "1 while the MQTT broker is there, else 0.", int(mqtt.connected)
    )
    for name, help_text, value in (
        ("mqtt_messages", "Messages published to the MQTT broker.", mqtt.sent),
        ("mqtt_failures", "Connections to it that were lost or not made.", mqtt.failures),
    ):
        yield CounterMetricFamily(f"{PREFIX}{name}", help_text, value)


def _gauge(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _counter(name: str, help_text: str, label: str, values: Mapping[Label, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help_text, labels=(label,))
    for key, value in list(values.items()):
        family.add_metric((key,), value)
    return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return a histogram's cumulative buckets and its sum."""
    samples = _samples(histogram.collect())
    buckets = [(each.labels["le"], each.value) for each in samples if each.name.endswith("_bucket")]
    return buckets, next(each.value for each in samples if each.name.endswith("_sum"))


def _samples(families: Iterable[Metric]) -> list[Sample]:
    return [sample for family in families for sample in family.samples]
