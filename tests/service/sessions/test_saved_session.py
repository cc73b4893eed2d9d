"""A session that another process continues goes on as if it had never been cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, Driver, LinkChange, Marker
from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.drivers.push_driver import Inbox, Packet, PushDriver
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.decoding.decoder_state import SnapshotError
from mimamba.models.detection.detector_state import unpack_detector
from mimamba.models.detection.event_kinds import DETECTOR, EventKind
from mimamba.models.personal.features import SIGNAL
from mimamba.models.signal.montage import MontageError
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import EpochLogs, LinkEntry
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.sessions.personal_state import unpack_personal
from mimamba.service.sessions.saved_session import SavedSession, pack_session, unpack_session
from mimamba.service.sessions.session import Session
from mimamba.service.topics import TOPICS
from tests.models.body.planted import PPG, ROTATION
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO, PATIENCE
from tests.service.served_heads import served_head

LIVE = replace(INFO, live=True)
DATA = np.random.default_rng(3).normal(0, 20, (8192, 4)).astype(np.float32)
Entries: TypeAlias = dict[tuple[str, str], dict[int, Any]]
"""What the logs say by epoch and topic, and by ``seq``; without times of ours."""


class Part:
    """A session in a process of its own, as far as it can tell."""

    def __init__(
        self,
        engine: Engine | None,
        saved: SavedSession | None = None,
        detect: Sequence[EventKind] = (),
        max_wait: float = math.inf,
    ) -> None:
        self.inbox = Inbox(LIVE, ordered=True)
        self.loop = ComputeLoop[Session](self.notify_round)
        self.logs: dict[str, EpochLogs] = {}
        if saved is not None:
            self.inbox.state = saved.inbox
        self._driver = PushDriver(
            self.inbox, self._report, 60.0, saved.inbox.link if saved else None
        )
        self._on_change: Callable[[LinkChange], None]
        self.session = Session(
            "cut",
            "push://",
            self.loop,
            engine,
            True,
            1.0,
            self,
            self._connect,
            saved=saved,
            token="same",
            detect=detect,
            max_wait=max_wait,
        )
        self.session.start()
        assert self.session.opened.wait(PATIENCE)
        assert self.session.state == "open", self.session.reason
        self.session.settle()

    def _connect(self, _: str, on_change: Callable[[LinkChange], None]) -> Driver:
        self._on_change = on_change
        return self._driver

    def _report(self, change: LinkChange) -> None:
        self._on_change(change)

    def notify(self, session: Session) -> None:
        """Ignore it."""

    def notify_round(self, signal: Sequence[Session], news: Sequence[Session]) -> None:
        """Ignore it."""

    def give(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            before = self.session.logs
            assert before is not None
            self.logs[before.epoch] = before
            if packet.chunk.epoch != int(before.epoch[-1]) or packet.changes:
                self.session.settle()
            assert self.inbox.put(packet, 100.0)

    def save(self) -> bytes:
        with self.inbox.held():
            saved = self.session.save()
            inbox = replace(self.inbox.state, link=self._driver.link)
        return pack_session(replace(saved, inbox=inbox))

    def entries(self) -> Entries:
        """End the session, and return what it logged."""
        self.session.settle()
        assert self.session.logs is not None
        self.logs[self.session.logs.epoch] = self.session.logs
        found: Entries = {}
        for epoch, logs in self.logs.items():
            for topic in TOPICS:
                if topic == "signal":  # the borders of its entries, too
                    found[epoch, topic] = {
                        seq: (run.first, run.timestamps.tolist(), run.data.tolist())
                        for seq in range(logs.signal.oldest, logs.signal.next)
                        for run in logs.signal.read(seq, seq + 1)
                    }
                else:
                    log = logs.events(topic)
                    read = log.read(0, log.next)
                    found[epoch, topic] = {n: plain(each) for n, each in read}
                    if topic == "prediction":
                        found[epoch, "personal"] = {
                            n: each.personal
                            for n, each in read
                            if isinstance(each, PublishedPrediction)
                        }
        return found


def plain(entry: Any) -> Any:
    """An entry without the times at which it was made."""
    if isinstance(entry, PublishedPrediction):
        return entry.prediction
    if isinstance(entry, LinkEntry):
        return entry.event, entry.detail, entry.first, entry.lost
    if isinstance(entry, AuxiliaryChunk):
        return entry.info, entry.first, entry.timestamps.tolist(), entry.data.tolist()
    if hasattr(entry, "power"):
        return entry.index, entry.timestamp, entry.power.tolist()
    return entry


@contextmanager
def part(
    engine: Engine | None,
    saved: SavedSession | None = None,
    detect: Sequence[EventKind] = (),
    max_wait: float = math.inf,
) -> Iterator[Part]:
    each = Part(engine, saved, detect, max_wait)
    try:
        yield each
    finally:
        each.session.close()
        each.loop.close()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> list[Engine | None]:
    folder = tmp_path_factory.mktemp("models")
    plain_model, rested = (
        Engine(random_checkpoint(folder, f"model-{baseline:g}", baseline))
        for baseline in (0.0, 3.0)
    )
    return [plain_model, rested, None]


@dataclass(frozen=True)
class Plan:
    """A packet to make; lists of them are short to print."""

    n_times: int
    lacks: int  # each so many samples, one value
    flat: bool
    marked: bool
    change: Literal["lost", "retrying", "connected"] | None
    gap: int
    begins: bool  # a new epoch


def rarely(others: st.SearchStrategy[Any], usual: Any, times: int = 7) -> st.SearchStrategy[Any]:
    return st.one_of(*[st.just(usual)] * times, others)


PLANS = st.builds(
    Plan,
    st.sampled_from([1, 12, 12, 12, 64, 200, 600]),
    rarely(st.integers(1, 40), 0),
    rarely(st.just(True), False),
    rarely(st.just(True), False, 4),
    rarely(st.sampled_from(["lost", "retrying", "connected"]), None),
    st.sampled_from([0, 0, 0, 0, 5, 40, 400]),
    rarely(st.just(True), False, 15),
)


def measured_with(chunk: Chunk) -> tuple[AuxiliaryChunk, ...]:
    """What a headset measures beside a chunk: a sample for every fourth, with movements."""
    index = np.arange(-(-chunk.first // 4), -(-chunk.end // 4))
    if not len(index):
        return ()
    stamps = chunk.timestamps[0] + (index - index[0]) / 64
    light = (1000 * np.sin(2 * np.pi * index / 55)[:, np.newaxis] + np.arange(3)).astype(np.float32)
    turned = np.where(index[:, np.newaxis] % 640 < 20, 90, 1) * np.ones((1, 3), np.float32)
    return (
        AuxiliaryChunk(PPG, light, stamps, int(index[0])),
        AuxiliaryChunk(ROTATION, turned.astype(np.float32), stamps, int(index[0])),
    )


def make_packets(plans: Sequence[Plan], first: int) -> list[Packet]:
    """Packets with gaps, poor signal, lost links, markers, and a second epoch."""
    made: list[Packet] = []
    at, epoch, stamp = first, 0, 50.0
    for plan in plans:
        if plan.begins and epoch == 0 and made:
            at, epoch = first, 1
        data = DATA[at % 4000 : at % 4000 + plan.n_times].copy()
        if plan.lacks:
            data[:: plan.lacks, plan.lacks % 4] = np.nan
        if plan.flat:
            data[:] = 0.0  # an electrode is off
        stamps = stamp + np.arange(plan.n_times) / 256
        markers = (Marker(float(stamps[0]), at, f"marker {at}", "test"),) if plan.marked else ()
        changes = (LinkChange(plan.change, stamp, f"at {at}"),) if plan.change else ()
        chunk = Chunk(data, stamps, at, epoch, markers)
        made.append(Packet(len(made), chunk, changes, auxiliary=measured_with(chunk)))
        at, stamp = at + plan.n_times + plan.gap, stamp + (plan.n_times + plan.gap) / 256
    return made


@settings(max_examples=15)
@given(
    st.lists(PLANS, min_size=1, max_size=25),
    st.integers(0, 300),
    st.lists(st.integers(0, 25), max_size=3).map(sorted),
    st.integers(0, 2),
)
def test_any_cut(
    engines: list[Engine | None], plans: list[Plan], first: int, cuts: list[int], nth: int
) -> None:
    """All entries equal those of the unbroken run, under the same epoch and the same ``seq``."""
    engine, sent = engines[nth], make_packets(plans, first)
    with part(engine) as unbroken:
        unbroken.give(sent)
        expected = unbroken.entries()
    found: Entries = {}
    content: bytes | None = None
    borders = [0, *(min(cut, len(sent)) for cut in cuts), len(sent)]
    for start, stop in pairwise(borders):
        with part(engine, unpack_session(content, LIVE) if content else None) as each:
            each.give(sent[start:stop])
            content = each.save()
            # What comes after the saved state is lost with this process, or is made again.
            each.give(sent[stop : stop + 3])
            for key, entries in each.entries().items():
                there = found.setdefault(key, {})
                assert_same({n: there[n] for n in there.keys() & entries}, entries, key)
                there |= entries
    for key, entries in expected.items():
        assert found[key].keys() == entries.keys(), key
        assert_same(found[key], entries, key)


def assert_same(found: dict[int, Any], expected: dict[int, Any], key: tuple[str, str]) -> None:
    """Equal to the bit, but for the network's outputs: their batches differ."""
    for n, mine in found.items():
        other = expected[n]
        if key[1] == "prediction" and other.outputs is not None:
            assert replace(mine, outputs=None) == replace(other, outputs=None)
            for output, shares in other.outputs.items():
                assert mine.outputs[output] == pytest.approx(shares, abs=1e-6)
        else:
            np.testing.assert_equal(mine, other)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A model that cuts the hops of a personal output, too."""
    return Engine(random_checkpoint(tmp_path_factory.mktemp("shared"), "shared", signal=SIGNAL))


def eventful() -> list[Chunk]:
    """Some signal with blinks, clenches and a gap, in packets of 64 samples."""
    rng = np.random.default_rng(8)
    t = np.arange(20 * 256) / 256
    data = rng.normal(0, 12, (len(t), 4))
    for at in (3.0, 5.5, 9.2, 11.0, 17.1, 18.5):
        data[:, 1:3] += 150 * np.exp(-0.5 * ((t - at) / 0.06) ** 2)[:, None]
    for at in (7.0, 15.7):
        on = (t >= at) & (t < at + 0.8)
        data[on, 0] += rng.normal(0, 60, on.sum())
        data[on, 3] += rng.normal(0, 60, on.sum())
    whole = data.astype(np.float32)
    return [
        Chunk(whole[at : at + 64], 50 + t[at : at + 64], at)
        for at in range(0, len(t), 64)
        if not 3072 <= at < 3200
    ]


EVENTFUL = [Packet(n, chunk) for n, chunk in enumerate(eventful())]


@settings(max_examples=4)
@given(
    st.lists(st.integers(0, len(EVENTFUL)), min_size=1, max_size=3).map(sorted),
    st.integers(0, 12),  # late enough to be cut before, early enough for outputs before the gap
    st.sampled_from([(True, 0.0), (True, 2.0), (False, 0.0), (False, 2.0)]),
)
def test_events_and_a_personal_output_at_any_cut(
    engines: list[Engine | None],
    shared: Engine,
    cuts: list[int],
    headed: int,
    how: tuple[bool, float],
) -> None:
    """Blinks, clenches and the personal output are those of the unbroken run, with their hops."""
    shares, rest = how
    engine = shared if shares else engines[0]

    def play(each: Part, start: int, stop: int) -> None:
        each.give(EVENTFUL[start : max(start, min(headed, stop))])
        if start <= headed < stop:
            each.session.settle()
            each.session.set_head(served_head(rest))
        each.give(EVENTFUL[max(start, headed) : stop])
        each.session.settle()

    with part(engine, detect=["blink", "jaw"]) as unbroken:
        play(unbroken, 0, len(EVENTFUL))
        expected = unbroken.entries()
    found: Entries = {}
    content: bytes | None = None
    for start, stop in pairwise([0, *cuts, len(EVENTFUL)]):
        saved = unpack_session(content, LIVE) if content else None
        with part(engine, saved, ["blink", "jaw"] if saved is None else []) as each:
            play(each, start, stop)
            content = each.save()
            for key, entries in each.entries().items():
                found.setdefault(key, {}).update(entries)
    (epoch,) = {key[0] for key in expected}
    events = [each for each in expected[epoch, "marker"].values() if each.source == DETECTOR]
    assert {each.label for each in events} == {"blink", "jaw clench"}
    assert any(each.probabilities for each in expected[epoch, "personal"].values() if each)
    for topic in ("marker", "personal", "prediction", "link"):
        assert_same(found[epoch, topic], expected[epoch, topic], (epoch, topic))
        assert found[epoch, topic].keys() == expected[epoch, topic].keys(), topic


@pytest.mark.parametrize("kind", ["detector", "personal"])
@pytest.mark.parametrize("damage", ["cut off", "another source", "nothing"])
def test_damaged_parts(engines: list[Engine | None], kind: str, damage: str) -> None:
    with part(engines[0], detect=["blink", "jaw"]) as first:
        first.session.set_head(served_head())
        first.give(EVENTFUL[:20])
        first.session.settle()
        saved = unpack_session(first.save(), LIVE)
    content = saved.detector if kind == "detector" else saved.personal
    assert content is not None
    unpack = unpack_detector if kind == "detector" else unpack_personal
    unpack(content, LIVE)
    content = {"cut off": content[:400], "nothing": b""}.get(damage, content)
    info = replace(LIVE, ch_names=("Cz",)) if damage == "another source" else LIVE
    with pytest.raises((SnapshotError, MontageError), match="Expected"):
        unpack(content, info)


def test_a_marker_that_waits(engines: list[Engine | None]) -> None:
    """It is placed in the next process, by the rate: the signal is in the first one's log."""
    start = local_clock() - 2
    with part(engines[0]) as first:
        first.give([Packet(0, Chunk(DATA[:512], start - 100 + np.arange(512) / 256, 0))])
        first.session.settle()
        late = start + 513 / 256
        first.session.add_marker(ReceivedMarker(start + 100, "ahead", "test"))
        content = first.save()
    saved = unpack_session(content, LIVE)
    assert saved.counters.samples == 512
    assert [each.label for each in saved.pending] == ["ahead"]
    with part(engines[0], saved) as second:
        second.session.add_marker(ReceivedMarker(late - 1, "before", "test"))
        assert second.session.logs is not None
        ((_, placed),) = second.session.logs.marker.read(0, 9)
        assert isinstance(placed, Marker)
        assert (placed.label, placed.index) == ("before", 513 - 256)


