from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.stamp_check import check_stamps, measure_rate

Stamps = NDArray[np.float64]
RATES = (100.0, 125.0, 128.0, 200.0, 250.0, 256.0, 500.0)


def stamps_of(n_times: int, rate: float, packet: int = 1, start: float = 5e5) -> Stamps:
    """Stamps of packets: all samples of one have the time of its end."""
    return start + np.ceil((np.arange(n_times) + 1) / packet) * packet / rate


def lossy(seconds: int, share: float, seed: int, packet: int = 12) -> Stamps:
    packets = np.arange(256 * seconds // packet * packet).reshape(-1, packet)
    kept = packets[np.random.default_rng(seed).random(len(packets)) >= share]
    return 5e5 + kept.ravel() / 256


@given(
    declared=st.sampled_from(RATES),
    true=st.sampled_from(RATES),
    seconds=st.integers(10, 60),
    packet=st.sampled_from([1, 4, 12]),
    start=st.sampled_from([0.0, 5e5, 1.7e9]),
)
def test_even_stamps_decide_about_the_rate(
    declared: float, true: float, seconds: int, packet: int, start: float
) -> None:
    made = check_stamps(stamps_of(round(seconds * true), true, packet, start), declared)
    told = f"The declared rate is {declared:g} Hz, but the stamps give {true:g} Hz"
    if true == declared:
        assert (made.sfreq, made.notices) == (declared, ())
    elif packet == 1 or seconds > 20:
        assert made.sfreq == true
        assert made.notices[0].startswith(told)


@pytest.mark.parametrize("rate", [255.0, 256.9, 256.0])
def test_a_clock_within_half_a_percent_is_normal(rate: float) -> None:
    made = check_stamps(stamps_of(7680, rate), 256.0)
    assert (made.sfreq, made.notices) == (256.0, ())


@given(st.integers(10, 120), st.sampled_from([0.01, 0.02]), st.integers(0, 99))
def test_lost_packets_are_no_other_rate(seconds: int, share: float, seed: int) -> None:
    assert check_stamps(lossy(seconds, share, seed), 256.0).sfreq == 256.0


def test_losses_that_a_counter_counts_are_no_other_rate() -> None:
    kept = np.arange(20_000)
    kept = kept[kept % 20 != 0]  # 243.2 Hz, quite even
    assert check_stamps(kept / 256, 256.0, positions=kept).notices == ()


def test_stamps_that_are_not_even_do_not_decide() -> None:
    wandering = np.cumsum((1 + 0.02 * np.sin(np.arange(7680) / 2000)) / 256)
    made = check_stamps(wandering, 256.0)
    assert made.sfreq == 256.0
    assert made.notices == (
        "The declared rate of 256 Hz is used, but the stamps give about 253.8 Hz and are not even; "
        "sfreq= decides otherwise.",
    )


def test_few_stamps_or_coarse_ones_do_not_decide() -> None:
    for stamps in (stamps_of(200, 200.0), np.floor(stamps_of(2560, 250.0)), np.full(9, np.nan)):
        assert check_stamps(stamps, 256.0).sfreq == 256.0


def test_no_declared_rate() -> None:
    made = check_stamps(stamps_of(2560, 256.0), 0.0)
    assert made.sfreq == 256.0
    assert made.notices == ("No rate is declared; the stamps give 256 Hz, which is used.",)
    uneven = np.cumsum(np.random.default_rng(0).exponential(1 / 256, 2560))
    with pytest.raises(BadRecording, match=r"not even. Give it with sfreq="):
        check_stamps(uneven, 0.0)
    with pytest.raises(BadRecording, match=r"too few .* Give it with sfreq="):
        check_stamps(stamps_of(5, 256.0), 0.0)
    assert check_stamps(uneven, 0.0, given=256.0).sfreq == 256.0


def test_a_person_s_rate_decides() -> None:
    made = check_stamps(stamps_of(7680, 250.0), 128.0, given=256.0)
    assert (made.sfreq, made.notices) == (256.0, ())
    made = check_stamps(np.arange(7680.0), 0.0, given=256.0)
    np.testing.assert_allclose(made.stamps, np.arange(7680) / 256)
    assert made.notices == (
        "The stamps give about 1 Hz; with sfreq=256 the samples are counted instead, so that "
        "losses do not show.",
    )


def test_stamps_that_count_samples() -> None:
    with pytest.raises(BadRecording, match=r"rate of 256 Hz in x.csv, but found .* about 1 Hz"):
        check_stamps(np.arange(7680.0), 256.0, what="x.csv")


@pytest.mark.parametrize(
    ("unit", "per_second"), [("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)]
)
@pytest.mark.parametrize("start", [0.0, 1.7e9])
def test_other_units(unit: str, per_second: float, start: float) -> None:
    wanted = stamps_of(2560, 256.0, start=start)
    made = check_stamps(wanted * per_second, 256.0)
    np.testing.assert_allclose(made.stamps, wanted, atol=1e-3)
    assert (made.sfreq, made.notices) == (256.0, (f"The stamps are read as {unit}.",))


@given(
    at=st.integers(20, 7660),
    size=st.one_of(st.floats(-1e6, -1.5), st.floats(2000.0, 1e6)),
    packet=st.sampled_from([1, 12]),
)
def test_a_step_of_the_clock_is_removed_and_reported(at: int, size: float, packet: int) -> None:
    wanted = stamps_of(7680, 256.0, packet)
    stamps = wanted.copy()
    stamps[at:] += size
    made = check_stamps(stamps, 256.0)
    np.testing.assert_allclose(made.stamps, wanted, atol=0.05)
    np.testing.assert_allclose(made.stamps + made.shifts, stamps, atol=1e-6)
    assert made.sfreq == 256.0
    assert made.notices[0].startswith("The clock of the stamps jumps (")
    assert f"at sample {at})" in made.notices[0]


def test_several_steps() -> None:
    stamps = stamps_of(7680, 256.0)
    for at in range(1000, 7000, 1000):
        stamps[at:] += 3600.0 if at % 2000 else -3600.0
    made = check_stamps(stamps, 256.0)
    np.testing.assert_allclose(made.stamps, stamps_of(7680, 256.0), atol=1e-6)
    assert "and 3 more" in made.notices[0]


def test_a_pause_of_a_quarter_of_an_hour_is_a_gap_and_reported() -> None:
    stamps = stamps_of(7680, 256.0)
    stamps[4000:] += 900.0
    made = check_stamps(stamps, 256.0)
    np.testing.assert_array_equal(made.stamps, stamps)
    assert made.notices == (
        "The stamps pause (+900.004 s at sample 4000); the time between counts as lost samples.",
    )


def test_single_wrong_stamps_are_no_step() -> None:
    stamps = stamps_of(7680, 256.0)
    wrong = [0, 1000, 1001, 5000]
    stamps[wrong] = [0.0, 9e9, 9e9, -4.0]
    made = check_stamps(stamps, 256.0)
    assert np.flatnonzero(np.isnan(made.stamps)).tolist() == wrong
    assert made.notices == ()


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300),
    st.sampled_from([0.0, 256.0]),
)
def test_any_numbers(values: list[float], declared: float) -> None:
    try:
        made = check_stamps(np.array(values, np.float64), declared)
    except BadRecording:
        return
    assert len(made.stamps) == len(values)
    assert 10 <= made.sfreq <= 1e5


def test_too_few_to_measure() -> None:
    assert measure_rate(np.array([]), 256.0) is None
    assert measure_rate(stamps_of(300, 256.0), 256.0) is None
