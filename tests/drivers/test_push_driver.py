"""An inbox takes each packet once and in order, whatever is sent again; the driver yields them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    AuxiliaryInfo,
    Chunk,
    LinkChange,
    Marker,
    StreamInfo,
)
from mimamba.drivers.errors import BadSamples, BadSource, StreamLost
from mimamba.drivers.open import open_driver
from mimamba.drivers.push_driver import (
    CLOCK_STEP,
    MAX_PACKETS,
    MAX_SLEW,
    ClockTranslator,
    Inbox,
    Packet,
    PushDriver,
)
from mimamba.drivers.timing.clock import local_clock

SFREQ = 100.0
INFO = StreamInfo("Far", "far-1", SFREQ, ("A", "B"))
EVENTUALLY = 60.0


def ignore(_: LinkChange) -> None:
    """For those who do not care."""


def packet(
    seq: int, first: int, n_times: int = 10, epoch: int = 0, ends: bool = False, start: float = 5.0
) -> Packet:
    index = first + np.arange(n_times)
    data = np.column_stack([index, -index]).astype(np.float32).reshape(n_times, 2)
    return Packet(seq, Chunk(data, start + index / SFREQ, first, epoch), (), ends)


def drained(inbox: Inbox, on_change: Callable[[LinkChange], None] = ignore) -> list[Chunk]:
    """What a driver yields of an inbox that was told the end."""
    with PushDriver(inbox, on_change) as driver:
        return list(driver)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), max_size=12), st.integers(0, 12))
def test_whatever_is_sent_again_comes_once_and_in_order(
    tries: list[tuple[int, int]], forwarded: int
) -> None:
    """Each try sends a few packets from any place before the next one; the last one all.

    From one of the tries on, a driver hands on its chunks.
    """
    inbox = Inbox(INFO)
    handed: list[Chunk] = []
    driver = PushDriver(inbox, ignore)
    packets = [packet(seq, 10 * seq, ends=seq == 30) for seq in range(31)]
    for nth, (back, length) in enumerate([*tries, (0, 31)]):
        if nth == forwarded:
            driver.forward(handed.append)
        start = max(0, inbox.next_seq - back)
        for each in packets[start : start + length]:
            assert inbox.put(each, 0.0)
    chunks = [*handed, *driver]
    chunks += handed[len(chunks) :]
    assert [chunk.first for chunk in chunks] == list(range(0, 310, 10))
    data = np.concatenate([chunk.data for chunk in chunks])
    np.testing.assert_array_equal(data[:, 0], np.arange(310))


def test_dropped_packets_are_a_jump_of_first() -> None:
    inbox = Inbox(INFO)
    for each in (packet(0, 0), packet(7, 70), packet(8, 80, ends=True)):
        assert inbox.put(each, 0.0)
    assert [(chunk.first, chunk.end) for chunk in drained(inbox)] == [(0, 10), (70, 80), (80, 90)]


def test_what_came_without_eeg_goes_with_the_next_chunk_in_order() -> None:
    pulse = AuxiliaryInfo("ppg", "counts", 64.0, ("infrared",))
    inbox = Inbox(INFO, ordered=True)
    for nth, each in enumerate((packet(0, 0, 0), packet(1, 0), packet(2, 10, ends=True))):
        measured = AuxiliaryChunk(
            pulse, np.full((1, 1), nth, np.float32), np.array([5.0 + nth]), nth
        )
        assert inbox.put(replace(each, auxiliary=(measured,)), 0.0)
    firsts = [[each.first for each in chunk.auxiliary] for chunk in drained(inbox)]
    assert firsts == [[0, 1], [2]]


def test_a_new_epoch_starts_where_it_likes() -> None:
    inbox = Inbox(INFO)
    assert inbox.put(packet(0, 100), 0.0)
    assert inbox.put(packet(1, 0, epoch=1, start=90.0, ends=True), 0.0)
    assert [(chunk.epoch, chunk.first) for chunk in drained(inbox)] == [(0, 100), (1, 0)]


def test_a_full_inbox_makes_the_sender_wait_and_holds_no_more() -> None:
    inbox = Inbox(INFO)
    for seq in range(MAX_PACKETS):
        assert inbox.put(packet(seq, 10 * seq), 0.0)
    assert not inbox.put(packet(MAX_PACKETS, 10 * MAX_PACKETS), 0.0)
    assert inbox.next_seq == MAX_PACKETS
    assert inbox.take(1.0, down=True) is not None
    assert inbox.put(packet(MAX_PACKETS, 10 * MAX_PACKETS), 0.0)


def backward(chunk: Chunk) -> Chunk:
    return replace(chunk, timestamps=chunk.timestamps[::-1].copy())


def timeless(chunk: Chunk) -> Chunk:
    return replace(chunk, timestamps=np.full(10, np.inf))


def emptied(chunk: Chunk) -> Chunk:
    return replace(chunk, data=chunk.data[:0], timestamps=chunk.timestamps[:0])


def marked(timestamp: float, index: int) -> Callable[[Chunk], Chunk]:
    return lambda chunk: replace(chunk, markers=(Marker(timestamp, index, "x", "y"),))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (backward, "never go back"),
        (timeless, "seconds"),
        (lambda chunk: replace(chunk, timestamps=chunk.timestamps - 60), "never go back"),
        (lambda chunk: replace(chunk, first=5), "index 10 of epoch 1"),
        (lambda chunk: replace(chunk, first=-1), "indices"),
        (lambda chunk: replace(chunk, first=2**53), "indices"),
        (lambda chunk: replace(chunk, epoch=0, first=100), "index 10 of epoch 1"),
        (marked(float("nan"), 12), "seconds"),
        (marked(5.0, 2**60), "indices"),
        (lambda chunk: marked(5.0, 12)(emptied(chunk)), "markers"),
    ],
)
def test_what_cannot_follow_is_refused_and_changes_nothing(
    spoil: Callable[[Chunk], Chunk], what: str
) -> None:
    inbox = Inbox(INFO)
    assert inbox.put(packet(0, 0, epoch=1), 0.0)
    good = packet(1, 10, epoch=1, ends=True)
    with pytest.raises(BadSamples, match=what) as caught:
        inbox.put(replace(good, chunk=spoil(good.chunk)), 0.0)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadSamples, match="seconds"):
        inbox.put(good, float("nan"))
    assert inbox.put(good, 0.0)
    assert [chunk.first for chunk in drained(inbox)] == [0, 10]


def test_samples_that_are_no_numbers_come_as_they_are() -> None:
    """A dead channel is for the quality and the model to judge, as with a source of one's own."""
    inbox, sent = Inbox(INFO), packet(0, 0, ends=True)
    sent.chunk.data[3:, 1] = np.nan
    sent.chunk.data[5, 0] = -np.inf
    assert inbox.put(sent, 0.0)
    (chunk,) = drained(inbox)
    np.testing.assert_array_equal(chunk.data, sent.chunk.data)


