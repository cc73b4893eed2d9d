"""Trials give chunks without gaps inside; new labels leave everything else as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import StreamInfo
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial, continuous_trial
from mimamba.models.signal.hops import HopCutter
from mimamba.models.signal.preprocessing import SignalConfig

INDEX = np.array([3, 4, 5, 6, 7, 20, 21, 40])
HERE = Path("here.mat")


def trial(person: str = "s01", name: str = "a", labels: tuple[int, ...] = (0,)) -> Trial:
    data = np.arange(16, dtype=np.float32).reshape(8, 2)
    return Trial(person, name, data, INDEX, labels)


def test_chunks_never_span_a_gap_and_tell_when() -> None:
    chunks = list(trial().chunks(2, 10.0))
    assert [(chunk.first, chunk.n_times) for chunk in chunks] == [
        (3, 2),
        (5, 2),
        (7, 1),
        (20, 2),
        (40, 1),
    ]
    np.testing.assert_array_equal(np.concatenate([chunk.data for chunk in chunks]), trial().data)
    np.testing.assert_array_equal(
        np.concatenate([chunk.timestamps for chunk in chunks]), INDEX / 10.0
    )


def test_chunks_go_through_the_cutter_of_a_live_session() -> None:
    config = SignalConfig()
    data = np.random.default_rng(0).normal(0, 20, (4000, 2)).astype(np.float32)
    index = np.concatenate([np.arange(2000), np.arange(3000, 5000)])
    info = StreamInfo("x", "x", 256.0, ("a", "b"), live=False)
    cutter = HopCutter(config, info, (0, 1), ("a", "b"))
    long = Trial("s01", "a", data, index, (0,))
    hops = [hop for chunk in long.chunks(100, 256.0) for hop in cutter.feed(chunk)]
    good = [hop for hop in hops if hop.status == "ok"]
    assert sum(hop.restart for hop in good) == 2
    assert good[-1].index > 4900


@pytest.mark.parametrize("shape", [(8,), (7, 2)])
def test_samples_and_index_fit_each_other(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="found"):
        Trial("s01", "a", np.zeros(shape, np.float32), INDEX, (0,))


def test_relabelled_keeps_rest_the_very_trial() -> None:
    trials = (trial(), trial("s01", "b", (1,)), trial("s02", "a", (1,)))
    apart = trial("s02", "rest", ())
    info = StreamInfo("x", "x", 256.0, ("a", "b"), live=False)
    dataset = Dataset(
        "x", "x", info, (), {"o": ("no", "yes")}, trials, {"s01": trials[1], "s02": apart}
    )
    assert dataset.people == ("s01", "s02")
    made = dataset.relabelled([(1,), (0,), (0,)])
    assert [each.labels for each in made.trials] == [(1,), (0,), (0,)]
    assert made.rest["s01"] is made.trials[1]
    assert made.rest["s02"] is apart
    assert made.trials[0].data is trials[0].data
    assert trials[0].labels == (0,)
    with pytest.raises(ValueError, match="shorter"):
        dataset.relabelled([(1,)])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    samples = np.zeros((5, 2))
    samples[3, 1] = value
    with pytest.raises(
        DatasetError, match=r"here\.mat, but found one that is not a number in a of s01"
    ):
        continuous_trial(HERE, "s01", "a", samples, (0,))


def test_no_samples_are_no_trial() -> None:
    with pytest.raises(DatasetError, match="found no samples in a of s01"):
        continuous_trial(HERE, "s01", "a", np.zeros((0, 2)), (0,))
