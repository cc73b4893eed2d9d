"""What is not acknowledged is kept; beyond the buffer a live source loses, a recording waits."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, LinkChange, Marker, StreamInfo
from mimamba.drivers.push_driver import MAX_TEXT, Inbox, Packet, PushDriver
from mimamba.service.acquire.outbox import LARGEST_CHUNK, LARGEST_SENSORS, MAX_EVENTS, Outbox
from mimamba.service.protocol.messages import decode_client, encode
from mimamba.service.protocol.push import Samples
from mimamba.service.server.limited_server import CLIENT_MESSAGE_BYTES
from mimamba.service.sessions.remote_sources import read_packet
from tests.models.body.planted import chunks_of as measured
from tests.models.body.planted import pulse

SFREQ = 100.0
INFO = StreamInfo("Here", "here-1", SFREQ, ("A", "B"))
EVENTUALLY = 60.0


def ignore() -> None:
    """Nobody waits for news here."""


def chunk(first: int, n_times: int = 10, marker: bool = False) -> Chunk:
    index = first + np.arange(n_times)
    data = np.column_stack([index, -index]).astype(np.float32)
    markers = (Marker(5 + first / SFREQ, first, f"at {first}", "x"),) if marker else ()
    return Chunk(data, 5 + index / SFREQ, first, markers=markers)


def test_what_else_was_measured_goes_with_the_samples_in_any_amount() -> None:
    outbox, inbox = Outbox(INFO, ignore), Inbox(INFO)
    light = measured(pulse(60, 70, 0.1), (64,))
    outbox.put(chunk(0), light, 83.0)
    for first in range(10, 100, 10):
        outbox.put(chunk(first))
    for packet in outbox.read(0, 100):
        sent = sum(each.data.nbytes + each.timestamps.nbytes for each in packet.auxiliary)
        assert sent <= LARGEST_SENSORS
        assert inbox.put(packet, 1000.0)
        assert inbox.put(packet, 1000.0)  # a repeated one changes nothing
    driver = PushDriver(inbox, lambda _: None)
    taken = driver.take_auxiliary()
    assert driver.battery == 83.0
    assert [each.first for each in taken] == [each.first for each in light]
    for there, here in zip(light, taken, strict=True):
        np.testing.assert_array_equal(there.data, here.data)
        np.testing.assert_allclose(there.timestamps + 1000.0, here.timestamps)
    assert driver.take_auxiliary() == []


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
            before = inbox.next_seq
            assert inbox.put(packet, 0.0)
            at = packet.seq + 1
            if inbox.next_seq > before:
                chunks.append(next(pull))
        if acks:
            outbox.acknowledge(inbox.next_seq - 1)
        else:
            at = inbox.next_seq  # a new connection
        assert outbox.seconds <= 3.0
    outbox.end()
    for packet in outbox.read(at, 1000):
        assert inbox.put(packet, 0.0)
        if not packet.ends:
            chunks.append(next(pull))
    outbox.acknowledge(inbox.next_seq - 1)
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
    outbox.put_change(LinkChange("connected", 5.0, "Here"))
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


def sent(packet: Packet) -> tuple[int, Packet]:
    """The bytes of a packet's message, and what the service reads from it."""
    chunk = packet.chunk
    message = Samples(
        "far",
        packet.seq,
        chunk.first,
        chunk.timestamps.tobytes(),
        chunk.data.tobytes(),
        0.0,
        chunk.epoch,
        list(chunk.markers),
        list(packet.changes),
        packet.ends,
    )
    frame = encode(message, binary=True)
    decoded = decode_client(frame, binary=True)
    assert isinstance(decoded, Samples)
    return len(frame), read_packet(decoded, INFO)


@pytest.mark.parametrize("letter", ["x", "\N{BRAIN}", "\ud800"], ids=ascii)
def test_long_texts_are_cut_and_their_samples_are_taken(letter: str) -> None:
    outbox = Outbox(INFO, ignore)
    long = Marker(5.0, 0, letter * 5000, letter * 5000)
    outbox.put_change(LinkChange("lost", 5.0, letter * 5000))
    outbox.put(replace(chunk(0, 0), markers=(long,)))
    outbox.put(replace(chunk(0), markers=(long, replace(long, label="short", source="x"))))
    change, packet = (sent(each)[1] for each in outbox.read(0, 10))
    texts = [packet.chunk.markers[0].label, packet.chunk.markers[0].source]
    texts += [packet.chunk.markers[1].label, change.changes[0].detail]
    assert [len(each) for each in texts] == [MAX_TEXT] * 4
    assert all(each.endswith("…") for each in texts)
    assert (packet.chunk.markers[2].label, packet.chunk.markers[2].source) == ("short", "x")
    assert packet.chunk.n_times == 10


@pytest.mark.parametrize("length", [0, 20, 1000])
@pytest.mark.parametrize("dropped", [False, True])
def test_a_packet_never_exceeds_what_the_service_takes(length: int, dropped: bool) -> None:
    """However long and many its events are, of whatever letters, also those of lost samples."""
    text = "\N{BRAIN}" * length
    outbox, n_times = Outbox(INFO, ignore, seconds=90.0), LARGEST_CHUNK // 16
    many = tuple(Marker(5.0, k, text, text) for k in range(2000))
    for part in range(3 if dropped else 1):
        for _ in range(600):
            outbox.put_change(LinkChange("retrying", 5.0, text))
        outbox.put(replace(chunk(part * n_times, n_times), markers=many))
    outbox.end()
    packets = outbox.read(0, 10_000)
    assert max(sent(each)[0] for each in packets) < CLIENT_MESSAGE_BYTES
    (full,) = (each for each in packets if each.chunk.n_times)
    assert full.chunk.markers[-1] == many[-1]  # of too many, the newest stay
    assert len(full.chunk.markers) >= 30
    if length <= 20:
        assert full.chunk.markers == many[-MAX_EVENTS:]


def test_a_refused_packet_is_forgotten_and_counted() -> None:
    outbox = Outbox(INFO, ignore)
    for k in range(3):
        outbox.put(chunk(10 * k))
    assert outbox.refuse(1) == 10
    assert outbox.refuse(1) == 0
    assert [each.seq for each in outbox.read(0, 10)] == [2]
    assert outbox.lost == 10
