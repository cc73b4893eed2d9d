"""Channels of a stream: which are EEG, and how many microvolts a value is."""

from __future__ import annotations

import pytest

from mimamba.drivers.lsl.description import ChannelDescription, read_description


def describe(*channels: tuple[str, str, str]) -> ChannelDescription:
    """A description of channels with label, type and unit."""
    inner = "".join(
        f"<channel><label>{label}</label><type>{kind}</type><unit>{unit}</unit></channel>"
        for label, kind, unit in channels
    )
    return read_description(
        f"<info><desc><channels>{inner}</channels></desc></info>", len(channels)
    )


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("0", 1e6), ("-3", 1e3), ("-6", 1.0), ("-9", 1e-3), ("V", 1e6), ("uV", 1.0)],
)
def test_powers_of_ten_of_volts_are_units(unit: str, factor: float) -> None:
    described = describe(("TP9", "EEG", unit), ("AF7", "EEG", unit))
    assert described.factors == pytest.approx((factor, factor))
    assert described.notices == ()
    assert described.eeg.rows == (0, 1)


def test_types_and_units_say_what_is_eeg() -> None:
    described = describe(
        ("Trig1", "Trigger", "label"),
        ("TP9", "EEG", "microvolts"),
        ("AF7", "EEG", "microvolts"),
        ("AccX", "ACC", "g"),
    )
    assert described.eeg_labels == ("TP9", "AF7")
    (notice,) = described.notices_about((1, 2), chosen=False)
    assert "Trig1" in notice
    assert "AccX" in notice
    (chosen,) = described.notices_about((0,), chosen=True)
    assert "'label' is not a voltage" in chosen


def test_names_of_electrodes_say_it_without_types() -> None:
    described = describe(("Trig1", "", ""), ("C3", "", ""), ("Oz", "", ""), ("EXG1", "", ""))
    assert described.eeg_labels == ("C3", "Oz")


def test_without_types_and_names_all_are_taken() -> None:
    assert read_description("<info><desc/></info>", 3).eeg_labels == ("1", "2", "3")