def test_a_marker_comes_once_though_its_packet_was_dropped_after_it_had_arrived() -> None:
    """The acquirer did not know that it had, so it sent the marker along with what follows."""
    inbox = Inbox(INFO)
    known, lost = Marker(5.05, 5, "known", "far"), Marker(5.15, 15, "lost", "far")
    first, second = packet(0, 0), packet(2, 20, ends=True)
    assert inbox.put(replace(first, chunk=replace(first.chunk, markers=(known,))), 1000.0)
    both = replace(second.chunk, markers=(known, lost))
    assert inbox.put(replace(second, chunk=both), 1000.0)
    markers = [each for chunk in drained(inbox) for each in chunk.markers]
    assert [each.label for each in markers] == ["known", "lost"]
    assert [each.timestamp for each in markers] == pytest.approx([1005.05, 1005.15], abs=1e-3)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(-0.5, 0.5)), min_size=1, max_size=30),
    st.floats(-1e6, 1e6),
)
def test_time_goes_on_evenly_whatever_the_estimates_say(
    parts: list[tuple[int, float]], offset: float
) -> None:
    translate, at = ClockTranslator(), 0
    came, made = [], []
    for n_times, error in parts:
        theirs = 5.0 + (at + np.arange(n_times)) / SFREQ
        came.append(theirs)
        made.append(translate(theirs, offset + error))
        at += n_times
    steps = np.diff(np.concatenate(made)) * SFREQ
    np.testing.assert_allclose(steps, 1, atol=1.01 * MAX_SLEW + 1e-6)
    # The truth lies between the estimates, and so does what is made of them.
    errors = [error for _, error in parts]
    assert min(errors) - 1e-6 <= (made[-1] - came[-1] - offset)[-1] <= max(errors) + 1e-6


