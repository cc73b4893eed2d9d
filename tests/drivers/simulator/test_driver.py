from __future__ import annotations

import threading
import time
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.drivers.errors import BadChannels, BadSource
from mimamba.drivers.open import open_driver
from mimamba.drivers.simulator.driver import (
    BACKLOG_SECONDS,
    BUFFER_SECONDS,
    DropOuts,
    PacketSchedule,
    SimulateDriver,
)
from mimamba.drivers.simulator.synthesis import CH_NAMES, Synthesizer
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import parse_source

SFREQ = 256.0
EVENTUALLY = 60.0


def patient(url: str) -> SimulateDriver:
    """A driver that loses nothing on a machine that is held up for many seconds."""
    return SimulateDriver(parse_source(url), buffer=60.0)


def drop_outs(query: str) -> DropOuts:
    return DropOuts.from_url(parse_source(f"simulate://?{query}"), SFREQ)


def take(url: str, n_chunks: int) -> list[Chunk]:
    with patient(url) as driver:
        return list(islice(driver, n_chunks))


def until_dead(url: str, end: int) -> list[Chunk]:
    """All chunks of a driver whose link dies at sample ``end``; then it is closed."""
    chunks: list[Chunk] = []
    with patient(url) as driver:
        reader = threading.Thread(target=lambda: chunks.extend(driver), daemon=True)
        reader.start()
        while not chunks or chunks[-1].end < end:
            reader.join(0.05)
        reader.join(0.3)
        assert reader.is_alive()
        driver.close()
        reader.join(EVENTUALLY)
        assert not reader.is_alive()
    return chunks


# Drop-outs ---------------------------------------------------------------------------------------


def test_drop_outs_of_a_url() -> None:
    assert drop_outs("") == DropOuts()
    assert drop_outs("loss=10,0.5") == DropOuts(2560, 128)
    assert drop_outs("dead=30") == DropOuts(dead=7680)
    assert drop_outs("loss=1,0.25&dead=2") == DropOuts(256, 64, 512)


@pytest.mark.parametrize(
    "query",
    [
        "loss=10",
        "loss=10,0",
        "loss=10,10",
        "loss=1,2",
        "loss=-5,1",
        "loss=10,0.0001",
        "loss=a,b",
        "loss=1,2,3",
        "loss=nan,nan",
        "loss=inf,1",
        "loss=",
        "dead=-1",
        "dead=soon",
    ],
)
def test_drop_outs_that_make_no_sense(query: str) -> None:
    with pytest.raises(BadSource, match=query.partition("=")[0]):
        drop_outs(query)


# Pace --------------------------------------------------------------------------------------------

schedules = st.builds(
    lambda period, part, dead: DropOuts(period, max(1, int(period * part)), dead),
    st.integers(2, 400) | st.integers(400, 4000),
    st.floats(0.01, 0.49) | st.floats(0.49, 0.9),
    st.none() | st.integers(0, 3000),
) | st.builds(lambda dead: DropOuts(dead=dead), st.none() | st.integers(0, 3000))


def comes(drops: DropOuts, index: int) -> bool:
    """Whether a sample comes, said in another way."""
    lost = drops.period is not None and index >= drops.period
    lost = lost and index % (drops.period or 1) < drops.length
    return not lost and (drops.dead is None or index < drops.dead)


@given(schedules, st.lists(st.floats(0.0, 4.9), max_size=15))
@settings(deadline=None)
def test_exactly_the_samples_that_come_are_handed_out(drops: DropOuts, waits: list[float]) -> None:
    """As long as nobody is late by more than the buffer, whenever the clock is looked at."""
    pace = PacketSchedule(SFREQ, drops)
    index, elapsed = 0, 0.0
    given_out: list[int] = []
    for wait in waits:
        elapsed += wait
        while (span := pace.span(index, elapsed)) is not None and span[-1] / SFREQ <= elapsed:
            assert 1 <= len(span) <= BACKLOG_SECONDS * SFREQ
            given_out.extend(span)
            index = span.stop
    assert given_out == [n for n in range(index) if comes(drops, n)]
    # What was not handed out is less than a packet, or the rest of a stretch.
    taken = int(elapsed * SFREQ) + 1
    assert sum(comes(drops, n) for n in range(index, taken)) < pace.packet


