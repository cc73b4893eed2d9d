"""Messages become chunks that do not depend on how they were sent."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.drivers.osc.app_receiver import AppReceiver, ArrivedMessage, merge_chunks
from mimamba.drivers.osc.datagrams import parse_datagram
from mimamba.drivers.osc.layouts import LAYOUTS
from tests.drivers.osc.apps import MIDDLE, SFREQ, bundle, message, mind_monitor, petal

MIND_MONITOR = LAYOUTS["mindmonitor"]
Sent = list[tuple[float, bytes]]


def arrived(sent: Sent) -> list[ArrivedMessage]:
    return [ArrivedMessage(each, at) for at, data in sent for each in parse_datagram(data)]


def received(
    sent: Sent, cuts: list[int], layout: str = "mindmonitor", timed: bool = False
) -> list[Chunk]:
    """What comes of datagrams with their arrivals, fed in parts."""
    offset = MIDDLE if layout == "mindmonitor" else 0.0
    receiver = AppReceiver(LAYOUTS[layout], SFREQ, range(4), offset, timed)
    edges = [0, *sorted(cut % (len(sent) + 1) for cut in cuts), len(sent)]
    for start, end in pairwise(edges):
        if part := sent[start:end]:
            receiver.feed(arrived(part), part[-1][0])
    receiver.flush()
    return merge_chunks(receiver.take_eeg())


def indices(chunks: list[Chunk]) -> list[int]:
    return [k for chunk in chunks for k in range(chunk.first, chunk.end)]


def values(chunks: list[Chunk]) -> list[int]:
    return [round(value) for chunk in chunks for value in chunk.data[:, 0].tolist()]


def timestamps(chunks: list[Chunk]) -> list[float]:
    return [stamp for chunk in chunks for stamp in chunk.timestamps.tolist()]


def bursts(numbers: list[int], jitter: list[float]) -> list[float]:
    """Times at which samples arrive in groups of 12, each group a little late."""
    return [100 + (k // 12 + 1) * 12 / SFREQ + jitter[k // 12 % len(jitter)] for k in numbers]


JITTER = st.lists(st.floats(0, 0.03), min_size=1, max_size=7)


@given(st.lists(st.integers(0, 2000), max_size=8), JITTER, st.integers(1, 12))
def test_parts_and_bundles_change_nothing(cuts: list[int], jitter: list[float], size: int) -> None:
    numbers = list(range(480))
    times = bursts(numbers, jitter)
    single = [(at, mind_monitor(k)) for at, k in zip(times, numbers, strict=True)]
    grouped: Sent = []
    for start in range(0, 480, 12):  # a bundle never spans two arrivals
        for k in range(start, start + 12, size):
            part = [mind_monitor(each) for each in range(k, min(k + size, start + 12))]
            grouped.append((times[start], bundle(part)))
    whole, parts, bundled = received(single, []), received(single, cuts), received(grouped, cuts)
    for other in (parts, bundled):
        assert indices(other) == indices(whole) == numbers
        assert values(other) == values(whole) == [k % 200 for k in numbers]
        assert timestamps(other) == timestamps(whole)
    assert np.diff(timestamps(whole)).min() > 0


@given(st.data(), JITTER)
def test_petals_numbers_place_every_sample(data: st.DataObject, jitter: list[float]) -> None:
    """Whatever is lost, repeated or comes in another order, up to 0.1 s late."""
    count = 600
    lost = data.draw(st.sets(st.integers(1, count - 2), max_size=200))
    again = data.draw(st.sets(st.integers(0, count - 1), max_size=20)) - lost
    delays = data.draw(st.dictionaries(st.integers(0, count - 1), st.floats(0, 0.04), max_size=40))
    base = data.draw(st.integers(0, 1 << 30))
    sent: Sent = []
    for k, at in enumerate(bursts(list(range(count)), jitter)):
        copies = 0 if k in lost else 2 if k in again else 1
        late = delays.get(k, 0.0) / 2
        sent += [(at + late * (copy + 1), petal(base + k)) for copy in range(copies)]
    sent.sort(key=lambda each: each[0])
    chunks = received(sent, data.draw(st.lists(st.integers(0, 700), max_size=5)), "petal")
    kept = [k for k in range(count) if k not in lost]
    found = indices(chunks)
    assert [k - found[0] for k in found] == [k - kept[0] for k in kept]
    assert values(chunks) == [(base + k) % 200 for k in kept]


@pytest.mark.parametrize("n_lost", [128, 256, 900])
def test_a_clear_loss_without_numbers_is_a_gap(n_lost: int) -> None:
    numbers = [k for k in range(2400) if not 1200 <= k < 1200 + n_lost]
    sent = [(at, mind_monitor(k)) for at, k in zip(bursts(numbers, [0.0]), numbers, strict=True)]
    chunks = received(sent, [])
    (jump,) = [after.first - before.end for before, after in pairwise(chunks)]
    assert abs(jump - n_lost) <= 12  # one group
    assert values(chunks) == [k % 200 for k in numbers]


def test_a_stall_that_catches_up_is_no_gap() -> None:
    numbers = list(range(2400))
    times = [max(at, 106.0) if at > 105.2 else at for at in bursts(numbers, [0.0])]
    sent = [(at, mind_monitor(k)) for at, k in zip(times, numbers, strict=True)]
    assert indices(received(sent, [])) == numbers


def test_the_time_of_a_bundle_is_used() -> None:
    """The network delays groups by up to 80 ms; the phone's own clock does not."""
    rng = np.random.default_rng(3)
    sent: Sent = []
    for k in range(0, 2400, 12):
        group = [mind_monitor(each) for each in range(k, k + 12)]
        late = float(rng.uniform(0, 0.08))
        sent.append((50 + k / SFREQ + late, bundle(group, 1.7e9 + k / SFREQ)))
    chunks = received(sent, [], timed=True)
    assert indices(chunks) == list(range(2400))
    assert np.abs(np.diff(timestamps(chunks)[600:]) * SFREQ - 1).max() < 0.05