def test_a_machine_that_slept_is_followed_at_once_but_never_backward() -> None:
    translate = ClockTranslator()
    translate(np.array([1.0, 2.0]), 100.0)
    after = translate(np.array([3.0, 4.0]), 100.0 + 2 * CLOCK_STEP)
    np.testing.assert_allclose(after, [105.0, 106.0])
    back = translate(np.array([5.0, 6.0]), 100.0 - 2 * CLOCK_STEP)
    np.testing.assert_allclose(back, [107.0, 108.0], atol=3 * MAX_SLEW)


def test_a_silent_acquirer_is_lost_and_comes_back_without_a_gap() -> None:
    inbox = Inbox(INFO)
    told: list[LinkChange] = []
    lost = threading.Event()

    def tell(change: LinkChange) -> None:
        told.append(change)
        if change.state == "lost":
            lost.set()

    assert inbox.put(packet(0, 0), 0.0)
    chunks: list[Chunk] = []
    with PushDriver(inbox, tell, silence=0.05) as driver:
        thread = threading.Thread(target=lambda: chunks.extend(driver))
        thread.start()
        assert lost.wait(EVENTUALLY)
        assert inbox.put(packet(1, 10, ends=True), 0.0)
        thread.join(EVENTUALLY)
        assert not thread.is_alive()
    assert [change.state for change in told] == ["connected", "lost", "connected"]
    assert "0.05 s" in told[1].detail
    assert [chunk.first for chunk in chunks] == [0, 10]


def test_silence_is_reported_each_time_though_chunks_are_handed_on() -> None:
    inbox = Inbox(INFO)
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    chunks: list[Chunk] = []
    with PushDriver(inbox, lambda change: states.put(change.state), silence=0.05) as driver:
        driver.forward(chunks.append)
        thread = threading.Thread(target=lambda: chunks.extend(driver))
        thread.start()
        for nth in range(3):
            assert inbox.put(packet(nth, 10 * nth), 0.0)
            assert [states.get(timeout=EVENTUALLY) for _ in range(2)] == ["connected", "lost"]
        assert inbox.put(packet(3, 30, ends=True), 0.0)
        thread.join(EVENTUALLY)
        assert not thread.is_alive()
    assert [chunk.first for chunk in chunks] == [0, 10, 20, 30]


def test_the_acquirers_own_changes_are_reported_on_our_clock_and_not_twice() -> None:
    inbox = Inbox(INFO)
    told: list[LinkChange] = []
    here = local_clock()
    offset = here - 50.0
    states: list[LinkChange] = [
        LinkChange("connected", 50.0, "Muse"),
        LinkChange("lost", 52.0, "out of reach"),
        LinkChange("retrying", 52.5, "attempt 1"),
        LinkChange("connected", 53.0, "Muse"),
    ]
    start = 50.0
    assert inbox.put(replace(packet(0, 0, start=start), changes=tuple(states[:1])), offset)
    assert inbox.put(Packet(1, packet(0, 10, 0).chunk, tuple(states[1:3])), offset)
    last = packet(2, 310, start=start, ends=True)
    assert inbox.put(replace(last, changes=tuple(states[3:])), offset)
    assert [chunk.first for chunk in drained(inbox, told.append)] == [0, 310]
    assert [(each.state, each.detail) for each in told] == [
        (each.state, each.detail) for each in states
    ]
    for mine, theirs in zip(told, states, strict=True):
        assert mine.timestamp == pytest.approx(theirs.timestamp + offset)


def test_a_recording_has_no_link() -> None:
    inbox = Inbox(replace(INFO, live=False))
    told: list[LinkChange] = []
    assert inbox.put(packet(0, 0, ends=True), 0.0)
    assert len(drained(inbox, told.append)) == 1
    assert told == []


def test_close_ends_a_blocked_iteration_and_refuses_what_comes() -> None:
    inbox = Inbox(INFO)
    assert inbox.put(packet(0, 0), 0.0)
    started = threading.Event()

    def read(driver: PushDriver) -> None:
        for _ in driver:
            started.set()

    with PushDriver(inbox, ignore) as driver:
        thread = threading.Thread(target=read, args=(driver,))
        thread.start()
        assert started.wait(EVENTUALLY)
        driver.close()
        driver.close()
        thread.join(EVENTUALLY)
        assert not thread.is_alive()
    with pytest.raises(StreamLost, match="ended"):
        inbox.put(packet(1, 10), 0.0)
    assert inbox.put(packet(0, 0), 0.0)  # it had been taken


def test_it_cannot_be_opened_from_here() -> None:
    with pytest.raises(BadSource, match="mimamba acquire"):
        open_driver("push://")