def test_packets_are_those_of_a_muse() -> None:
    assert PacketSchedule(256.0, DropOuts()).packet == 12
    assert PacketSchedule(SFREQ, DropOuts()).span(0, 0.0) == range(12)
    assert PacketSchedule(SFREQ, DropOuts()).span(12, 0.05) == range(12, 24)


def test_a_backlog_comes_in_whole_packets_of_at_most_a_second() -> None:
    pace = PacketSchedule(SFREQ, DropOuts())
    assert pace.span(0, 0.2) == range(48)
    assert pace.span(0, 4.9) == range(252)


def test_what_the_buffer_does_not_hold_is_one_visible_gap() -> None:
    pace = PacketSchedule(SFREQ, DropOuts())
    late = BUFFER_SECONDS + 60.0
    span = pace.span(100, late)
    assert span is not None
    assert span[-1] == int(late * SFREQ)
    assert len(span) == 12
    following = pace.span(span.stop, late)
    assert following is not None
    assert following.start == span.stop


def test_a_loss_longer_than_the_buffer_costs_no_sample_more() -> None:
    pace = PacketSchedule(SFREQ, DropOuts(2560, 2000))
    assert pace.span(2560, 4571 / SFREQ) == range(4560, 4572)
    assert pace.span(2560, 4600 / SFREQ) == range(4560, 4596)


def test_a_dead_link_stays_dead() -> None:
    pace = PacketSchedule(SFREQ, DropOuts(dead=30))
    assert pace.span(24, 0.1) == range(24, 30)
    assert pace.span(30, 0.2) is None
    assert pace.span(30, 3600.0) is None


# The driver --------------------------------------------------------------------------------------


def test_info_says_what_it_is() -> None:
    info = open_driver("simulate://?scenario=calm&seed=4").info
    assert info.name == "Simulated headset"
    assert info.source_id == "simulate-calm-4"
    assert (info.sfreq, info.ch_names) == (256.0, CH_NAMES)
    assert info.uv_per_bit == pytest.approx(0.48828, abs=1e-5)
    assert info.range_uv == 1000.0
    assert info.live
    assert info.simulated
    assert "not come from a brain" in info.notices[0]


def test_samples_are_the_synthesis_at_exact_times() -> None:
    before = local_clock()
    chunks = take("simulate://?scenario=random&seed=5", 12)
    start = chunks[0].timestamps[0]
    assert before <= start <= local_clock()
    assert chunks[0].first == 0
    for chunk, following in pairwise(chunks):
        assert following.first == chunk.end
    for chunk in chunks:
        assert np.array_equal(chunk.timestamps, start + np.arange(chunk.first, chunk.end) / SFREQ)
        assert chunk.data.dtype == np.float32
        assert chunk.data.flags.c_contiguous
        assert chunk.epoch == 0
    data = np.concatenate([chunk.data for chunk in chunks])
    assert np.array_equal(data, Synthesizer("random", 5).next(len(data)))


def test_no_sample_comes_before_its_time() -> None:
    with open_driver("simulate://?sfreq=500") as driver:
        for chunk in islice(driver, 8):
            assert chunk.timestamps[-1] <= local_clock()


def test_a_slow_reader_gets_the_backlog_without_loss() -> None:
    with open_driver("simulate://") as driver:
        chunks = iter(driver)
        first = next(chunks)
        time.sleep(0.4)
        late = next(chunks)
    assert late.first == first.end
    assert late.n_times >= 84  # 0.4 s hold 8 whole packets, less the one that was under way


def test_lost_samples_are_a_jump_to_the_sample() -> None:
    chunks = until_dead("simulate://?seed=2&loss=0.5,0.125&dead=1.25", 320)
    index = np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])
    assert index.tolist() == [*range(128), *range(160, 256), *range(288, 320)]
    whole = Synthesizer("tour", 2).next(320)
    assert np.array_equal(np.concatenate([chunk.data for chunk in chunks]), whole[index])
    times = np.concatenate([chunk.timestamps for chunk in chunks])
    assert np.array_equal(times, times[0] + index / SFREQ)


