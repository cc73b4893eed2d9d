"""The engine against the decoder: order, batches, slots, outputs that are not finite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.inference.cpu.network import MAX_BATCH
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.service.engine.engine import MAX_WAITING_HOPS, Engine, EngineStopped, Slot
from tests.service.models import random_checkpoint

INFO = StreamInfo("test", "test", 256.0, ("TP9", "AF7", "AF8", "TP10"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return random_checkpoint(tmp_path)


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Iterator[Engine]:
    engine = Engine(checkpoint)
    yield engine
    engine.close()


def noise(seed: int, seconds: float, lost: int = 0) -> list[Chunk]:
    """A noisy stream in two chunks with lost samples between."""
    n_times = round(256 * seconds / 2)
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 20, (2, n_times, 4)).astype(np.float32)
    times = np.arange(2 * n_times + lost) / 256
    return [
        Chunk(data[0], times[:n_times], 0),
        Chunk(data[1], times[n_times + lost :], n_times + lost),
    ]


def hops_of(checkpoint: Checkpoint, chunks: list[Chunk]) -> list[Hop]:
    cutter = HopCutter(checkpoint.signal, INFO, range(4), INFO.ch_names)
    return [hop for chunk in chunks for hop in cutter.feed(chunk)]


class Stream:
    """A session's side of the engine."""

    def __init__(self, engine: Engine, r: float) -> None:
        self.heard: list[Prediction] = []
        self.engine = engine
        self.slot: Slot = engine.open(r, self.hear)

    def hear(self, prediction: Prediction, received: float, stepped: float) -> None:
        assert received <= stepped
        self.heard.append(prediction)

    def play(self, hops: list[Hop]) -> None:
        for hop in hops:
            assert not self.engine.submit(self.slot, hop, local_clock(), wait=True)
        self.engine.finish(self.slot)


def assert_same(heard: list[Prediction], expected: list[Prediction], bound: float = 1e-5) -> None:
    assert [(p.index, p.timestamp, p.status, p.reason) for p in heard] == [
        (p.index, p.timestamp, p.status, p.reason) for p in expected
    ]
    for mine, other in zip(heard, expected, strict=True):
        assert (mine.outputs is None) == (other.outputs is None)
        for output, shares in (mine.outputs or {}).items():
            assert other.outputs is not None
            assert shares == pytest.approx(other.outputs[output], abs=bound)


