from __future__ import annotations

import pytest

from mimamba.drivers.units import microvolts_per


@pytest.mark.parametrize("mu", ["u", "µ", "μ", "micro", "Micro", "U", "Âµ", "Î¼", "\x83Ê"])
@pytest.mark.parametrize("volt", ["V", "v", "Volt", "volts", "VOLTS"])
@pytest.mark.parametrize("pattern", ["{}", "[{}]", "({})", " {} "])
def test_microvolts_in_any_spelling(mu: str, volt: str, pattern: str) -> None:
    assert microvolts_per(pattern.format(mu + volt)) == 1.0


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(("V", 1e6), ("volts", 1e6), ("mV", 1e3), ("[millivolt]", 1e3), ("nV", 1e-3)),
        *(("kV", 1e9), ("0", 1e6), ("-3", 1e3), ("-6", 1.0), ("-9", 1e-3), ("-6.0", 1.0)),
    ],
)
def test_other_voltages(unit: str, factor: float) -> None:
    assert microvolts_per(unit) == factor


@pytest.mark.parametrize(
    "unit", ["", "?", "g", "kelvin", "uV/s", "uVV", "degC", "%", "volta", "6", "-", "1"]
)
def test_what_is_no_voltage(unit: str) -> None:
    assert microvolts_per(unit) is None
