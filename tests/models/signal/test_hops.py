"""Hops are a function of the samples and their indices: never of chunks, never of time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import Preprocessor, SignalConfig, SignalError
from tests.models.tracks import (
    CONFIG,
    NAMES,
    ROWS,
    Track,
    agree,
    cutter,
    plain_hops,
    same,
    source,
    tracks,
)

SHORT = SignalConfig(window=48, hop=16, settle=16)

# The plain case ----------------------------------------------------------------------------------


def test_hops_of_a_headset_at_250_hz() -> None:
    hops = Track.noise(2000, 250.0).hops()
    steps = np.diff([-1] + [hop.index for hop in hops])
    assert steps[:6].tolist() == [61, 63, 62, 63, 62, 63]
    assert [hop.status for hop in hops[:8]] == ["warming_up"] * 7 + ["ok"]
    assert hops[4].reason == "warming up: 1.2 of 2.0 s"
    assert [hop.restart for hop in hops] == [n == 7 for n in range(len(hops))]
    assert all(hop.timestamp == 100.0 + hop.index / 250.0 for hop in hops)


def test_a_weak_link_is_named_while_the_model_warms_up() -> None:
    track = Track.noise(256 * 20)
    for at in range(256 * 8, 256 * 18, 256):  # ten times a third of a second
        track.index[at:] += 85
    reasons = {hop.index: hop.reason for hop in track.hops() if hop.status == "warming_up"}
    after = next(index for index in reasons if index > 256 * 8)
    assert reasons[after] == "warming up: 0.2 of 2.0 s; started again 0.2 s ago: 0.3 s lost"
    assert list(reasons.values())[-1] == (
        "warming up: 1.8 of 2.0 s; started again 1.7 s ago: 0.3 s lost, 10 times in the last minute"
    )


def test_a_window_is_what_the_model_takes() -> None:
    hop = Track.noise(600).hops()[-1]
    assert hop.window is not None
    assert hop.window.shape == (2, 128)
    assert hop.window.dtype == np.float32
    assert hop.window.flags.c_contiguous
    assert hop.window.flags.owndata


def test_windows_hold_the_picked_channels_in_montage_order() -> None:
    track = Track.noise(600)
    track.data[:, 2] = 100 * np.sin(2 * np.pi * 10 * np.arange(600) / 256)
    window = track.hops()[-1].window
    assert window is not None
    assert np.sqrt(2) * window[0].std() == pytest.approx(100, rel=0.05)
    assert window[1].std() < 30


def test_a_window_may_be_shorter_than_a_hop() -> None:
    config = SignalConfig(window=32, hop=64, settle=0)
    agree(Track.noise(1000).hops(config), plain_hops(Track.noise(1000), config))


def test_the_delay_is_the_paths() -> None:
    assert cutter(250.0).delay == Preprocessor(CONFIG, 250.0).delay


# Any chunking, any gaps --------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(track=tracks(), config=st.sampled_from([CONFIG, SHORT]), data=st.data())
def test_hops_do_not_depend_on_chunks_and_follow_the_rules(
    track: Track, config: SignalConfig, data: st.DataObject
) -> None:
    whole = track.hops(config)
    n = len(track.data)
    borders = data.draw(st.lists(st.integers(0, n), max_size=30))
    assert same(whole, track.hops(config, borders))
    size = data.draw(st.integers(1, 60))
    assert same(whole, track.hops(config, range(0, n, size)))
    agree(whole, plain_hops(track, config))


def test_one_sample_at_a_time() -> None:
    track = Track.noise(900, 250.0).without(range(600, 615))
    assert same(track.hops(), track.hops(borders=range(885)))


def test_ten_minutes_at_once_equal_packets_of_twelve() -> None:
    track = Track.noise(600 * 256)
    assert same(track.hops(), track.hops(borders=range(0, 600 * 256, 12)))


def test_empty_chunks_change_nothing() -> None:
    track, cut, hops = Track.noise(700), cutter(), []
    for chunk in track.chunks([100, 300]):
        hops += cut.feed(chunk)
        hops += cut.feed(Chunk(chunk.data[:0], chunk.timestamps[:0], chunk.end))
    assert same(hops, track.hops())


def test_a_state_kept_and_set_again_takes_the_cutter_back() -> None:
    first, second, third = Track.noise(1500).chunks([700, 1100])
    cut = cutter()
    cut.feed(first)
    kept = cut.state
    once = cut.feed(second)
    cut.feed(third)
    cut.state = kept
    assert same(cut.feed(second), once)
    other = cutter()
    other.state = kept
    assert same(other.feed(second), once)


def test_what_waits_does_not_hold_the_chunk_it_came_in() -> None:
    chunk = Track.noise(5000).chunks()[0]
    cut = cutter()
    cut.feed(chunk)
    segment = cut.state.segment
    assert segment is not None
    kept = (segment.values, segment.known, segment.stamps, segment.last, segment.path.offset)
    assert all(array.base is None or array.base.nbytes < 10_000 for array in kept)


# Gaps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sfreq", "most"), [(256, 25), (250, 25), (100, 10), (125, 12), (220, 22)])
def test_a_gap_of_a_tenth_of_a_second_is_bridged_and_one_sample_more_restarts(
    sfreq: float, most: int
) -> None:
    track = Track.noise(int(6 * sfreq), sfreq)
    gap = int(3 * sfreq)
    bridged = track.without(range(gap, gap + most)).hops()
    assert {hop.status for hop in bridged[8:]} == {"ok"}
    assert sum(hop.restart for hop in bridged) == 1
    broken = track.without(range(gap, gap + most + 1)).hops()
    after = [hop for hop in broken if hop.index > gap]
    assert after[0].status == "warming_up"
    assert sum(hop.restart for hop in broken) == 2


def test_after_a_long_gap_all_is_as_at_the_start() -> None:
    track = Track.noise(3000)
    after = [hop for hop in track.without(range(1000, 1100)).hops() if hop.index >= 1100]
    late = track.part(slice(1100, None)).hops()
    told = [hop.reason for hop in after if hop.status == "warming_up"]
    assert all(reason and "; started again" in reason for reason in told)
    assert same(
        [replace(hop, reason=why.reason) for hop, why in zip(after, late, strict=True)], late
    )


def test_samples_of_an_unfinished_hop_are_dropped_at_a_long_gap() -> None:
    hops = Track.noise(3000).without(range(1000, 1100)).hops()
    before = [hop.index for hop in hops if hop.index < 1100]
    first = Preprocessor(CONFIG, 256.0).last_sample(0)
    assert max(before) == 63 + 14 * 64 - 1  # the hop that would end at 1022 has no more samples
    assert min(hop.index for hop in hops if hop.index >= 1100) == 1100 + first


def test_a_hop_whose_due_sample_was_lost_bears_the_first_after_the_gap() -> None:
    due = Preprocessor(CONFIG, 256.0).last_sample(9)
    hops = Track.noise(1500).without(range(due - 3, due + 7)).hops()
    assert hops[9].index == due + 7
    assert hops[9].timestamp == 100.0 + (due + 7) / 256
    assert hops[10].index == due + 64


def test_a_bridge_is_a_straight_line() -> None:
    track = Track.noise(1500)
    gap = slice(1000, 1020)
    drawn = Track(track.data.copy(), track.index, track.epoch, 256.0)
    ends = drawn.data[[999, 1020]].astype(np.float64)
    drawn.data[gap] = np.linspace(ends[0], ends[1], 22)[1:-1]
    for hop, expected in zip(track.without(range(1000, 1020)).hops(), drawn.hops(), strict=True):
        assert (hop.window is None) == (expected.window is None)
        if hop.window is not None and expected.window is not None:
            np.testing.assert_allclose(hop.window, expected.window, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e8])
def test_rows_with_an_impossible_value_count_as_lost(value: float) -> None:
    track = Track.noise(2500)
    lost = [*range(700, 720), *range(1500, 1600)]
    marked = Track(track.data.copy(), track.index, track.epoch, 256.0)
    marked.data[lost, ROWS[1]] = value
    marked.data[1:3, 1] = value  # the channel that is not picked
    hops = marked.hops()
    blank = [hop for hop in hops if hop.reason == "AF7: no numbers"]
    assert [(hop.index, hop.status, hop.window) for hop in blank] == [(1563, "poor_signal", None)]
    assert same([hop for hop in hops if hop not in blank], track.without(lost).hops())


def test_a_channel_without_numbers_is_named_at_every_hop() -> None:
    track = Track.noise(1000, 250.0)
    track.data[:, ROWS[0]] = np.nan
    track.data[500:, ROWS[1]] = np.inf
    hops = track.hops()
    assert [hop.index for hop in hops] == list(range(62, 1000, 63))
    assert {hop.status for hop in hops} == {"poor_signal"}
    assert [hop.reason for hop in hops] == [
        "TP9: no numbers" if hop.index < 500 else "TP9: no numbers; AF7: no numbers" for hop in hops
    ]


def test_a_state_within_samples_without_numbers_is_continued() -> None:
    track = Track.noise(2000)
    track.data[400:1201, ROWS[0]] = np.nan
    whole = track.hops()
    for border in range(380, 1400, 37):
        first, second = track.chunks([border])
        cut, other = cutter(), cutter()
        hops = cut.feed(first)
        other.state = cut.state
        assert same(hops + other.feed(second), whole)


@pytest.mark.parametrize(
    ("lost", "reason"), [(32, None), (33, "33 of 64 samples lost"), (44, "44 of 64 samples lost")]
)
def test_a_hop_mostly_lost_is_poor(lost: int, reason: str | None) -> None:
    due = Preprocessor(CONFIG, 256.0).last_sample(9)  # the 64 samples after it are hop 10
    gaps = [*range(due + 2, due + 24), *range(due + 26, due + 4 + lost)]
    hop = Track.noise(1500).without(gaps).hops()[10]
    assert (hop.status, hop.reason) == ("poor_signal" if reason else "ok", reason)


def test_a_new_epoch_starts_empty() -> None:
    track = Track.noise(2000)
    track.epoch[1000:] = 1
    track.index[1000:] -= 1000
    hops = track.hops()
    second = [hop for hop in hops if hop.epoch == 1]
    late = track.part(slice(1000, None))
    assert same(second, late.hops())
    assert [hop.restart for hop in second].index(True) == 7


def test_going_back_within_an_epoch_is_refused_and_changes_nothing() -> None:
    first, second = Track.noise(1500).chunks([800])
    cut = cutter()
    cut.feed(first)
    with pytest.raises(
        ValueError, match=r"Expected a chunk from sample 800 on, but found one from 0."
    ):
        cut.feed(first)
    assert same(cut.feed(second), Track.noise(1500).hops()[-len(cut_hops(800, 1500)) :])


def cut_hops(after: int, before: int) -> list[int]:
    """Hops that are due with samples of this range, at 256 Hz."""
    path = Preprocessor(CONFIG, 256.0)
    return [hop for hop in range(before) if after <= path.last_sample(hop) < before]


# Poor signal -------------------------------------------------------------------------------------


def flat(track: Track, first_hop: int, hops: int) -> Track:
    """One picked channel holds its value for these hops, exactly."""
    path = Preprocessor(CONFIG, track.sfreq)
    begin, end = path.last_sample(first_hop - 1) + 1, path.last_sample(first_hop + hops - 1) + 1
    track.data[begin:end, ROWS[1]] = 7.0
    return track


def test_a_poor_hop_is_held_and_says_which_channel_and_why() -> None:
    hops = flat(Track.noise(2000), 12, 1).hops()
    assert [n for n, hop in enumerate(hops) if hop.status == "poor_signal"] == [12]
    assert hops[12].reason == "AF7: flat"
    assert hops[12].window is None
    assert not hops[12].restart
    assert not hops[13].restart


def test_poor_channels_are_reported_together() -> None:
    track = flat(Track.noise(2000), 12, 1)
    begin = Preprocessor(CONFIG, 256.0).last_sample(11) + 1
    track.data[begin : begin + 64, ROWS[0]] = np.clip(
        track.data[begin : begin + 64, 0] * 900, -999, 999
    )
    assert track.hops()[12].reason == "TP9: railed; AF7: flat"


def test_a_channel_that_is_not_picked_may_be_poor() -> None:
    track = Track.noise(2000)
    track.data[:, 1] = 0.0
    assert {hop.status for hop in track.hops()[7:]} == {"ok"}


def test_the_window_moves_on_while_the_signal_is_poor() -> None:
    track = flat(Track.noise(2000), 12, 2)
    agree([track.hops()[14]], [plain_hops(track, CONFIG)[14]])


@pytest.mark.parametrize(("poor", "restarts"), [(1, False), (7, False), (8, True), (20, True)])
def test_two_seconds_of_poor_signal_reset_the_state(poor: int, restarts: bool) -> None:
    hops = flat(Track.noise(3000), 12, poor).hops()
    assert hops[12 + poor].status == "ok"
    assert hops[12 + poor].restart is restarts
    assert not hops[13 + poor].restart


def test_a_good_hop_between_starts_the_two_seconds_again() -> None:
    hops = flat(flat(Track.noise(4000), 12, 5), 18, 5).hops()
    assert hops[17].status == hops[23].status == "ok"
    assert not hops[17].restart
    assert not hops[23].restart


def test_poor_signal_while_warming_up_stays_warming_up() -> None:
    hops = flat(Track.noise(2000), 0, 8).hops()
    assert [hop.status for hop in hops[:9]] == ["warming_up"] * 7 + ["poor_signal", "ok"]
    assert hops[8].restart


def test_a_bridge_is_not_looked_at_for_quality() -> None:
    due = Preprocessor(CONFIG, 256.0).last_sample(11)
    first, second = range(due + 10, due + 35), range(due + 40, due + 47)
    track = Track.noise(2000)
    for gap in (first, second):  # level bridges, which would make the hop stuck
        track.data[gap.start - 1 : gap.stop + 1, ROWS[0]] = track.data[gap.start, ROWS[0]]
    assert track.hops()[12].reason == "TP9: stuck"
    assert track.without([*first, *second]).hops()[12].status == "ok"


# Wrong use and real recordings -------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "names"), [((0, 3), NAMES), ((-1, 0), NAMES), ((0,), NAMES)])
def test_rows_that_do_not_fit_are_refused(rows: tuple[int, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Expected rows under 3, each with a name"):
        HopCutter(CONFIG, source(), rows, names)


def test_a_source_too_slow_is_refused() -> None:
    with pytest.raises(SignalError, match="found 80 Hz"):
        cutter(80.0)


def test_a_real_headset_with_large_artefacts(shared_data: Path) -> None:
    file = shared_data / "formats" / "muselsl" / "p300_subject2_data_2017-02-09-18.12.53.csv"
    table = np.genfromtxt(file, delimiter=",", skip_header=1)
    data, stamps = table[:, 1:5].astype(np.float32), table[:, 0]
    names = ("TP9", "AF7", "AF8", "TP10")
    info = StreamInfo("Muse", str(file), 256.0, names, uv_per_bit=0.48828, range_uv=1000.0)
    whole = HopCutter(CONFIG, info, range(4), names).feed(Chunk(data, stamps, 0))
    cut = HopCutter(CONFIG, info, range(4), names)
    parts = [
        hop
        for at in range(0, len(data), 12)
        for hop in cut.feed(Chunk(data[at : at + 12], stamps[at : at + 12], at))
    ]
    assert same(whole, parts)
    statuses = [hop.status for hop in whole]
    assert statuses[:7] == ["warming_up"] * 7
    assert 1 <= statuses.count("poor_signal") <= 0.02 * len(whole)
    assert all(
        "railed" in hop.reason for hop in whole if hop.status == "poor_signal" and hop.reason
    )