def test_a_dead_link_is_silent_and_a_new_driver_starts_afresh() -> None:
    url = "simulate://?seed=3&dead=0.3"
    dead = until_dead(url, 77)
    assert dead[-1].end == 77
    afresh = take(url, 1)[0]
    assert afresh.first == 0
    assert np.array_equal(afresh.data, dead[0].data[: afresh.n_times])
    assert afresh.timestamps[0] > dead[-1].timestamps[-1]


def cues_of(seed: int, start: int, stop: int) -> list[tuple[int, str]]:
    return [(cue.index, cue.label) for cue in Synthesizer("tour", seed).events(start, stop)]


def marks(chunks: list[Chunk]) -> list[tuple[int, str]]:
    return [(marker.index, marker.label) for chunk in chunks for marker in chunk.markers]


def test_truth_comes_as_a_marker_at_its_sample() -> None:
    (chunk,) = take("simulate://?scenario=calm", 1)
    (marker,) = chunk.markers
    assert (marker.index, marker.label) == (0, "valence=high arousal=low")
    assert marker.timestamp == chunk.timestamps[0]
    assert marker.source == "simulator"


def test_markers_in_lost_samples_come_with_the_next_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The clock is turned on by a minute: past what the buffer holds, and past several targets.
    turned = 0.0
    monkeypatch.setattr(
        "mimamba.drivers.simulator.driver.local_clock", lambda: local_clock() + turned
    )
    with open_driver("simulate://?seed=1") as driver:
        chunks = iter(driver)
        first = next(chunks)
        turned = 60.0
        late = next(chunks)
        after = list(islice(driver, 3))
    cues = cues_of(1, first.end, late.end)
    assert len(cues) >= 3
    assert marks([late]) == cues
    start = first.timestamps[0]
    assert [m.timestamp for m in late.markers] == [start + index / SFREQ for index, _ in cues]
    made = Synthesizer("tour", 1).next(late.end)
    assert np.array_equal(late.data, made[late.first :])
    assert marks(after) == cues_of(1, late.end, after[-1].end)  # none of them again


def test_reading_on_after_a_pause_goes_on() -> None:
    with open_driver("simulate://") as driver:
        (before,) = islice(driver, 1)
        (after,) = islice(driver, 1)
    assert after.first == before.end


@pytest.mark.parametrize("query", ["", "?dead=0", "?loss=60,59"])
def test_closing_ends_a_waiting_reader(query: str) -> None:
    with open_driver(f"simulate://{query}") as driver:
        reader = threading.Thread(target=lambda: list(driver), daemon=True)
        reader.start()
        driver.close()
        driver.close()
        reader.join(EVENTUALLY)
        assert not reader.is_alive()
    assert list(driver) == []


def test_channels_are_picked_and_named() -> None:
    (chunk,) = take("simulate://?seed=1&channels=AF8,1&names=Fp2,T7", 1)
    made = Synthesizer("tour", 1).next(chunk.n_times)
    assert np.array_equal(chunk.data, made[:, [2, 0]])
    assert chunk.data.flags.c_contiguous
    assert open_driver("simulate://?channels=AF8,1&names=Fp2,T7").info.ch_names == ("Fp2", "T7")


def test_another_rate_and_mains() -> None:
    chunks = take("simulate://?sfreq=250&mains=60", 2)
    data = np.concatenate([chunk.data for chunk in chunks])
    assert np.array_equal(data, Synthesizer("tour", 0, 250.0, 60.0).next(len(data)))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("simulate://?scenario=holiday", "tour, calm, random, artefacts, poor"),
        ("simulate://?seed=-1", "seed"),
        ("simulate://?seed=1.5", "whole"),
        ("simulate://?sfreq=1", "sfreq from 100 to 1000"),
        ("simulate://?mains=55", "mains"),
        ("simulate://?noise=1", "noise"),
        ("simulate://calm", "scenario="),
    ],
)
def test_a_wrong_url_is_reported_at_once(url: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        open_driver(url)


def test_a_channel_that_is_not_there() -> None:
    with pytest.raises(BadChannels, match="TP9, AF7, AF8, TP10"):
        open_driver("simulate://?channels=Cz")


def test_a_driver_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="enter"):
        next(iter(open_driver("simulate://")))
