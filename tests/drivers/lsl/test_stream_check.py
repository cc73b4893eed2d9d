"""Rates and units that a stream declares, against those of its stamps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.lsl.driver import LSLDriver
from mimamba.drivers.open import open_driver
from mimamba.drivers.url import parse_source
from tests.drivers.lsl.senders import RealTimeSender
from tests.drivers.lsl.test_driver import sending, take, times, values

pytest.importorskip("pylsl", exc_type=ImportError)


@pytest.mark.parametrize(("declared", "used"), [(256.0, 250.0), (200.0, 250.0), (125.0, 250.0)])
def test_a_stream_is_opened_at_the_rate_of_its_stamps(declared: float, used: float) -> None:
    # All at once: the time of arrival says nothing then, and nobody has to wait.
    with (
        sending(3000, sfreq=declared) as (sender, data, stamps),
        open_driver(sender.url) as driver,
    ):
        chunks = take(driver, 3000)
        info = driver.info
    assert info.sfreq == used
    assert any(f"{declared:g} Hz" in notice and f"{used:g} Hz" in notice for notice in info.notices)
    assert chunks[-1].end == 3000
    np.testing.assert_array_equal(values(chunks), data)
    np.testing.assert_allclose(np.diff(times(chunks)), np.diff(stamps), atol=1e-4)


def test_a_rate_that_is_given_decides() -> None:
    with (
        sending(1000, sfreq=256.0) as (sender, _, _),
        open_driver(f"{sender.url}&sfreq=256") as driver,
    ):
        assert driver.info.sfreq == 256
        assert driver.info.notices == ()


def test_half_a_percent_is_fine() -> None:
    with sending(1000, sfreq=250.5) as (sender, _, _), open_driver(sender.url) as driver:
        assert driver.info.sfreq == 250.5
        assert driver.info.notices == ()


def test_milliseconds_are_read_as_such() -> None:
    def milliseconds(stamps: NDArray[np.float64]) -> None:
        stamps *= 1000

    with (
        sending(1000, milliseconds) as (sender, data, _),
        open_driver(sender.url) as driver,
    ):
        chunks = take(driver, 1000)
        assert any("milliseconds" in notice for notice in driver.info.notices)
    assert chunks[-1].end == 1000
    np.testing.assert_array_equal(values(chunks), data)
    np.testing.assert_allclose(np.diff(times(chunks)), 1 / 250, atol=1e-3)


def test_stamps_that_count_samples_are_replaced_by_the_time_of_arrival() -> None:
    with (
        RealTimeSender(stamp="k + 1.0") as sender,
        LSLDriver(parse_source(sender.url), measure=4.0) as driver,
    ):
        assert driver.info.sfreq == 250
        assert any("time of arrival is used" in notice for notice in driver.info.notices)
        chunks = take(driver, 2000)
    sent = values(chunks)[:, 0]
    np.testing.assert_array_equal(sent, sent[0] + np.arange(len(sent)))
    assert chunks[-1].end == len(sent)
    assert (times(chunks)[-1] - times(chunks)[0]) * 250 / len(sent) == pytest.approx(1, abs=0.05)
