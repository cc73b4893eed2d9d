"""The streaming decoder: a pure function of the samples, equal to the offline scan."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, Marker, Samples, StreamInfo
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from mimamba.models.decoding.decoder import (
    NOT_FINITE,
    StreamingDecoder,
    choose_r,
    gate,
    make_prediction,
)
from mimamba.models.decoding.decoder_state import pack_state, unpack_state
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.ssm import SelectiveSSM
from mimamba.models.prediction import Prediction
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalConfig

SIGNAL = SignalConfig(window=64, hop=32, settle=32)
MONTAGE = ("TP9", "AF7", "AF8", "TP10")
INFO = StreamInfo("test", "test", 256.0, MONTAGE)
SECONDS = 6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    torch.manual_seed(6)
    architecture = MSiMambaConfig(n_times=64, d_model=8, d_ff=8, hidden=2, d_state=3, n_outputs=5)
    network = MSiMamba(architecture)
    for module in network.modules():
        if isinstance(module, SelectiveSSM):
            module.dt_proj.bias.data.add_(2.0)  # faster: the carried state shows within seconds
    header = CheckpointHeader(
        name="tiny",
        architecture=architecture,
        montage=MONTAGE,
        signal=SIGNAL,
        r=0.75,
        outputs={"valence": ("low", "high"), "mood": ("glum", "calm", "glad")},
        temperature={"valence": 0.5, "mood": 2.0},
        trained_on="nothing",
        scores={},
        licence="none",
    )
    return save_checkpoint(tmp_path_factory.mktemp("model") / "t.safetensors", header, network)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Synthesizer("calm", 11).next(SECONDS * 256)


def chunks(samples: Samples, cuts: Iterable[int], first: int = 0) -> list[Chunk]:
    stamps = (first + np.arange(len(samples))) / 256.0
    borders = [0, *sorted(cuts), len(samples)]
    return [Chunk(samples[a:b], stamps[a:b], first + a) for a, b in pairwise(borders)]


def marked(parts: list[Chunk]) -> list[Chunk]:
    """The true labels are told in the stream."""
    truth = [(500, "valence=high"), (700, "go"), (1100, "valence=low"), (1101, "valence=high")]
    markers = [Marker(index / 256, index, label, "test") for index, label in truth]
    return [
        replace(each, markers=tuple(m for m in markers if each.first <= m.index < each.end))
        for each in parts
    ]


def cut(samples: Samples) -> list[Hop]:
    return HopCutter(SIGNAL, INFO, range(4), MONTAGE).feed(chunks(samples, [])[0])


def decode(decoder: StreamingDecoder, parts: Iterable[Chunk]) -> list[Prediction]:
    return [said for chunk in parts for said in decoder.feed(chunk)]


def same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert [replace(p, outputs=None) for p in found] == [replace(p, outputs=None) for p in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.outputs is None) == (other.outputs is None)
        if one.outputs is not None and other.outputs is not None:
            assert list(one.outputs) == list(other.outputs)
            for output, shares in one.outputs.items():
                assert shares == pytest.approx(other.outputs[output], abs=1e-6)


@pytest.mark.parametrize("r", [None, 0.0])
def test_the_decoder_equals_the_offline_scan(
    checkpoint: Checkpoint, samples: Samples, r: float | None
) -> None:
    found = decode(StreamingDecoder(checkpoint, INFO, r), chunks(samples, [500]))
    hops = HopCutter(SIGNAL, INFO, range(4), MONTAGE).feed(chunks(samples, [])[0])
    good = [hop for hop in hops if hop.window is not None]
    assert 15 < len(good) < len(hops) == 24
    windows = torch.stack([torch.from_numpy(hop.window) for hop in good if hop.window is not None])
    gates = torch.full((1, len(good)), checkpoint.r if r is None else r)
    logits = checkpoint.network.scan(windows[None], gates, None)[0][0]
    answers = iter(checkpoint.probabilities(logits))
    same(found, [make_prediction(h, None if h.window is None else next(answers)) for h in hops])
    assert [p.status for p in found[:3]] == ["warming_up", "warming_up", "ok"]
    assert found[-1].index == (24 * 32 - 1) * 2  # the source sample that the last hop was due with


@given(cuts=st.sets(st.integers(1, SECONDS * 256 - 1), max_size=30))
@settings(max_examples=10, deadline=None)
def test_any_chunks_give_the_same(checkpoint: Checkpoint, samples: Samples, cuts: set[int]) -> None:
    """Prediction sets, too, that learn from markers."""
    whole = decode(StreamingDecoder(checkpoint, INFO), marked(chunks(samples, [])))
    cut = decode(StreamingDecoder(checkpoint, INFO), marked(chunks(samples, cuts)))
    labelled = [each.set["valence"].labelled for each in whole if each.set]
    assert labelled == list(range(1, len(labelled) + 1))
    assert len(labelled) > 5
    assert [replace(p, outputs=None) for p in cut] == [replace(p, outputs=None) for p in whole]
    for one, other in zip(cut, whole, strict=True):  # hops that come together round otherwise
        for output, shares in (other.outputs or {}).items():
            assert one.outputs is not None
            assert one.outputs[output] == pytest.approx(shares, abs=1e-5)


@pytest.mark.parametrize("cut", [300, 700, 1001])
def test_a_state_that_is_set_again_goes_on_from_there(
    checkpoint: Checkpoint, samples: Samples, cut: int
) -> None:
    before, after = chunks(samples, [cut])
    decoder = StreamingDecoder(checkpoint, INFO)
    decoder.feed(before)
    state = decoder.state
    expected = decoder.feed(after)
    decoder.state = state
    assert decoder.feed(after) == expected
    other = StreamingDecoder(checkpoint, INFO)
    other.state = state
    assert other.feed(after) == expected
    assert other.feed(chunks(samples, [], first=len(samples))[0])


@settings(max_examples=10)
@given(st.sets(st.integers(1, SECONDS * 256 - 1), max_size=8))
def test_a_baseline_is_the_same_in_any_chunks(
    checkpoint: Checkpoint, samples: Samples, cuts: set[int]
) -> None:
    whole, parted = (StreamingDecoder(checkpoint, INFO) for _ in range(2))
    for decoder in (whole, parted):
        decoder.start_baseline(2.0)
    same(decode(parted, chunks(samples, cuts)), decode(whole, chunks(samples, [])))
    assert parted.baseline is not None
    assert whole.baseline is not None
    assert parted.baseline.log_power == pytest.approx(whole.baseline.log_power)


def test_a_baseline_changes_predictions_and_resets_the_state(
    checkpoint: Checkpoint, samples: Samples
) -> None:
    plain, aligned = (StreamingDecoder(checkpoint, INFO) for _ in range(2))
    aligned.start_baseline(2.0)
    before, after = decode(plain, chunks(samples, [])), decode(aligned, chunks(samples, []))
    reasons = [said.reason for said in after if said.reason and said.reason.startswith("baseline")]
    assert reasons[-1] == "baseline 2 of 2 s"
    assert len(reasons) == 8
    told = [(p, q) for p, q in zip(before, after, strict=True) if q.outputs is not None]
    assert told
    assert all(p.outputs != q.outputs for p, q in told)
    alone = StreamingDecoder(checkpoint, INFO)
    alone.set_baseline(aligned.baseline)
    hops = [hop for hop in cut(samples) if hop.index >= told[0][0].index]
    same([alone.predict(hop) for hop in hops], [q for _, q in told])


@pytest.mark.parametrize("at", [1.0, 2.5, 4.5])
def test_a_snapshot_holds_the_baseline_and_what_is_in_it_so_far(
    checkpoint: Checkpoint, samples: Samples, at: float
) -> None:
    first, second = (StreamingDecoder(checkpoint, INFO) for _ in range(2))
    parts = chunks(samples, [round(at * 256)])
    first.start_baseline(2.0)
    first.feed(parts[0])
    second.state = unpack_state(pack_state(first.state), checkpoint, INFO.sfreq)
    same(second.feed(parts[1]), first.feed(parts[1]))


def test_a_gap_resets_the_state(checkpoint: Checkpoint, samples: Samples) -> None:
    decoder = StreamingDecoder(checkpoint, INFO)
    decode(decoder, chunks(samples[:900], []))
    later = chunks(samples[900:], [], first=2000)
    told = decode(decoder, later)
    assert "started again" in (told[0].reason or "")
    plain = [replace(each, reason=each.reason and each.reason.split(";")[0]) for each in told]
    same(plain, decode(StreamingDecoder(checkpoint, INFO), later))


def test_a_hop_without_a_window_holds_the_state(checkpoint: Checkpoint, samples: Samples) -> None:
    hops = HopCutter(SIGNAL, INFO, range(4), MONTAGE).feed(chunks(samples, [])[0])
    good = [hop for hop in hops if hop.window is not None]
    poor = Hop(0, 0.0, "poor_signal", "AF7 is flat", None, False, 0)
    plain, broken = (StreamingDecoder(checkpoint, INFO) for _ in range(2))
    expected = [plain.decode(hop) for hop in good[:4]]
    assert [broken.decode(hop) for hop in good[:2]] == expected[:2]
    assert broken.decode(poor) == Prediction(0, 0.0, "poor_signal", "AF7 is flat", None)
    assert [broken.decode(hop) for hop in good[2:4]] == expected[2:]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_output_that_is_not_finite_is_dropped_and_resets_the_state(
    checkpoint: Checkpoint, samples: Samples, bad: float
) -> None:
    hops = HopCutter(SIGNAL, INFO, range(4), MONTAGE).feed(chunks(samples, [])[0])
    good = [hop for hop in hops if hop.window is not None]
    window = np.full((4, 64), bad, np.float32)
    decoder, fresh = (StreamingDecoder(checkpoint, INFO) for _ in range(2))
    decoder.decode(good[0])
    broken = replace(good[1], window=window, restart=False)
    assert decoder.decode(broken) == make_prediction(broken, None)
    assert make_prediction(broken, None).status == "poor_signal"
    assert make_prediction(broken, None).reason == NOT_FINITE
    same([decoder.decode(hop) for hop in good[2:6]], [fresh.decode(hop) for hop in good[2:6]])


def test_the_carried_state_shows(checkpoint: Checkpoint, samples: Samples) -> None:
    carried, alone = (
        decode(StreamingDecoder(checkpoint, INFO, r), chunks(samples, []))[-1].outputs
        for r in (checkpoint.r, 0.0)
    )
    assert carried is not None
    assert alone is not None
    assert abs(carried["valence"]["low"] - alone["valence"]["low"]) > 1e-4


def test_channels_are_taken_by_name(checkpoint: Checkpoint, samples: Samples) -> None:
    order = [2, 0, 3, 1]
    info = StreamInfo("t", "t", 256.0, ("AUX", *(MONTAGE[i] for i in order)))
    mixed = np.hstack([np.zeros((len(samples), 1), np.float32), samples[:, order]])
    decoder = StreamingDecoder(checkpoint, info)
    assert [e.row for e in decoder.montage] == [2, 4, 1, 3]
    plain = StreamingDecoder(checkpoint, INFO)
    assert decode(decoder, chunks(mixed, [])) == decode(plain, chunks(samples, []))
    with pytest.raises(MontageError):
        StreamingDecoder(checkpoint, StreamInfo("t", "t", 256.0, ("A", "B", "C", "D")))


def test_r_is_the_checkpoints_or_0(checkpoint: Checkpoint) -> None:
    assert choose_r(checkpoint, None) == choose_r(checkpoint, 0.75) == 0.75
    assert choose_r(checkpoint, 0.0) == 0.0
    with pytest.raises(ValueError, match=r"Expected r = 0\.75 or 0.*found 0\.5"):
        StreamingDecoder(checkpoint, INFO, 0.5)


def test_the_gate_is_r_but_0_at_a_restart() -> None:
    hop = Hop(7, 0.1, "ok", None, np.zeros((4, 64), np.float32), False, 0)
    assert gate(hop, 0.75) == 0.75
    assert gate(replace(hop, restart=True), 0.75) == 0.0
