"""BrainFlow's own Cyton driver on a pseudo-terminal, with a test double at its other end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import (
    AuxiliaryChunk,
    AuxiliaryInfo,
    Chunk,
    Driver,
    HasAuxiliary,
    LinkChange,
)
from mimamba.drivers.errors import DeviceNotFound
from mimamba.drivers.open import open_driver, open_source
from mimamba.drivers.supervision.device_connection import Timeouts
from mimamba.drivers.supervision.supervisor import Supervisor
from tests.drivers.brainflow.cyton import (
    G_PER_COUNT,
    MOTION_STEP,
    START,
    UV_PER_BIT,
    Cyton,
    Edit,
    acceleration,
    counts,
    packet,
)

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are a thing of Unix", allow_module_level=True)


def url(cyton: Cyton, more: str = "") -> str:
    return f"brainflow://cyton?serial_port={cyton.port}{more}"


def take(driver: Driver, end: int) -> list[Chunk]:
    """All chunks up to the sample before ``end``."""
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if chunk.end >= end:
            break
    return chunks


def indices(chunks: Sequence[Chunk]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])


def values(chunks: Sequence[Chunk]) -> NDArray[np.float32]:
    return np.concatenate([chunk.data for chunk in chunks])


def times(chunks: Sequence[Chunk]) -> NDArray[np.float64]:
    return np.concatenate([chunk.timestamps for chunk in chunks])


def with_byte(position: int, value: int) -> Edit:
    return lambda sent: sent[:position] + bytes([value]) + sent[position + 1 :]


def without_start_inside(index: int) -> int:
    """The next sample in whose packet no other byte looks like the first one."""
    sent = counts(2000)
    while START in packet(index, sent[index])[1:]:
        index += 1
    return index


def test_lost_packets_are_counted_exactly_and_microvolts_come_back() -> None:
    beheaded = without_start_inside(320)
    lost = {7, *range(40, 45), *range(200, 300), *range(400, 700)}  # the last beyond a wrap
    moved: list[AuxiliaryChunk] = []
    edits = {
        120: with_byte(32, 0x00),
        beheaded: with_byte(0, 0x00),
        370: with_byte(1, 17),  # another number
        380: with_byte(1, 379 % 256),  # the one before it
    }
    with Cyton(lost=lost, edits=edits) as cyton, open_driver(url(cyton)) as driver:
        chunks = take(driver, 850)
        assert isinstance(driver, HasAuxiliary)
        moved += driver.take_auxiliary()
    check_motion(moved, lost | set(edits))
    found = indices(chunks)
    there = set(range(found[-1] + 1)) - lost - set(edits)
    np.testing.assert_array_equal(found, sorted(there))
    assert np.abs(values(chunks) - cyton.microvolts[found]).max() <= UV_PER_BIT
    assert np.all(np.diff(times(chunks)) > 0)
    # One that is held up sends a burst, which bends the line through all.
    steps = np.diff(times(chunks)) / np.diff(found)
    assert np.median(steps) == pytest.approx(1 / 250, rel=0.02)
    assert cyton.heard == ["v", "d", "b", "s"]


def check_motion(moved: Sequence[AuxiliaryChunk], lost: set[int]) -> None:
    """The accelerometer's values are in their place, and gaps are those of the EEG."""
    assert {each.info for each in moved} == {
        AuxiliaryInfo("acceleration", "g", 25.0, ("X", "Y", "Z"))
    }
    numbers = [each.first + at for each in moved for at in range(len(each.data))]
    assert numbers == [n for n in range(1, numbers[-1] + 1) if MOTION_STEP * n not in lost]
    for number, axes in zip(numbers, np.concatenate([e.data for e in moved]), strict=True):
        counted = acceleration(MOTION_STEP * number)
        assert axes == pytest.approx(np.multiply(counted, G_PER_COUNT), abs=1e-6)


def test_after_garbage_the_samples_are_right_again() -> None:
    rng = np.random.default_rng(1)

    def spoil(sent: bytes) -> bytes:
        """Cut it, double a part of it, or flip bits in it."""
        start, stop = sorted(rng.integers(0, len(sent), 2).tolist())
        flipped = bytes(byte ^ int(rng.integers(1, 256)) for byte in sent[start:stop])
        middle = (b"", sent[start:stop] * 2, flipped)[rng.integers(3)]
        return sent[:start] + middle + sent[stop:]

    chunks: list[Chunk] = []
    with (
        Cyton(edits=dict.fromkeys(range(50, 200), spoil)) as cyton,
        open_driver(url(cyton)) as driver,
    ):
        for chunk in driver:
            chunks.append(chunk)
            if sound_rows(cyton, values(chunks)) >= 150:
                break
    assert np.isfinite(values(chunks)).all()
    assert all(a.end <= b.first for a, b in pairwise(chunks))
    assert np.all(np.diff(times(chunks)) > 0)


