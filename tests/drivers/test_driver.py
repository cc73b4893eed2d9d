from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from mimamba.drivers import errors
from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import DriverError


def children(error: type[DriverError]) -> list[type[DriverError]]:
    return [child for child in error.__subclasses__() if child.__module__ == errors.__name__]


def test_an_error_says_what_was_wanted_what_was_found_and_what_to_do() -> None:
    error = DriverError("a headset", "none", "switch it on")
    assert str(error) == "Expected a headset, but found none. Switch it on."
    assert (error.expected, error.found, error.remedy) == ("a headset", "none", "switch it on")


def test_each_error_stands_in_the_tree_at_the_top() -> None:
    tree = str(errors.__doc__)
    assert children(DriverError)
    for error in children(DriverError):
        assert f" {error.__name__} " in tree


def test_a_chunk_ends_after_its_last_sample() -> None:
    chunk = Chunk(np.zeros((12, 4), np.float32), np.arange(12.0), first=100)
    assert (chunk.n_times, chunk.end) == (12, 112)
    assert (chunk.epoch, chunk.markers) == (0, ())


def test_facts_do_not_change() -> None:
    info = StreamInfo("Muse 2", "00:55:da:b0:00:01", 256.0, ("TP9", "AF7", "AF8", "TP10"))
    assert info.n_channels == 4
    with pytest.raises(FrozenInstanceError):
        info.sfreq = 250.0  # type: ignore[misc]
