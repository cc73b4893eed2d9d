"""What is not acknowledged is kept; beyond the buffer a live source loses, a recording waits."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Chunk, LinkChange, Marker, StreamInfo
from drivers.push import Inbox, PushDriver
from service.outbox import LARGEST_CHUNK, Outbox

SFREQ = 100.0
INFO = StreamInfo("Here", "here-1", SFREQ, ("A", "B"))
EVENTUALLY = 20.0


def ignore() -> None:
    """Nobody waits for news here."""


def chunk(first: int, n_times: int = 10, marker: bool = False) -> Chunk:
    index = first + np.arange(n_times)
    data = np.column_stack([index, -index]).astype(np.float32)
    markers = (Marker(5 + first / SFREQ, first, f"at {first}", "x"),) if marker else ()
    return Chunk(data, 5 + index / SFREQ, first, markers=markers)


@given(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 25), st.booleans()), max_size=25))
def test_all_that_was_not_dropped_arrives_once(parts: list[tuple[int, int, bool]]) -> None:
    """Parts: chunks that come, packets then sent from the last place, and whether acks get back."""
    outbox, inbox = Outbox(INFO, ignore, seconds=3.0), Inbox(INFO)
    first = at = 0
    chunks: list[Chunk] = []
    driver = PushDriver(inbox, lambda _: None)
    pull = iter(driver)
    for come, sent, acks in parts:
        for _ in range(come):
            outbox.put(chunk(first, marker=True))
            first += 10
        for packet in outbox.read(at, sent):
            before = inbox.next
            assert inbox.put(packet, 0.0)
            at = packet.seq + 1
            if inbox.next > before:
                chunks.append(next(pull))
        if acks:
            outbox.acknowledge(inbox.next - 1)
        else:
            at = inbox.next  # a new connection
        assert outbox.seconds <= 3.0
    outbox.end()
    for packet in outbox.read(at, 1000):
        assert inbox.put(packet, 0.0)
        if not packet.ends:
            chunks.append(next(pull))
    outbox.acknowledge(inbox.next - 1)
    assert outbox.delivered
    there = np.concatenate([np.arange(0), *(np.arange(each.first, each.end) for each in chunks)])
    data = np.concatenate([np.empty(0), *(each.data[:, 0] for each in chunks)])
    np.testing.assert_array_equal(data, there)
    assert np.all(np.diff(there) > 0)
    missing = first - len(there)
    assert missing <= outbox.lost  # one that was dropped may have arrived before
    assert (missing == 0) or outbox.lost > 0
    markers = [each.index for chunk in chunks for each in chunk.markers]
    assert markers == list(range(0, first, 10))  # none is lost, none comes twice


def test_beyond_the_buffer_the_oldest_samples_go_and_are_counted() -> None:
    outbox = Outbox(INFO, ignore, seconds=1.0)
    outbox.tell(LinkChange("connected", 5.0, "Here"))
    for k in range(25):
        outbox.put(chunk(10 * k, marker=k in (3, 4)))
    packets = outbox.read(0, 100)
    assert (outbox.taken, outbox.lost, outbox.seconds) == (250, 150, 1.0)
    assert [each.chunk.first for each in packets] == list(range(150, 250, 10))
    assert [each.label for each in packets[0].chunk.markers] == ["at 30", "at 40"]
    assert [each.state for each in packets[0].changes] == ["connected"]


def test_a_recording_waits_for_room_and_an_end_frees_it() -> None:
    outbox = Outbox(replace(INFO, live=False), ignore, seconds=0.3)

    def read() -> None:
        for k in range(15):
            outbox.put(chunk(10 * k))

    thread = threading.Thread(target=read)
    thread.start()
    sent: list[int] = []
    while len(sent) < 10:
        assert outbox.seconds <= 0.4  # the chunk that fills it is whole
        for packet in outbox.read(0, 1):
            sent.append(packet.chunk.first)
            outbox.acknowledge(packet.seq)
    while outbox.seconds < 0.4:
        assert thread.is_alive()
    outbox.end()
    thread.join(EVENTUALLY)
    assert not thread.is_alive()
    assert sent == list(range(0, 100, 10))
    assert [each.chunk.n_times for each in outbox.read(0, 100)] == [10, 10, 10, 10, 0]
    assert outbox.lost == 0


def test_a_long_chunk_is_sent_in_parts() -> None:
    outbox, n_times = Outbox(INFO, ignore, seconds=1000.0), LARGEST_CHUNK // 4
    outbox.put(chunk(7, n_times, marker=True))
    packets = outbox.read(0, 100)
    assert len(packets) > 1
    assert all(
        each.chunk.data.nbytes + each.chunk.timestamps.nbytes <= LARGEST_CHUNK for each in packets
    )
    index = np.concatenate([np.arange(each.chunk.first, each.chunk.end) for each in packets])
    np.testing.assert_array_equal(index, 7 + np.arange(n_times))
    assert [len(each.chunk.markers) for each in packets] == [1] + [0] * (len(packets) - 1)


def test_a_refused_packet_is_forgotten_and_counted() -> None:
    outbox = Outbox(INFO, ignore)
    for k in range(3):
        outbox.put(chunk(10 * k))
    assert outbox.refuse(1) == 10
    assert outbox.refuse(1) == 0
    assert [each.seq for each in outbox.read(0, 10)] == [2]
    assert outbox.lost == 10