def test_many_sessions_in_one_batch_say_what_each_alone_says(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    streams = [Stream(engine, r) for r in (1.0, 0.0) * 6]
    chunks = [noise(seed, seconds=8, lost=seed * 20) for seed in range(len(streams))]
    players = [
        threading.Thread(target=stream.play, args=(hops_of(checkpoint, each),))
        for stream, each in zip(streams, chunks, strict=True)
    ]
    for player in players:
        player.start()
    for player in players:
        player.join()
    for stream, each in zip(streams, chunks, strict=True):
        decoder = StreamingDecoder(checkpoint, INFO, stream.slot.r)
        expected = [prediction for chunk in each for prediction in decoder.feed(chunk)]
        assert sum(prediction.status == "ok" for prediction in expected) > 10
        assert_same(stream.heard, expected)


def test_a_slot_that_was_used_before_starts_from_nothing(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(1, seconds=6))
    rows = set()
    heard = []
    for _ in range(3):
        stream = Stream(engine, 1.0)
        rows.add(stream.slot.row)
        stream.play(hops)
        heard.append(stream.heard)
    assert len(rows) == 1
    assert_same(heard[1], heard[0])
    assert_same(heard[2], heard[0])


def test_opening_and_closing_leaks_no_slot(engine: Engine) -> None:
    rows = set()
    for _ in range(10_000):
        slot = engine.open(1.0, lambda *_: None)
        rows.add(slot.row)
        engine.finish(slot)
    assert len(rows) == 1


class Held:
    """A session with a first prediction that blocks the engine until ``let`` is called."""

    def __init__(self, engine: Engine, hop: Hop) -> None:
        self.heard: list[Prediction] = []
        self._go, begun = threading.Event(), threading.Event()

        def hear(prediction: Prediction, _received: float, _stepped: float) -> None:
            begun.set()
            self._go.wait()
            self.heard.append(prediction)

        self.slot = engine.open(1.0, hear)
        assert engine.submit(self.slot, hop, 0.0, wait=False) == []
        begun.wait()
        self.let = self._go.set


def test_a_live_session_that_falls_behind_skips_to_its_newest_hop(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(2, seconds=12))
    held = Held(engine, hops[0])
    skipped = [
        engine.submit(held.slot, hop, 0.0, wait=False) for hop in hops[1 : MAX_WAITING_HOPS + 4]
    ]
    held.let()
    engine.drain(held.slot)
    after = [engine.submit(held.slot, hop, 0.0, wait=True) for hop in hops[MAX_WAITING_HOPS + 4 :]]
    engine.finish(held.slot)
    assert [len(each) for each in skipped] == [0] * MAX_WAITING_HOPS + [MAX_WAITING_HOPS, 0, 0]
    assert not any(after)
    gone = {hop.index for hop in skipped[MAX_WAITING_HOPS]}
    assert gone == {hop.index for hop in hops[1 : MAX_WAITING_HOPS + 1]}
    assert [each.index for each in held.heard] == [h.index for h in hops if h.index not in gone]
    decoder = StreamingDecoder(checkpoint, INFO, 1.0)
    for hop in hops:
        if hop.index in gone:
            decoder.skip(hop)
    expected = [decoder.predict(hop) for hop in hops if hop.index not in gone]
    assert_same(held.heard[1:], expected[1:])  # the memory began anew


def test_a_recording_waits_instead_and_loses_nothing(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(2, seconds=12))
    held = Held(engine, hops[0])
    for hop in hops[1 : MAX_WAITING_HOPS + 1]:
        assert engine.submit(held.slot, hop, 0.0, wait=True) == []
    waiting = threading.Thread(
        target=lambda: [
            engine.submit(held.slot, hop, 0.0, wait=True) for hop in hops[MAX_WAITING_HOPS + 1 :]
        ]
    )
    waiting.start()
    held.let()
    waiting.join()
    engine.finish(held.slot)
    assert [each.index for each in held.heard] == [hop.index for hop in hops]


def test_order_is_kept_under_load_and_a_session_that_falls_behind_harms_nobody(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    """More sessions than fit in a batch, from many threads, live and recorded."""
    hops = hops_of(checkpoint, noise(5, seconds=8))
    streams = [Stream(engine, 1.0) for _ in range(MAX_BATCH + 16)]
    skipped: list[list[Hop]] = [[] for _ in streams]

    def play(n_threads: int, first: int) -> None:
        for hop in hops:
            for n in range(first, len(streams), n_threads):
                live = n % 5 == 0
                skipped[n] += engine.submit(streams[n].slot, hop, local_clock(), wait=not live)

    threads = [threading.Thread(target=play, args=(6, first)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in streams:
        engine.finish(stream.slot)
    for n, stream in enumerate(streams):
        heard = [each.index for each in stream.heard]
        gone = [hop.index for hop in skipped[n]]
        assert heard == sorted(set(heard))
        assert sorted(heard + gone) == [hop.index for hop in hops]
        assert not gone or n % 5 == 0
    assert_same(streams[1].heard, streams[MAX_BATCH + 2].heard)


def test_an_answer_that_is_no_number_abstains_and_the_memory_begins_anew(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(3, seconds=6))
    ok = [n for n, hop in enumerate(hops) if hop.window is not None]
    window = np.full_like(hops[ok[3]].window, np.nan)
    broken = Hop(hops[ok[3]].index, 0.0, "ok", None, window, restart=False, epoch=0)
    mate = Stream(engine, 1.0)
    stream = Stream(engine, 1.0)
    stream.play([*hops[: ok[3]], broken, *hops[ok[4] :]])
    mate.play(hops)
    assert stream.heard[ok[3]].status == "poor_signal"
    assert stream.heard[ok[3]].outputs is None
    assert "not finite" in (stream.heard[ok[3]].reason or "")
    after = Stream(engine, 1.0)
    after.play(hops[ok[4] :])
    assert_same(stream.heard[ok[4] :], after.heard)
    assert all(each.outputs for n, each in enumerate(mate.heard) if n in ok)


def test_a_model_that_fails_stops_the_engine_and_says_so(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    engine = Engine(checkpoint)

    def fail(*_: object) -> None:
        raise RuntimeError("the weights have gone")

    monkeypatch.setattr(engine.stepper, "step", fail)
    slot = engine.open(1.0, lambda *_: None)
    hops = [hop for hop in hops_of(checkpoint, noise(4, seconds=6)) if hop.window is not None]
    engine.submit(slot, hops[0], 0.0, wait=True)
    engine.drain(slot)
    with pytest.raises(EngineStopped, match="the weights have gone"):
        engine.submit(slot, hops[1], 0.0, wait=True)
    with pytest.raises(EngineStopped, match="the weights have gone"):
        engine.snapshot(slot)
    assert engine.failure is not None
    engine.finish(slot)
    engine.close()
