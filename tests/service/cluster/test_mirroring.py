"""Parts of a session that a worker elsewhere computes, each alone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.signal.measures import ChannelQuality
from mimamba.service.bus.bus import Bus, BusMessage, NotStored, publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.head_readings import HeadReadings, take_readings
from mimamba.service.cluster.mirrored_session import MirroredSession
from mimamba.service.cluster.requests import carry_hops, read_hops
from mimamba.service.cluster.signal_taps import SignalTaps
from mimamba.service.cluster.subjects import Bundle, Entry, View, output_subject, pack
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs
from mimamba.service.logs.head_use import TimedReading
from mimamba.service.protocol.messages import (
    MarkerMessage,
    PredictionMessage,
    QualityMessage,
    SignalMessage,
)
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.sessions.personal_decoder import HopsBefore
from mimamba.service.sessions.session import Session
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.stream.hub import Hub
from mimamba.service.topics import Timing, Topic

INFO = StreamInfo("Far", "far-1", 256.0, ("TP9", "AF7", "AF8", "TP10"))


def test_hops_come_as_they_were_also_none() -> None:
    for values in (np.arange(6.0).reshape(3, 2), np.zeros((1, 4)), np.array([])):
        found = read_hops(carry_hops(HopsBefore("a", 7, values, None)))
        assert (found.epoch, found.start, found.rest) == ("a", 7, None)
        assert len(found.values) == len(values)
        np.testing.assert_array_equal(found.values.ravel(), values.ravel())


def test_outputs_after_a_hole_keep_their_numbers() -> None:
    logs = EpochLogs("a", INFO, ActiveModel())
    for seq, indices in ((5, (50, 60)), (6, (60, 70)), (20, (200,)), (21, (210,))):
        readings = [
            TimedReading(PersonalReading(index, "ok", None, {"calm": 1.0}, "calm"), index / 256)
            for index in indices
        ]
        take_readings(logs, [HeadReadings(0, seq, readings)])
    kept = logs.heads[0].read(0, 100)
    assert [(seq, each.reading.index) for seq, each in kept] == [(20, 200), (21, 210)]


KINDS: Final[tuple[Topic, ...]] = ("prediction", "quality", "marker", "signal")


def entry(topic: Topic, seq: int) -> Entry:
    """Make the entry of a number; signal has two samples."""
    if topic == "prediction":
        timing = Timing(0.0, 0.0, 0.0)
        return PredictionMessage("far", seq, seq, float(seq), "ok", None, None, timing)
    if topic == "quality":
        return QualityMessage("far", seq, seq, float(seq), {"TP9": ChannelQuality(1.0, None)})
    if topic == "marker":
        return MarkerMessage("far", seq, float(seq), seq, f"m{seq}", "test")
    stamps = np.arange(2 * seq, 2 * seq + 2, dtype="<f8")
    data = np.full((2, 4), seq, "<f4")
    return SignalMessage("far", seq, 2 * seq, stamps.tobytes(), data.tobytes())


def mirrored(bus: Bus) -> MirroredSession:
    """A session of which nothing is known but its view."""
    loop: ComputeLoop[Session] = ComputeLoop(lambda *_: None)
    nothing = (None, None, None, None, None)
    rest = SessionBaseline(0.0, 0.0, 0.0, 0.0, None)
    view = View("far", "open", None, "push://", "a", INFO, *nothing, rest, "w")
    return MirroredSession(bus, view, loop, Hub())


counts = st.fixed_dictionaries({topic: st.integers(0, 3) for topic in KINDS})


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(counts, st.booleans()), min_size=1, max_size=12))
def test_a_hole_in_one_log_leaves_the_others(bundles: list[tuple[dict[Topic, int], bool]]) -> None:
    """Some bundles never come; only logs whose entries they had begin anew."""

    async def scene() -> None:
        session = mirrored(InProcessBus(Exchange()))
        first: dict[Topic, int] = dict.fromkeys(KINDS, 0)
        session._take(pack(Bundle("a", dict(first), [])), 0.0)
        logs = session.logs
        assert logs is not None
        kept: dict[Topic, list[int]] = {topic: [] for topic in KINDS}
        end = dict(first)  # of what came
        for sizes, comes in bundles:
            numbers = {topic: range(first[topic], first[topic] + sizes[topic]) for topic in KINDS}
            if comes:
                entries = [entry(topic, seq) for topic in KINDS for seq in numbers[topic]]
                session._take(pack(Bundle("a", dict(first), entries)), 0.0)
                for topic in KINDS:
                    if first[topic] > end[topic]:
                        kept[topic] = []
                    kept[topic] += numbers[topic]
                    end[topic] = numbers[topic].stop
            first = {topic: numbers[topic].stop for topic in KINDS}
        assert session.logs is logs
        kept["prediction"] = kept["prediction"][-1:]  # without a model there is room for one
        for topic in KINDS:
            log = logs.log(topic)
            assert list(range(log.oldest, log.next)) == kept[topic]
            assert log.next == end[topic]
        found = [sample for run in logs.signal.read(0, 100) for sample in run.data[:, 0]]
        assert found == [seq for seq in kept["signal"] for _ in range(2)]
        marks = [seq for seq, _ in logs.marker.read(0, 100)]
        assert marks == kept["marker"]
        made = [each.prediction.index for _, each in logs.prediction.read(0, 100)]
        assert made == kept["prediction"]

    asyncio.run(scene())


def test_an_epoch_that_a_worker_computes_again_is_not_begun_again() -> None:
    """Another worker begins with the newest state, which may be one epoch back."""

    async def scene() -> None:
        session = mirrored(InProcessBus(Exchange()))

        def tell(epoch: str, first: int, stop: int) -> None:
            entries = [entry("marker", seq) for seq in range(first, stop)]
            session._take(pack(Bundle(epoch, {"marker": first}, entries)), 0.0)

        tell("a-2", 3, 5)  # a gateway that comes late hears no more of it
        tell("a-9", 0, 4)
        tell("a-10", 0, 2)
        present = session.logs
        tell("a-9", 3, 4)
        assert session.logs is present
        tell("a-10", 0, 3)
        assert session.logs is present
        assert present is not None
        assert [seq for seq, _ in present.marker.read(0, 9)] == [0, 1, 2]
        tell("b-0", 0, 1)  # another source of this id
        assert session.logs is not present

    asyncio.run(scene())


class Tap:
    """Notes that it was ended."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def take(self, chunk: Chunk) -> None:
        """Take a chunk."""

    def end(self) -> None:
        """Take none any more."""
        self.ended.set()


