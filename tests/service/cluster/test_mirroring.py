"""Parts of a session that a worker elsewhere computes, each alone."""

from __future__ import annotations

import threading

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.service.cluster.head_readings import HeadReadings, take_readings
from mimamba.service.cluster.requests import carry_hops, read_hops
from mimamba.service.cluster.signal_taps import SignalTaps
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs
from mimamba.service.logs.head_use import TimedReading
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.sessions.personal_decoder import HopsBefore

INFO = StreamInfo("Far", "far-1", 256.0, ("TP9", "AF7", "AF8", "TP10"))


def test_hops_come_as_they_were_also_none() -> None:
    for values in (np.arange(6.0).reshape(3, 2), np.zeros((1, 4)), np.array([])):
        found = read_hops(carry_hops(HopsBefore("a", 7, values, None)))
        assert (found.epoch, found.start, found.rest) == ("a", 7, None)
        assert len(found.values) == len(values)
        np.testing.assert_array_equal(found.values.ravel(), values.ravel())


def test_outputs_after_a_hole_keep_their_numbers() -> None:
    logs = EpochLogs("a", INFO, ActiveModel())
    for seq, indices in ((5, (50, 60)), (6, (60, 70)), (20, (200,)), (21, (210,))):
        readings = [
            TimedReading(PersonalReading(index, "ok", None, {"calm": 1.0}, "calm"), index / 256)
            for index in indices
        ]
        take_readings(logs, [HeadReadings(0, seq, readings)])
    kept = logs.heads[0].read(0, 100)
    assert [(seq, each.reading.index) for seq, each in kept] == [(20, 200), (21, 210)]


class Tap:
    """Notes that it was ended."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def take(self, chunk: Chunk) -> None:
        """Take a chunk."""

    def end(self) -> None:
        """Take none any more."""
        self.ended.set()


def test_a_tap_that_is_added_as_the_session_ends_ends_too() -> None:
    taps = SignalTaps("far")
    taps.end()
    tap = Tap()
    taps.add(tap)
    assert tap.ended.wait(20)
    taps.join()
