"""The parser reads what python-osc writes, and refuses all else at once."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.osc.datagrams import DamagedDatagram, parse_datagram
from tests.drivers.osc.apps import bundle, message

ARGUMENTS = st.lists(
    st.one_of(
        st.integers(-(2**31), 2**31 - 1),
        st.floats(width=32, allow_nan=False),
        st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=9),
    ),
    max_size=12,
)


@given(ARGUMENTS)
def test_a_message_of_python_osc_is_read(arguments: list[float | str]) -> None:
    (found,) = parse_datagram(message("/muse/eeg", *arguments))
    assert (found.address, found.arguments, found.time) == ("/muse/eeg", tuple(arguments), None)


@given(st.lists(ARGUMENTS, max_size=5), st.integers(0, 3), st.sampled_from([None, 1.7e9 + 0.25]))
def test_messages_in_bundles_keep_their_order(
    rows: list[list[float | str]], depth: int, at: float | None
) -> None:
    made = [message(f"/{k}", *row) for k, row in enumerate(rows)]
    for _ in range(depth + 1):
        made = [bundle(made, at)]
    found = parse_datagram(made[0])
    assert [each.arguments for each in found] == [tuple(row) for row in rows]
    assert {each.time for each in found} <= {at}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_datagram(data)
    except DamagedDatagram:
        return


@given(st.data())
def test_a_datagram_that_is_cut_off_is_refused(data: st.DataObject) -> None:
    first, second = message("/muse/eeg", 1.0, 2.0, 3.0, 4.0), message("/muse/batt", 1)
    whole, complete = bundle([first, second]), (16, 20 + len(first))
    inside = data.draw(st.integers(1, len(whole) - 1).filter(lambda n: n not in complete))
    with pytest.raises(DamagedDatagram):
        parse_datagram(whole[:inside])


@pytest.mark.parametrize("size", [-4, 0, 1 << 30])
def test_a_wrong_size_is_refused(size: int) -> None:
    """python-osc's parser never returns from the first of them."""
    with pytest.raises(DamagedDatagram):
        parse_datagram(bundle([]) + struct.pack(">i", size) + bytes(8))


def test_bundles_within_bundles_have_an_end() -> None:
    made = message("/muse/eeg")
    for _ in range(3000):
        made = bundle([made])
    with pytest.raises(DamagedDatagram):
        parse_datagram(made)