def test_a_tap_that_is_added_as_the_session_ends_ends_too() -> None:
    taps = SignalTaps("far")
    taps.end()
    tap = Tap()
    taps.add(tap)
    assert tap.ended.wait(60)
    taps.join()


def test_whoever_takes_the_signal_watches_it() -> None:
    async def scene() -> None:
        session = mirrored(InProcessBus(Exchange()))
        tap, watched = Tap(), [session.watched]
        session.watchers.add("a page")
        watched.append(session.watched)
        session.watchers.clear()
        session.add_tap(tap)
        watched.append(session.watched)
        session.remove_tap(tap)
        assert [*watched, session.watched] == [False, True, True, False]
        session.stop()
        await session.drain()

    asyncio.run(scene())


def test_the_time_is_known_at_once_however_old_the_newest_signal_is() -> None:
    async def scene() -> None:
        exchange = Exchange()
        bus = InProcessBus(exchange)
        session, age = mirrored(bus), 60.0
        stamps = local_clock() - age + np.array([5000.0 - 1 / 256, 5000.0])
        data = np.zeros((2, 4), "<f4").tobytes()
        signal = SignalMessage("far", 0, 0, stamps.astype("<f8").tobytes(), data)
        payload = pack(Bundle("a", {"signal": 0}, [signal]))
        await publish(bus, output_subject("far", "results"), payload)
        (kept,) = exchange.streams["out"].messages
        exchange.streams["out"].messages = [replace(kept, stored=kept.stored - age)]
        await session.watch()
        assert abs(session.now() - local_clock() - 5000) < age / 2
        session.stop()

    asyncio.run(scene())


class SilentBus(InProcessBus):
    """Its server is away: what is asked is never answered."""

    async def newest(self, pattern: str) -> list[BusMessage]:
        raise NotStored(f"nothing of {pattern}")


def test_nobody_waits_for_logs_without_end() -> None:
    async def scene() -> None:
        session = mirrored(SilentBus(Exchange()))
        with pytest.raises(NotStored, match=r"known of far within 0.01 s, .+ Try again"):
            await session.watch(0.01)
        waiting = asyncio.create_task(session.watch(None))
        await asyncio.sleep(0)
        await asyncio.to_thread(session.stop)
        await waiting
        assert session._follower is not None
        await asyncio.wait([session._follower])
        await session.watch(None)

    asyncio.run(scene())
