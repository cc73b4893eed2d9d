"""The engine against the decoder: batches, slots, outputs that are not finite, failures."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.service.engine.engine import Engine, EngineStopped
from tests.service.models import random_checkpoint

INFO = StreamInfo("test", "test", 256.0, ("TP9", "AF7", "AF8", "TP10"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return random_checkpoint(tmp_path)


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Engine:
    return Engine(checkpoint)


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
    hops = [hop for chunk in chunks for hop in cutter.feed(chunk)]
    first = next(n for n, hop in enumerate(hops) if hop.window is not None)
    assert hops[first].restart
    return hops


def step_all(engine: Engine, streams: list[list[Hop]], r: list[float]) -> list[list[Prediction]]:
    """Step streams side by side; return the predictions of each."""
    slots = [engine.open(each) for each in r]
    made: list[list[Prediction]] = [[] for _ in streams]
    for hops in zip_longest(*streams):
        places = [n for n, hop in enumerate(hops) if hop is not None]
        for start in range(0, len(places), engine.max_batch):
            part = places[start : start + engine.max_batch]
            predictions = engine.step([(slots[n], hops[n]) for n in part])
            for n, prediction in zip(part, predictions, strict=True):
                made[n].append(prediction)
    for slot in slots:
        engine.close(slot)
    return made


def assert_same(made: list[Prediction], expected: list[Prediction], bound: float = 1e-5) -> None:
    assert [(p.index, p.timestamp, p.status, p.reason) for p in made] == [
        (p.index, p.timestamp, p.status, p.reason) for p in expected
    ]
    for mine, other in zip(made, expected, strict=True):
        assert (mine.outputs is None) == (other.outputs is None)
        for output, shares in (mine.outputs or {}).items():
            assert other.outputs is not None
            assert shares == pytest.approx(other.outputs[output], abs=bound)


def test_many_sessions_in_one_batch_get_the_predictions_of_each_alone(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    r = [1.0, 0.0] * 40  # more than a batch
    chunks = [noise(seed, seconds=4 + seed % 3, lost=seed % 7 * 20) for seed in range(len(r))]
    made = step_all(engine, [hops_of(checkpoint, each) for each in chunks], r)
    for each, own, predictions in zip(chunks, r, made, strict=True):
        decoder = StreamingDecoder(checkpoint, INFO, own)
        expected = [prediction for chunk in each for prediction in decoder.feed(chunk)]
        assert sum(prediction.status == "ok" for prediction in expected) > 5
        assert_same(predictions, expected)


def test_a_slot_that_was_used_before_starts_from_nothing(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(1, seconds=6))
    made = [step_all(engine, [hops], [1.0])[0] for _ in range(3)]
    assert_same(made[1], made[0])
    assert_same(made[2], made[0])


def test_opening_and_closing_leaks_no_slot(engine: Engine) -> None:
    rows = set()
    for _ in range(10_000):
        slot = engine.open(1.0)
        rows.add(slot.row)
        engine.close(slot)
    assert len(rows) == 1


def test_an_output_that_is_not_finite_abstains_and_the_memory_is_reset(
    engine: Engine, checkpoint: Checkpoint
) -> None:
    hops = hops_of(checkpoint, noise(3, seconds=6))
    ok = [n for n, hop in enumerate(hops) if hop.window is not None]
    window = np.full_like(hops[ok[3]].window, np.nan)
    broken = Hop(hops[ok[3]].index, 0.0, "ok", None, window, restart=False, epoch=0)
    made, mate = step_all(engine, [[*hops[: ok[3]], broken, *hops[ok[4] :]], hops], [1.0, 1.0])
    assert made[ok[3]].status == "poor_signal"
    assert made[ok[3]].outputs is None
    assert "not finite" in (made[ok[3]].reason or "")
    (after,) = step_all(engine, [[*hops[: ok[0]], *hops[ok[4] :]]], [0.0])
    assert_same(made[ok[4] : ok[4] + 1], after[ok[0] : ok[0] + 1])  # as with no memory
    assert all(each.outputs for n, each in enumerate(mate) if n in ok)
    assert engine.non_finite == 1


def test_a_model_that_fails_stops_the_engine_and_says_so(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(checkpoint)

    def fail(*_: object) -> None:
        raise RuntimeError("the weights have gone")

    monkeypatch.setattr(engine.stepper, "step", fail)
    slot = engine.open(1.0)
    hops = [hop for hop in hops_of(checkpoint, noise(4, seconds=6)) if hop.window is not None]
    for hop in hops[:2]:
        with pytest.raises(EngineStopped, match="the weights have gone"):
            engine.step([(slot, hop)])
    with pytest.raises(EngineStopped, match="the weights have gone"):
        engine.snapshot(slot)
    assert engine.failure is not None
    engine.close(slot)