def test_the_rest_is_kept_and_events_are_markers() -> None:
    receiver = AppReceiver(MIND_MONITOR, SFREQ, range(4), MIDDLE, False)
    sent: Sent = [(100 + k / SFREQ, mind_monitor(k)) for k in range(256)]
    sent += [(100 + k / 52, message("/muse/acc", 0.0, 0.25, k / 64)) for k in range(52)]
    sent.append((100.5, message("/muse/elements/blink", 1)))
    sent.append((100.2, message("/muse/batt", 5050, 0, 0, 0)))
    sent.sort(key=lambda each: each[0])
    receiver.feed(arrived(sent), 101.0)
    (marker,) = [each for chunk in merge_chunks(receiver.take_eeg()) for each in chunk.markers]
    assert (marker.label, marker.source) == ("/muse/elements/blink", "Mind Monitor")
    assert abs(marker.index - 128) <= 1
    assert receiver.battery == 50.5
    taken = receiver.take_auxiliary()
    assert {each.info.name for each in taken} == {"acceleration"}
    heights = np.concatenate([each.data for each in taken])[:, 2]
    assert heights.tolist() == [k / 64 for k in range(52)]
    assert receiver.take_auxiliary() == []


def test_fewer_values_later_are_missing_not_wrong() -> None:
    receiver = AppReceiver(MIND_MONITOR, SFREQ, [0, 4], 0.0, False)
    for k, row in enumerate([(1.0,) * 5, (2.0,) * 4, (float("nan"),) * 4, (1e38,) * 5]):
        at = 10 + k / SFREQ
        receiver.feed(arrived([(at, message("/muse/eeg", *row))]), at)
    receiver.flush()
    (chunk,) = merge_chunks(receiver.take_eeg())
    np.testing.assert_array_equal(
        chunk.data, np.array([[1, 1], [2, np.nan], [np.nan, np.nan], [1e38, 1e38]], np.float32)
    )


def test_grades_of_contact_become_remarks_of_the_link() -> None:
    receiver = AppReceiver(MIND_MONITOR, SFREQ, range(4), MIDDLE, timed=False)
    loose = message("/muse/elements/horseshoe", 1.0, 4.0, 2.0, 1.0)
    receiver.feed(arrived([(100 + 0.5 * k, loose) for k in range(8)]), 104)
    assert receiver.take_remarks() == ("Mind Monitor reports bad contact at AF7",)
    assert receiver.take_remarks() == ()
    assert receiver.take_eeg() == []