def sound_rows(cyton: Cyton, data: NDArray[np.float32]) -> int:
    """How many of the last samples are the ones that were sent, one after the other."""
    near = np.abs(cyton.microvolts - data[-1]).max(axis=1) <= UV_PER_BIT
    (ends,) = np.nonzero(near)
    if not len(ends):
        return 0
    stop = int(ends[0]) + 1
    n_times = min(stop, len(data))
    wrong = np.abs(cyton.microvolts[stop - n_times : stop] - data[-n_times:]).max(axis=1)
    (bad,) = np.nonzero(wrong > UV_PER_BIT)
    return n_times - 1 - int(bad[-1]) if len(bad) else n_times


def test_eight_seconds_of_silence_are_a_lost_link_and_a_reconnection() -> None:
    changes: list[LinkChange] = []
    before: list[Chunk] = []
    eager = Timeouts(max_backoff=0.5)
    with (
        Cyton() as cyton,
        Supervisor(lambda: open_driver(url(cyton)), changes.append, eager) as driver,
    ):
        chunks = iter(driver)
        while not before or before[-1].end < 50:
            before.append(next(chunks))
        cyton.mute(8.0)
        while cyton.starts == 1:
            before.append(next(chunks))
        after = [before.pop(), *take(driver, before[-1].end + 1)]
    states = [change.state for change in changes]
    assert states[:3] == ["connected", "lost", "retrying"]
    assert set(states[3:-1]) == {"retrying"}
    assert states[-1] == "connected"
    assert "no sample within 2 s" in changes[1].detail
    assert times(after)[0] - times(before)[-1] > 8.0
    elapsed = times(after)[0] - times(before)[-1]
    assert after[0].first - before[-1].end + 1 == round(elapsed * 250)
    assert np.isfinite(values([*before, *after])).all()
    sent = indices(after) - after[0].first
    assert np.abs(values(after) - cyton.microvolts[sent]).max() <= UV_PER_BIT


def test_a_stall_of_the_radio_costs_no_sample_and_no_connection() -> None:
    changes: list[LinkChange] = []
    with Cyton() as cyton, open_source(url(cyton), changes.append) as driver:
        chunks = take(driver, 100)
        cyton.hold(3.5)
        chunks += take(driver, 1500)
        assert cyton.starts == 1
    assert [change.state for change in changes] == ["connected", "lost", "connected"]
    found = indices(chunks)
    np.testing.assert_array_equal(found, np.arange(len(found)))
    assert np.abs(values(chunks) - cyton.microvolts[found]).max() <= UV_PER_BIT
    assert np.all(np.diff(times(chunks)) > 0)


def test_a_converter_that_hangs_is_a_lost_link() -> None:
    changes: list[LinkChange] = []
    chunks: list[Chunk] = []
    with Cyton() as cyton:
        picked = f"{url(cyton)}&channels=8,1,5,2&names=muse"
        held_up = Timeouts(silence=20.0, first_sample=20.0)  # is not what is looked for
        with Supervisor(lambda: open_driver(picked), changes.append, held_up) as driver:
            assert driver.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
            assert driver.info.uv_per_bit == pytest.approx(UV_PER_BIT)
            for chunk in driver:
                chunks.append(chunk)
                if len(chunks) == 5:
                    cyton.freeze()
                if len(changes) == 4:
                    break
        *before, after = chunks
    moving = before[:5]
    sent = cyton.microvolts[:, [7, 0, 4, 1]]
    assert np.abs(values(moving) - sent[indices(moving)]).max() <= UV_PER_BIT
    assert np.abs(after.data - sent[: after.n_times]).max() <= UV_PER_BIT
    assert [change.state for change in changes] == ["connected", "lost", "retrying", "connected"]
    assert "the same sample for 2 s" in changes[1].detail


def test_a_board_that_is_off_is_not_found() -> None:
    with Cyton() as cyton:
        cyton.mute()
        with pytest.raises(DeviceNotFound, match="Switch on the board"):
            open_driver(url(cyton)).__enter__()
        cyton.resume()
        with open_driver(url(cyton)) as driver:
            assert take(driver, 1)


def ask(port: int, command: str) -> str:
    os.write(port, command.encode())
    answer = b""
    while not answer.endswith(b"$$$"):
        answer += os.read(port, 1024)
    return answer.decode().removesuffix("$$$")


def test_the_double_answers_as_the_documents_say() -> None:
    with Cyton() as cyton:
        port = os.open(cyton.port, os.O_RDWR | os.O_NOCTTY)
        try:
            assert "ADS1299 Device ID: 0x3E" in ask(port, "v")
            assert ask(port, "D") == "060110"
            assert ask(port, "x3020000X") == "Success: Channel set for 3"
            assert ask(port, "x1020000V") == "Failure: 9th char not X"
            assert ask(port, "x102000X") == "Failure: too few chars"
            assert cyton.gains == [24, 24, 4, 24, 24, 24, 24, 24]
            assert "CH3SET gain 4" in ask(port, "?")
            assert ask(port, "d") == "updating channel settings to default"
            assert cyton.gains == [24] * 8
            assert ask(port, "V") == "v3.1.1"
            os.write(port, b"b")
            sent = b""
            while len(sent) < 66:
                sent += os.read(port, 1024)
            assert sent[:66] == packet(0, cyton.counts[0]) + packet(1, cyton.counts[1])
        finally:
            os.close(port)
