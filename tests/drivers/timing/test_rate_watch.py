"""Rates that turn out to be others than the one that a session was opened with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.errors import BadSource
from mimamba.drivers.timing.rate_watch import RateWatch


def feed(rate: float, seconds: float, jitter: float, packet: int, declared: float = 256.0) -> None:
    """Let a watch see stamps at this rate."""
    watch = RateWatch(declared, "the stream")
    times = np.arange(round(seconds * rate)) / rate
    times += np.random.default_rng(0).uniform(-jitter, jitter, len(times))
    for start in range(0, len(times), packet):
        watch.push(times[start : start + packet])


@settings(max_examples=40)
@given(st.floats(255.0, 257.0), st.floats(0, 0.004), st.integers(1, 400))
def test_a_rate_within_half_a_percent_is_fine(rate: float, jitter: float, packet: int) -> None:
    feed(rate, 60.0, jitter, packet)


@pytest.mark.parametrize("rate", [128.0, 200.0, 250.0, 300.0])
def test_another_rate_is_named_with_what_decides(rate: float) -> None:
    with pytest.raises(BadSource) as caught:
        feed(rate, 45.0, 0.002, 12)
    told = str(caught.value)
    assert "256 Hz" in told
    assert f"sfreq={rate:g}" in told


def test_losses_are_no_other_rate() -> None:
    watch = RateWatch(256.0, "the stream")
    times = np.arange(60 * 256) / 256
    kept = np.random.default_rng(1).random(60 * 4) > 0.1  # blocks of a quarter of a second
    watch.push(times[np.repeat(kept, 64)])
