"""Samples that are read at once are those that pyxdf reads one by one."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.formats.xdf.intact_chunks import extract_complete_chunks
from mimamba.drivers.formats.xdf.stamped_samples import take_stamped
from tests.drivers.formats.xdf import xdffile

STREAMS = {1: "float32", 2: "int16", 3: "double64", 4: "string"}


def deduced(number: int) -> bytes:
    """A chunk whose second sample has no timestamp."""
    body = struct.pack("<Bdhh", 8, 500.0, 1, 2) + struct.pack("<Bhh", 0, 3, 4)
    return xdffile.chunk(3, struct.pack("<IBI", number, 4, 2) + body)


def part(stream: int, what: str, stamp: float, count: int) -> bytes:
    """One chunk of a stream, as it may follow any other."""
    form, stamps = STREAMS[stream], [stamp + k / 8 for k in range(count)]
    if what == "offset":
        return xdffile.offset(stream, stamp, 0.0)
    if what == "shift":
        return xdffile.offset(stream, stamp, 0.5)
    if what == "deduced" and stream == 2:
        return deduced(stream)
    if what == "header":
        return xdffile.header(stream, form=form, n_channels=1 if stream == 4 else 2)
    if stream == 4:
        return xdffile.texts(stream, stamps, ["a"] * count)
    return xdffile.samples(stream, stamps, [[k, -k] for k in range(count)], form)


PARTS = st.builds(
    part,
    st.sampled_from(list(STREAMS)),
    st.sampled_from(["samples"] * 6 + ["offset", "offset", "shift", "deduced", "header"]),
    st.floats(1.0, 1000.0),
    st.integers(0, 5),
)


def by_pyxdf(data: bytes) -> dict[int, dict[str, Any]]:
    with np.errstate(all="ignore"):
        streams, _ = pyxdf.load_xdf(BytesIO(data), dejitter_timestamps=False)
    return {each["info"]["stream_id"]: each for each in streams}


@settings(deadline=None)
@given(parts=st.lists(PARTS, max_size=12))
def test_they_are_those_of_pyxdf(parts: list[bytes]) -> None:
    headers = [part(each, "header", 0.0, 0) for each in STREAMS]
    data = b"".join([xdffile.start(), *headers, *parts])
    rest, taken = take_stamped(extract_complete_chunks(data))
    expected, left = by_pyxdf(data), by_pyxdf(rest)
    assert list(left) == list(expected)
    for number, stream in expected.items():
        found = left[number]
        stamps, values = found["time_stamps"], found["time_series"]
        if number in taken:
            assert not len(stamps)
            stamps, values = taken[number].stamps, taken[number].values
            assert values.dtype == stream["time_series"].dtype
        np.testing.assert_array_equal(stamps, stream["time_stamps"])
        np.testing.assert_array_equal(values, stream["time_series"])


def test_a_signal_without_an_offset_is_read_at_once() -> None:
    rest, taken = take_stamped(extract_complete_chunks(xdffile.recording([1.0, 2.0, 3.0])))
    assert list(taken) == [1]
    assert taken[1].values.shape == (3, 4)
    assert len(rest) < len(xdffile.recording([1.0, 2.0, 3.0]))
    assert take_stamped(extract_complete_chunks(xdffile.recording([1.0], shift=0.5)))[1] == {}
