from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.errors import BadChannels
from mimamba.drivers.url import parse_source

MUSE = ("TP9", "AF7", "AF8", "TP10")


def pick(query: str, available: tuple[str, ...] = MUSE) -> ChannelSelection:
    return ChannelChoice.from_url(parse_source(f"lsl://?{query}")).select(available)


def test_nothing_asked_for_is_all() -> None:
    assert pick("") == ChannelSelection((0, 1, 2, 3), MUSE)


@pytest.mark.parametrize(
    ("query", "rows", "names"),
    [
        ("channels=AF8,TP9", (2, 0), ("AF8", "TP9")),
        ("channels=af8, tp9", (2, 0), ("AF8", "TP9")),
        ("channels=4,1", (3, 0), ("TP10", "TP9")),
        ("channels=2&names=Fp1", (1,), ("Fp1",)),
        ("names=a,b,c,d", (0, 1, 2, 3), ("a", "b", "c", "d")),
    ],
)
def test_channels_in_the_order_asked_for(
    query: str, rows: tuple[int, ...], names: tuple[str, ...]
) -> None:
    assert pick(query) == ChannelSelection(rows, names)


def test_a_layout_names_four_picks() -> None:
    available = tuple(f"ch{n}" for n in range(1, 9))
    assert pick("channels=1,2,3,8&names=Muse", available) == ChannelSelection((0, 1, 2, 7), MUSE)


def test_a_name_goes_before_a_number() -> None:
    assert pick("channels=2", ("2", "1")).rows == (0,)


@given(st.permutations(MUSE))
@settings(deadline=None)
def test_names_and_numbers_say_the_same(order: list[str]) -> None:
    numbers = ",".join(str(MUSE.index(name) + 1) for name in order)
    assert pick(f"channels={','.join(order)}") == pick(f"channels={numbers}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("channels=Cz", "channel Cz, but found 4 channels: TP9, AF7, AF8, TP10"),
        ("channels=0", "channel 0"),
        ("channels=5", "channel 5"),
        ("channels=-1", "channel -1"),
        ("channels=", "4 channels"),
        ("channels=AF7,,AF8", "4 channels"),
        ("channels=AF7,2", "different channels, but found AF7,AF7"),
        ("names=a,b", r"as many names as channels \(4\), but found 2"),
        ("names=a,b,c,a", "different names"),
        ("channels=1,2&names=muse", r"channels \(2\), but found 4"),
    ],
)
def test_what_cannot_be_picked(query: str, said: str) -> None:
    with pytest.raises(BadChannels, match=said):
        pick(query)
