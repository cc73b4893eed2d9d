"""Joining under losses, reordering and duplicates: parts of one number, in order, or a gap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.muse.block_joiner import REORDER_SECONDS, BlockJoiner, JoinedBlock
from mimamba.drivers.muse.packets import EEG_SENSOR, PPG_SENSOR, Sensor, SensorBlock

ATHENA_SENSOR = replace(EEG_SENSOR, n_numbers=256, n_times=4, n_parts=1)
SENSORS = pytest.mark.parametrize(
    "sensor", [EEG_SENSOR, PPG_SENSOR, ATHENA_SENSOR], ids=["eeg", "ppg", "athena"]
)


@dataclass(frozen=True)
class Sent:
    """A notification: its count without end, its part, and when it arrives."""

    count: int
    part: int
    at: float


def block(sensor: Sensor, count: int, part: int) -> SensorBlock:
    """A block whose values are its count, exactly."""
    width = len(sensor.ch_names) // sensor.n_parts
    values = np.full((sensor.n_times, width), float(count), np.float32)
    return SensorBlock(sensor, part, count % sensor.n_numbers, values)


def join(sensor: Sensor, sent: list[Sent]) -> list[JoinedBlock]:
    joiner = BlockJoiner(sensor)
    joined: list[JoinedBlock] = []
    for each in sorted(sent, key=lambda each: each.at):
        joined += joiner.push(block(sensor, each.count, each.part), each.at)
    return joined + joiner.flush()


def counts(joined: list[JoinedBlock]) -> list[int]:
    return [int(np.nanmax(each.values)) for each in joined]


def in_order(sensor: Sensor, first: int, n: int) -> list[Sent]:
    return [
        Sent(first + k, part, k * sensor.block_seconds)
        for k in range(n)
        for part in range(sensor.n_parts)
    ]


@st.composite
def bad_radio(draw: st.DrawFn, sensor: Sensor) -> tuple[list[Sent], set[tuple[int, int]]]:
    """Notifications that arrive, with any losses, delays and repeats; and what is lost."""
    first = draw(st.integers(0, 3 * sensor.n_numbers))
    # The first arrives: what is sent before the first that is heard is before the beginning.
    whole = in_order(sensor, first, draw(st.integers(1, 40)))
    lost = draw(st.sets(st.integers(1, len(whole) - 1) if len(whole) > 1 else st.nothing()))
    arrived = [whole[0]]
    for k, each in enumerate(whole):
        if k in lost or k == 0:
            continue
        delay = draw(st.floats(0, 0.999 * REORDER_SECONDS))
        arrived.append(replace(each, at=each.at + delay))
        if draw(st.booleans()):
            again = draw(st.floats(0, 3 * REORDER_SECONDS))
            arrived.append(replace(each, at=each.at + delay + again))
    return arrived, {(whole[k].count, whole[k].part) for k in lost}


@SENSORS
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_is_mixed_repeated_or_lost_without_need(
    sensor: Sensor, data: st.DataObject
) -> None:
    arrived, lost = data.draw(bad_radio(sensor))
    joined = join(sensor, arrived)
    for each in joined:
        there = each.values[~np.isnan(each.values)]
        assert len(set(there.tolist())) == 1  # all channels of one number
        assert int(there[0]) % sensor.n_numbers == each.number
    order = counts(joined)
    assert all(before < after for before, after in pairwise(order))
    sent = {each.count for each in arrived}
    for count in sent:
        missing = {part for at, part in lost if at == count}
        if not missing:
            assert count in order
        elif sensor.whole:
            assert count not in order
    if not sensor.whole:
        for each, count in zip(joined, order, strict=True):
            there_parts = set(np.flatnonzero(~np.isnan(each.values[0])).tolist())
            assert there_parts == set(range(sensor.n_parts)) - {p for at, p in lost if at == count}


@SENSORS
def test_without_a_loss_nothing_waits(sensor: Sensor) -> None:
    joiner = BlockJoiner(sensor)
    for count in range(70000, 70000 + 600):
        out: list[JoinedBlock] = []
        for part in range(sensor.n_parts):
            out += joiner.push(block(sensor, count, part), count * sensor.block_seconds)
        assert counts(out) == [count]


@SENSORS
def test_what_is_behind_a_loss_waits_no_longer_than_it_has_to(sensor: Sensor) -> None:
    joiner = BlockJoiner(sensor)
    for part in range(sensor.n_parts):
        joiner.push(block(sensor, 1, part), 0.0)
    for part in range(sensor.n_parts):
        assert joiner.push(block(sensor, 3, part), 0.01) == []
    for now in (0.04, 0.07):
        assert joiner.expire(now) == []
    assert joiner.expire(0.01 + REORDER_SECONDS) == []
    assert counts(joiner.expire(0.011 + REORDER_SECONDS)) == [3]
    # The lost one, and what is there already, come too late.
    assert joiner.push(block(sensor, 2, 0), 0.2) == []
    assert joiner.push(block(sensor, 3, 0), 0.2) == []


@pytest.mark.parametrize("pause", [0.11, 0.2, 3.0])
@pytest.mark.parametrize("cut", range(1, 80))
def test_a_pause_in_which_nothing_arrives_loses_nothing(cut: int, pause: float) -> None:
    """Wherever it begins, within a block too: what follows it was only late."""
    sent = in_order(EEG_SENSOR, 65000, 20)
    until = sent[cut].at + pause
    late = sent[:cut] + [replace(each, at=max(each.at, until)) for each in sent[cut:]]
    assert counts(join(EEG_SENSOR, late)) == list(range(65000, 65020))


@pytest.mark.parametrize("first", [65530, 131060])
def test_the_16_bits_wrap(first: int) -> None:
    assert counts(join(EEG_SENSOR, in_order(EEG_SENSOR, first, 20))) == list(
        range(first, first + 20)
    )


def test_a_loss_across_the_wrap() -> None:
    sent = [each for each in in_order(EEG_SENSOR, 65530, 20) if not 65534 <= each.count < 65540]
    numbers = [each.number for each in join(EEG_SENSOR, sent)]
    assert numbers == [65530, 65531, 65532, 65533, *range(4, 14)]


def test_a_headset_that_counts_anew_goes_on() -> None:
    before = in_order(EEG_SENSOR, 40000, 5)
    after = [replace(each, at=each.at + 1) for each in in_order(EEG_SENSOR, 0, 5)]
    assert counts(join(EEG_SENSOR, before + after)) == [*range(40000, 40005), *range(5)]


@pytest.mark.parametrize("lost", [100, 127, 130, 200, 250, 255, 256, 300])
def test_losses_longer_than_an_athenas_numbers_do_not_stop_it(lost: int) -> None:
    """Its numbers start again after 4 s; at most 0.5 s more of them are lost then."""
    seconds = ATHENA_SENSOR.block_seconds
    sent = [
        each
        for each in in_order(ATHENA_SENSOR, 0, 400 + lost)
        if not 100 <= each.count < 100 + lost
    ]
    after = [count for count in counts(join(ATHENA_SENSOR, sent)) if count >= 100 + lost]
    assert after[0] - (100 + lost) <= 0.5 / seconds
    assert after == list(range(after[0], 400 + lost))


def test_simulated_losses_of_one_percent_never_skew() -> None:
    """Ten minutes, each electrode's notifications lost at random: whole blocks or none."""
    rng = np.random.default_rng(14)
    n = 10 * 60 * 256 // 12
    kept = rng.random((n, 4)) >= 0.01
    sent = [each for each in in_order(EEG_SENSOR, 65000, n) if kept[each.count - 65000, each.part]]
    joined = join(EEG_SENSOR, sent)
    assert all(len(set(each.values.ravel().tolist())) == 1 for each in joined)
    whole = (65000 + np.flatnonzero(kept.all(axis=1))).tolist()
    # A block that lacks the first one's part may be before the beginning.
    assert counts(joined) == whole
    assert len(joined) / n == pytest.approx(0.99**4, abs=0.01)

    # By arrival, as BrainFlow pairs them, most blocks would mix numbers.
    queues = [[each.count for each in sent if each.part == part] for part in range(4)]
    mixed = [len(set(row)) > 1 for row in zip(*queues, strict=False)]
    assert np.mean(mixed) > 0.5