@pytest.mark.parametrize("damage", ["cut off", "another source", "no state", "another model"])
def test_damage(engines: list[Engine | None], damage: str, tmp_path: Path) -> None:
    with part(engines[0]) as first:
        first.give([Packet(0, Chunk(DATA[:700], 100 + np.arange(700) / 256, 0))])
        content = first.save()
    if damage == "another model":
        other = Engine(random_checkpoint(tmp_path, "other"))
        saved = unpack_session(content, LIVE)
        with pytest.raises(AssertionError, match="Give all workers the same models"):
            Part(other, saved)
        return
    info = replace(LIVE, ch_names=("Cz",)) if damage == "another source" else LIVE
    content = {"cut off": content[:900], "no state": b""}.get(damage, content)
    with pytest.raises(SnapshotError, match="Expected the state of a session"):
        unpack_session(content, info)


def test_hops_that_waited_long_are_predicted(engines: list[Engine | None]) -> None:
    """What is predicted depends on the samples alone: another worker predicts it again."""
    sent = make_packets([Plan(12, 0, False, False, None, 0, False)] * 120, 0)
    with part(engines[0], max_wait=0.0) as busy:
        with busy.loop.held():
            for packet in sent:
                assert busy.inbox.put(packet, 100.0)
        busy.session.settle()
        assert busy.session.logs is not None
        predicted = busy.session.logs.prediction.next
    assert predicted == (12 * 120 - 1) // 64
