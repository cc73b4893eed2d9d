"""The compute loop: many sessions at once, each as if it were alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.prediction import Prediction
from mimamba.models.signal.channel_meters import ChannelMeters
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import AHEAD_SECONDS, ComputeLoop
from mimamba.service.logs.epoch_logs import MAX_EVENTS
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.sessions.pending_markers import MAX_DELAY
from mimamba.service.sessions.session import Session
from tests.benchmarks.session_cost import crowd_of
from tests.service.models import random_checkpoint
from tests.service.scripted import INFO, PATIENCE, Stage

DATA = np.random.default_rng(0).normal(0, 20, (8, 4096, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(random_checkpoint(tmp_path_factory.mktemp("model")))


@contextmanager
def crowd(engines: Sequence[Engine | None], live: bool = False) -> Iterator[list[Stage]]:
    """Sessions in one loop; all their threads have ended on leaving."""
    before = set(threading.enumerate())
    loop = ComputeLoop[Session](lambda *_: None)
    info = replace(INFO, live=live)
    stages = [Stage(each, info, None, MAX_EVENTS, MAX_DELAY, loop) for each in engines]
    try:
        yield stages
    finally:
        for stage in stages:
            stage.close()
        loop.close()
    assert set(threading.enumerate()) <= before


def chunk_of(seed: int, first: int, stop: int, epoch: int = 0) -> Chunk:
    return Chunk(DATA[seed, first:stop], 500 + np.arange(first, stop) / 256, first, epoch)


@st.composite
def streams(draw: st.DrawFn, seed: int) -> list[Chunk]:
    """Chunks of any length, with gaps, values that are no numbers, and a second epoch."""
    chunks: list[Chunk] = []
    at = draw(st.integers(0, 300))
    for epoch in (0, 1):
        for _ in range(draw(st.integers(1, 12))):
            n_times = draw(st.integers(1, 300))
            chunk = chunk_of(seed, at, min(at + n_times, 4000), epoch)
            if draw(st.integers(0, 9)) == 0:
                data = chunk.data.copy()
                data[:: draw(st.integers(1, 40)), draw(st.integers(0, 3))] = np.nan
                chunk = replace(chunk, data=data)
            if chunk.n_times:
                chunks.append(chunk)
            at = chunk.end + draw(st.sampled_from([0, 0, 0, 0, 5, 40, 400]))
            if at >= 3900:
                break
        at = draw(st.integers(0, 300))
    return chunks


def has_ended(stage: Stage) -> bool:
    return stage.session.state == "ended"


def logged(stage: Stage) -> tuple[list[Prediction], list[BandPower], list[Quality]]:
    """What the logs of the present epoch hold."""
    with stage.loop.held():
        logs = stage.session.logs
        assert logs is not None
        kept = [
            [entry for _, entry in log.read(0, log.next)]
            for log in (logs.prediction, logs.bands, logs.quality)
        ]
    predictions = [each.prediction for each in kept[0] if isinstance(each, PublishedPrediction)]
    bands = [each for each in kept[1] if isinstance(each, BandPower)]
    return predictions, bands, [each for each in kept[2] if isinstance(each, Quality)]


@settings(max_examples=15)
@given(st.tuples(*(streams(seed) for seed in range(6))))
def test_each_session_is_computed_as_if_it_were_alone(
    engine: Engine, chunks: tuple[list[Chunk], ...]
) -> None:
    """Predictions equal the decoder's; quality and bands equal the meters' to the bit."""
    with crowd([engine] * 5 + [None]) as stages:
        for nth in range(max(map(len, chunks))):
            for stage, own in zip(stages, chunks, strict=True):
                if nth < len(own):
                    stage.script.give(own[nth])
        for stage, own in zip(stages, chunks, strict=True):
            stage.until(partial(stage.has_taken, own[-1]))
        for stage, own in zip(stages, chunks, strict=True):
            last = [each for each in own if each.epoch == own[-1].epoch]
            predictions, bands, quality = logged(stage)
            meters = ChannelMeters(INFO)
            measures = [each for chunk in last for each in meters.feed(chunk)]
            assert quality == [each for each in measures if isinstance(each, Quality)]
            expected = [each for each in measures if isinstance(each, BandPower)]
            assert [each.index for each in bands] == [each.index for each in expected]
            for mine, other in zip(bands, expected, strict=True):
                np.testing.assert_array_equal(mine.power, other.power)
            if stage.session.checkpoint is None:
                assert not predictions
                continue
            decoder = StreamingDecoder(engine.checkpoint, INFO)
            alone = [
                prediction
                for chunk in own
                for prediction in decoder.feed(chunk)
                if chunk.epoch == own[-1].epoch
            ]
            assert [(p.index, p.status, p.reason) for p in predictions] == [
                (p.index, p.status, p.reason) for p in alone
            ]
            for prediction, same in zip(predictions, alone, strict=True):
                for output, shares in (same.outputs or {}).items():
                    assert (prediction.outputs or {})[output] == pytest.approx(shares, abs=1e-6)


def test_a_session_that_fails_harms_no_other(engine: Engine) -> None:
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        with crowd([engine, engine], live=True) as (bad, good):
            bad.script.give(chunk_of(0, 100, 200))
            good.play(chunk_of(1, 0, 512))
            bad.script.give(chunk_of(0, 0, 50))  # no driver may go back
            bad.until(lambda: bad.session.state == "ended")
            good.play(chunk_of(1, 512, 1024))
            assert bad.session.reason == "an internal error; see the service's log"
            assert len(logged(good)[0]) == 16
    finally:
        threading.excepthook = hook


def test_a_model_that_fails_ends_its_sessions_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    broken = Engine(random_checkpoint(tmp_path, "broken"))

    def fail(*_: object) -> None:
        raise RuntimeError("the weights have gone")

    monkeypatch.setattr(broken.stepper, "step", fail)
    with crowd([broken, engine, None, broken], live=True) as (bad, good, plain, other):
        good.play(chunk_of(1, 0, 1024))
        plain.play(chunk_of(1, 0, 1024))
        for stage in (bad, other):
            stage.script.give(chunk_of(0, 0, 1024))
            stage.until(partial(has_ended, stage))
            assert stage.session.reason == "the engine has stopped: the weights have gone"
        good.play(chunk_of(1, 1024, 2048))
        plain.play(chunk_of(1, 1024, 2048))
        assert len(logged(good)[0]) == 32
        assert len(logged(plain)[2]) == 25


def test_a_recording_waits_for_the_loop_and_loses_nothing(engine: Engine) -> None:
    with crowd([engine]) as (stage,):
        with stage.loop.held():
            for at in range(0, 4096, 64):
                stage.script.give(chunk_of(2, at, at + 64))
            stage.until(lambda: stage.loop.waiting == AHEAD_SECONDS * 4)
        stage.until(lambda: stage.has_taken(chunk_of(2, 4032, 4096)))
        predictions, _, _ = logged(stage)
    decoder = StreamingDecoder(engine.checkpoint, INFO)
    expected = decoder.feed(chunk_of(2, 0, 4096))
    assert [each.index for each in predictions] == [each.index for each in expected]


def test_sessions_come_and_go_while_others_are_computed(engine: Engine) -> None:
    used = engine.stepper.pool.used
    with crowd([engine, None], live=True) as (stage, _):
        for nth in range(12):
            joined = Stage(engine, INFO, None, MAX_EVENTS, MAX_DELAY, stage.loop)
            joined.script.give(chunk_of(3, 0, 600))
            stage.play(chunk_of(4, 256 * nth, 256 * nth + 256))
            joined.close()
        assert [each.index for each in logged(stage)[0]] == [64 * n + 62 for n in range(48)]
    assert engine.stepper.pool.used == used


def test_what_a_source_hands_on_after_its_end_is_dropped(engine: Engine) -> None:
    with crowd_of(engine, 2) as late:
        (ended, session), (going_on, other) = late.fed
        ended.sink(chunk_of(5, 0, 600))
        session.close()
        assert session.logs is not None
        there = session.logs.signal.next, session.logs.prediction.next
        ended.sink(chunk_of(5, 600, 2000))
        going_on.sink(chunk_of(6, 0, 2000))
        late.wait()
        assert (session.logs.signal.next, session.logs.prediction.next) == there
        assert other.logs is not None
        assert other.logs.prediction.next == 31


def test_windows_that_nobody_watches_wait_for_silent_sessions_no_longer_than_for_others(
    engine: Engine,
) -> None:
    with crowd_of(engine, 12) as quiet:
        driver, session = quiet.fed[0]
        session.watchers.clear()
        driver.sink(chunk_of(5, 0, 640))  # ten windows, and no more come
        logs = session.check_open()
        assert session.unattended
        end = time.monotonic() + PATIENCE
        while logs.bands.next < 10:
            assert time.monotonic() < end, "they were not measured"
            time.sleep(0.005)


def test_a_change_comes_after_the_chunks_that_came_before_it(engine: Engine) -> None:
    with crowd_of(engine, 10) as quiet:
        for (driver, session), n_times in zip(quiet.fed, range(1, 11), strict=True):
            session.watchers.clear()
            driver.sink(chunk_of(5, 0, n_times))  # no hop is complete with it
            assert session.snapshot().first == n_times
            driver.sink(chunk_of(5, n_times, 60))
            with session.between_chunks():
                assert session.check_open().expected == 60


def test_chunks_that_wait_are_logged_as_one_up_to_a_hop(engine: Engine) -> None:
    with crowd([engine, None], live=True) as (stage, plain):
        with stage.loop.held():
            for at in range(0, 144, 12):
                for each in (stage, plain):
                    each.script.give(chunk_of(2, at, at + 12))
            stage.until(lambda: stage.loop.waiting == 24)
        for each in (stage, plain):
            each.script.give(chunk_of(2, 150, 160))  # after a gap
            each.until(partial(each.has_taken, chunk_of(2, 150, 160)))
            logs = each.session.logs
            assert logs is not None
            runs = logs.signal.read(0, logs.signal.next)
            assert [(run.first, len(run.data)) for run in runs] == [(0, 144), (150, 10)]
        logs = plain.session.logs
        assert logs is not None
        assert logs.signal.next == 2
        logs = stage.session.logs
        assert logs is not None
        # The first hop is complete with sample 62; what was received after it is not joined to it.
        assert [run.first for run in logs.signal.read(0, 1)] == [0]
        assert len(logs.signal.read(0, 1)[0].data) == 72


def test_signal_that_nobody_watches_waits_for_a_hop_and_loses_nothing(engine: Engine) -> None:
    with crowd([engine] * 10 + [None], live=True) as stages:
        for at in range(0, 1200, 12):
            for stage in stages:
                stage.script.give(chunk_of(3, at, at + 12))
        stages[0].session.watchers.add("a page")
        for stage in stages:
            stage.until(partial(stage.has_taken, chunk_of(3, 1188, 1200)))
            logs = stage.session.logs
            assert logs is not None
            data = np.concatenate([run.data for run in logs.signal.read(0, logs.signal.next)])
            np.testing.assert_array_equal(data, DATA[3, :1200])
        decoder = StreamingDecoder(engine.checkpoint, INFO)
        alone = decoder.feed(chunk_of(3, 0, 1200))
        for stage in stages[:-1]:
            predictions, _, _ = logged(stage)
            assert [each.index for each in predictions] == [each.index for each in alone]
