"""Samples that a stalled network delivers late: none is lost, and the model goes on."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from tests.drivers.lsl.senders import RealTimeSender
from tests.service.cli.test_acquire import Heard, follow
from tests.service.live import live, talk

pytest.importorskip("pylsl", exc_type=ImportError)
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="a process is stopped by a signal of Unix"),
]


async def test_late_samples_are_taken_in_order_with_their_own_times() -> None:
    stalled = False

    def enough(heard: Heard) -> bool:
        nonlocal stalled
        n_times = sum(map(len, heard.data))
        if n_times > 700 and not stalled:
            stalled = True
            sender.stop()
            threading.Timer(3.5, sender.go_on).start()
        return n_times > 3000

    with RealTimeSender(256.0) as sender, live(sender.url) as service:
        async with talk(service.url) as client:
            heard = await follow(client, "lsl-1", enough)
    sent = np.concatenate(heard.data)[:, 0]
    times = np.concatenate(heard.timestamps)
    np.testing.assert_array_equal(np.diff(sent), 1)
    np.testing.assert_array_equal(np.diff(heard.index), 1)
    np.testing.assert_allclose(np.diff(times), 1 / 256, atol=1e-3)
    events = [each.event for each in heard.links]
    assert [each for each in events if each in ("connected", "lost", "retrying", "gap")] == [
        *("connected", "lost", "connected")
    ]
    # A hop is predicted, or reported as skipped; what is predicted has the time of its sample.
    predicted = [each for each in heard.predictions if each.index <= heard.index[-1]]
    assert np.all(np.diff([each.index for each in predicted]) > 0)
    assert predicted[-1].index > 2500
    for each in predicted:
        assert each.timestamp == pytest.approx(times[each.index - heard.index[0]], abs=2e-3)
