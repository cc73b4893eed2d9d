"""A montage is met by name, then by distance, or refused in one line."""

from __future__ import annotations

import pytest

from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.montage import (
    MAX_DISTANCE_MM,
    MontageError,
    match_montage,
    parse_montage,
)

MUSE = ("TP9", "AF7", "AF8", "TP10")


def channels(met: list[Electrode]) -> list[str]:
    return [electrode.channel for electrode in met]


def test_names_are_met_in_the_montages_order() -> None:
    met = match_montage(MUSE, ("AUX", "AF8", "tp10", "Tp9", "AF7"))
    assert met == [
        Electrode("TP9", "Tp9", 3, 0.0),
        Electrode("AF7", "AF7", 4, 0.0),
        Electrode("AF8", "AF8", 1, 0.0),
        Electrode("TP10", "tp10", 2, 0.0),
    ]


@pytest.mark.parametrize(
    ("electrode", "channel"),
    [
        ("T7", "T3"),
        ("T8", "t4"),
        ("P7", "T5"),
        ("T6", "P8"),
        ("Fp1", "EEG Fp1"),
        ("Fp1", "Fp1-A1"),
        ("P7", "EEG T5-LE"),
        ("Cz", " Cz - Ref "),
    ],
)
def test_other_names_of_the_same_place(electrode: str, channel: str) -> None:
    assert match_montage([electrode], ["Oz", channel]) == [Electrode(electrode, channel, 1, 0.0)]


def test_the_very_name_goes_before_a_decorated_one() -> None:
    assert channels(match_montage(["Fp1"], ["EEG Fp1-A2", "fp1"])) == ["fp1"]


def test_a_bipolar_derivation_is_no_electrode() -> None:
    with pytest.raises(MontageError):
        match_montage(["Fp1"], ["Fp1-F3"])


@pytest.mark.parametrize(
    ("ch_names", "expected"),
    [
        (("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"), ["P7", "Fp1", "Fp2", "P8"]),
        (("T5", "Fp1", "Fp2", "T6"), ["T5", "Fp1", "Fp2", "T6"]),
        (
            [
                "AF3",
                "F7",
                "F3",
                "FC5",
                "T7",
                "P7",
                "O1",
                "O2",
                "P8",
                "T8",
                "FC6",
                "F4",
                "F8",
                "AF4",
            ],
            ["T7", "F7", "F8", "T8"],
        ),
    ],
)
def test_the_nearest_electrodes_stand_in(ch_names: tuple[str, ...], expected: list[str]) -> None:
    met = match_montage(MUSE, ch_names)
    assert channels(met) == expected
    assert [ch_names[electrode.row] for electrode in met] == expected
    assert all(0 < electrode.distance_mm <= MAX_DISTANCE_MM for electrode in met)


def test_distances_are_those_of_the_standard_positions() -> None:
    met = match_montage(MUSE, ("T5", "Fp1", "Fp2", "T6"))
    # From the published 10-05 coordinates, by hand: TP9 (-85.6, -46.5, -45.7) mm and so on.
    assert [round(electrode.distance_mm, 1) for electrode in met] == [52.6, 29.9, 30.2, 52.2]


def test_each_channel_is_used_once_and_the_sum_is_least() -> None:
    # F7 is nearest to both; taking it for AF7 first would leave FT7 only Fp1, out of reach.
    met = match_montage(("AF7", "FT7"), ("F7", "Fp1"))
    assert channels(met) == ["Fp1", "F7"]


def test_all_within_reach_goes_before_the_least_sum() -> None:
    # POO5 is 12 mm from O1, but then POz, 58 mm away, would be left for P3.
    assert channels(match_montage(("P3", "O1"), ("POO5", "POz"))) == ["POO5", "POz"]


def test_a_named_channel_is_not_taken_for_another_electrode() -> None:
    met = match_montage(("F7", "AF7"), ("F7", "Fp1"))
    assert channels(met) == ["F7", "Fp1"]


@pytest.mark.parametrize(
    ("ch_names", "unmet"),
    [
        (("Cz", "Pz", "C3", "C4"), "TP9, AF7, AF8, TP10"),
        (("1", "2", "3", "4"), "TP9, AF7, AF8, TP10"),
        (("TP9", "AF7", "AF8"), "TP10"),
        (("TP9", "AF7", "AF8", "TP7"), "TP10"),
        ((), "TP9, AF7, AF8, TP10"),
    ],
)
def test_missing_channels_are_reported_in_one_line(ch_names: tuple[str, ...], unmet: str) -> None:
    with pytest.raises(MontageError) as caught:
        match_montage(MUSE, ch_names)
    text = str(caught.value)
    assert f"of {unmet}, but found" in text
    assert ", ".join(ch_names) in text
    assert "names=" in text
    assert "\n" not in text


def test_an_electrode_without_a_position_needs_its_name() -> None:
    assert channels(match_montage(["custom"], ["CUSTOM"])) == ["CUSTOM"]
    with pytest.raises(MontageError, match="of custom, but found"):
        match_montage(["custom", "Fp1"], ["Fp1", "Fp2"])


@pytest.mark.parametrize(
    ("text", "electrodes"),
    [
        ("muse", MUSE),
        (" Ganglion", ("Fp1", "Fp2", "C3", "C4")),
        ("Fp1, Fp2,AF3,AF4", ("Fp1", "Fp2", "AF3", "AF4")),
        ("Cz", ("Cz",)),
    ],
)
def test_a_montage_by_name_or_as_a_list(text: str, electrodes: tuple[str, ...]) -> None:
    assert parse_montage(text) == electrodes


@pytest.mark.parametrize("text", ["", "Fp1,,Fp2", "Fp1,fp1", "T5,P7"])
def test_a_list_that_is_no_montage(text: str) -> None:
    with pytest.raises(MontageError, match="muse, ganglion"):
        parse_montage(text)
