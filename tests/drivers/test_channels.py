from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mne.channels import get_builtin_montages, make_standard_montage

from mimamba.drivers.channels import (
    ChannelChoice,
    ChannelSelection,
    DeclaredChannel,
    eeg_notices,
    find_eeg,
)
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


EMOTIV = (
    *("AF3", "F7", "F3", "FC5", "T7", "P7", "O1"),
    *("O2", "P8", "T8", "FC6", "F4", "F8", "AF4"),
)
EGI = tuple(f"E{n}" for n in range(1, 33))
BIOSEMI = tuple(f"A{n}" for n in range(1, 33))


def eeg_of(
    labels: Sequence[str], kinds: Sequence[str] = (), units: Sequence[str] = ()
) -> tuple[str, ...]:
    empty = [""] * len(labels)
    declared = zip(labels, kinds or empty, units or empty, strict=True)
    return tuple(
        labels[row] for row in find_eeg([DeclaredChannel(*each) for each in declared]).rows
    )


@pytest.mark.parametrize("units", [(), ("uV",) * 42])
def test_emotiv_s_counters_clocks_and_qualities_are_no_eeg(units: tuple[str, ...]) -> None:
    labels = (
        *("COUNTER", "INTERPOLATED", *EMOTIV, "RAW_CQ", "GYROX", "GYROY", "MARKER", "SYNC"),
        *("MARKER_HARDWARE", "TIME_STAMP_s", "TIME_STAMP_ms", *(f"CQ_{e}" for e in EMOTIV)),
        *("CQ_CMS", "CQ_DRL", "BatteryPercent", "RawCq"),
    )
    assert eeg_of(labels, units=units[: len(labels)]) == EMOTIV


def test_emotiv_s_stream_declares_its_timestamp_as_eeg() -> None:
    labels = ("Timestamp", "Counter", "Interpolated", "AF3", "T7", "Pz", "RawCq", "MarkerHardware")
    assert eeg_of(labels, ["EEG"] * 8, ["microvolts"] * 8) == ("AF3", "T7", "Pz")


def test_declared_types_come_before_names() -> None:
    labels = ("Trig1", "TP9", "x", "AccX", "Cz", "Right AUX")
    kinds = ("Trigger", "EEG", "eeg", "ACC", "", "EEG")
    assert eeg_of(labels, kinds) == ("TP9", "x", "Right AUX")  # Cz is not declared
    assert eeg_of(("Fp1", "y"), ("misc", "ExG")) == ("y",)
    assert eeg_of(("Fp1", "Fp2"), ("ECG", "stim")) == ()


def test_units_come_before_names() -> None:
    assert eeg_of(("Fp1", "Fp2", "Cz"), units=("uV", "g", "n/a")) == ("Fp1", "Cz")
    assert eeg_of(("a", "b"), ("EEG", "EEG"), ("µV", "seconds")) == ("a",)
    assert eeg_of(("a", "b"), ("EEG", "EEG"), ("cm", "cm")) == ("a", "b")


@pytest.mark.parametrize(
    ("labels", "eeg"),
    [
        (("TP9", "AF7", "AF8", "TP10", "Right AUX"), MUSE),
        (("LOC", "ROC", "C3-A2", "E1", "E2", "chin"), ("C3-A2",)),
        (("E1-M2", "F3-M2", "HEOG", "VEOGL", "IO1", "SO2"), ("F3-M2",)),
        (("FP1-F7", "T8-P8-0", "Fc5.", "ECG"), ("FP1-F7", "T8-P8-0", "Fc5.")),
        (("EEG Fpz-Cz", "Resp oro-nasal"), ("EEG Fpz-Cz",)),
        ((*EGI, "VREF"), EGI),
        ((*BIOSEMI, "EXG1", "Status"), BIOSEMI),
        (("E1", "E2", "C3", "C4", "F3", "F4", "F7", "F8"), ("C3", "C4", "F3", "F4", "F7", "F8")),
        (("Ch1", "Ch2", "TRIGGER", "CNT"), ("Ch1", "Ch2")),
        (("O2", "O2 sat"), ("O2",)),
    ],
)
def test_names_of_electrodes_decide_where_nothing_is_declared(
    labels: tuple[str, ...], eeg: tuple[str, ...]
) -> None:
    assert eeg_of(labels) == eeg


def test_every_name_of_the_10_05_system_is_known() -> None:
    builtin = get_builtin_montages()
    montage = "colin27_1005" if "colin27_1005" in builtin else "standard_1005"
    names = make_standard_montage(montage).ch_names
    assert eeg_of([*names, "something"]) == tuple(names)


@given(st.lists(st.tuples(st.text(), st.text(max_size=5), st.text(max_size=5)), max_size=12))
def test_any_description_has_a_type_for_each_channel(channels: list[tuple[str, str, str]]) -> None:
    found = find_eeg([DeclaredChannel(*channel) for channel in channels])
    assert [row for row, kind in enumerate(found.kinds) if kind == "EEG"] == list(found.rows)
    assert len(found.kinds) == len(channels)


def test_what_is_only_taken_for_eeg_is_said() -> None:
    labels = ("sine 5Hz", "pulse")
    found = find_eeg([DeclaredChannel(label) for label in labels])
    assert eeg_notices(found, labels) == (
        "Left out: pulse (MISC).",
        "No channel has a type or the name of an electrode: sine 5Hz is taken for EEG; channels= "
        "selects others.",
    )
    assert eeg_notices(find_eeg([DeclaredChannel("1")]), ["1"]) == ()
