"""Each channel's quality: made up, simulated with known faults, and on real recordings."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.simulator.scenario import SCENARIOS, FaultSchedule
from mimamba.drivers.simulator.synthesis import CH_NAMES, RANGE_UV, UV_PER_BIT, Synthesizer
from mimamba.models.signal.channel_quality import REASON_BELOW, QualityMeter
from mimamba.models.signal.measures import ChannelQuality, Quality
from mimamba.models.signal.sliding_window import SlidingWindow
from tests.models.edf import edf

MUSE = StreamInfo("Muse", "test", 256.0, CH_NAMES, UV_PER_BIT, RANGE_UV)
UNKNOWN = replace(MUSE, uv_per_bit=None, range_uv=None)
ONE = replace(MUSE, ch_names=("TP9",))
CYTON = StreamInfo("Cyton", "test", 250.0, tuple("12345678"), 0.02235, 187_500.0)

Values = NDArray[np.floating]


def cut(values: Values, cuts: list[int], sfreq: float = 256.0) -> Iterator[Chunk]:
    """The samples as chunks that end at these places."""
    edges = sorted({0, len(values), *cuts})
    for start, stop in pairwise(edges):
        times = np.arange(start, stop) / sfreq
        yield Chunk(values[start:stop].astype(np.float32), times, start)


def measure(values: Values, info: StreamInfo) -> list[Quality]:
    """Every update over a whole signal, (n_times, n_channels) µV."""
    return follow(list(cut(values, [], info.sfreq)), info)


def follow(chunks: list[Chunk], info: StreamInfo = MUSE) -> list[Quality]:
    """Every update over a source's chunks."""
    quarters, meter = SlidingWindow(info), QualityMeter(info)
    told = [meter.measure(newest) for chunk in chunks for newest in quarters.feed(chunk)]
    return [each for each in told if each]


def newest(values: Values, info: StreamInfo = MUSE) -> ChannelQuality:
    """The last word on one channel, (n_times,) µV."""
    return measure(values[:, np.newaxis], replace(info, ch_names=("x",)))[-1].channels["x"]


SECONDS = 4
TIMES = np.arange(256 * SECONDS) / 256
CALM = Synthesizer("calm", seed=1, mains=0).next(len(TIMES))[:, 1].astype(np.float64)
NOISE = np.random.default_rng(7).standard_normal((2, len(TIMES)))


def sine(amplitude: float, frequency: float) -> Values:
    return amplitude * np.sin(2 * np.pi * frequency * TIMES)


def held_from(seconds: float, value: float) -> Values:
    """Calm EEG that ends in a constant of so many seconds."""
    return np.where(seconds >= SECONDS - TIMES, value, CALM)


def test_the_garbage_collector_need_not_look_at_what_is_kept() -> None:
    """With many sessions it would stop all threads for seconds."""
    quality = measure(np.column_stack([CALM] * len(MUSE.ch_names)), MUSE)[-1]
    kept = (quality, quality.channels, *quality.channels.values())
    assert not any(map(gc.is_tracked, kept))


def test_calm_eeg_has_nothing_to_tell() -> None:
    assert newest(CALM) == ChannelQuality(1.0, None)


@pytest.mark.parametrize("info", [MUSE, replace(UNKNOWN, name="unknown"), CYTON])
def test_an_offset_changes_nothing(info: StreamInfo) -> None:
    offset = 300.0 if info.range_uv == RANGE_UV else 63_000.0
    assert newest(CALM + offset, info) == ChannelQuality(1.0, None)


def test_a_blink_is_no_fault() -> None:
    blink = np.zeros(len(TIMES))
    blink[600:680] = 300 * np.hanning(80)
    for info in (MUSE, UNKNOWN):
        assert newest(CALM + blink, info).reason is None


@pytest.mark.parametrize(
    ("values", "reason", "least", "most"),
    [
        (np.zeros(len(TIMES)), "flat", 0, 0),
        (held_from(0.3, 12.5), "flat", 0.5, 0.5),
        (held_from(0.6, 12.5), "flat", 0, 0),
        (held_from(1.0, RANGE_UV), "railed", 0, 0),
        (np.clip(CALM + sine(1400, 60), -1000, 999.5), "railed", 0, 0),
        (CALM + sine(60, 50), "mains hum", 0.45, 0.55),
        (CALM + sine(60, 60), "mains hum", 0.45, 0.55),
        (CALM + sine(60, 59.7), "mains hum", 0.45, 0.55),
        (CALM + sine(560, 50), "mains hum", 0.2, 0.2),
        (CALM + 50 * NOISE[0], "muscle", 0.3, 0.6),
        (CALM + 250 * NOISE[1], "no contact", 0, 0.25),
        (CALM + sine(500, 1.7), "no contact", 0, 0.1),
        (CALM + 250 * TIMES, "drift", 0.3, 0.6),
        (CALM + sine(200, 0.3), "drift", 0.3, 0.65),
    ],
    ids=str,
)
def test_each_reason(values: Values, reason: str, least: float, most: float) -> None:
    told = newest(values)
    assert told.reason == reason
    assert least <= told.score <= most


def test_a_rail_is_seen_where_the_range_is_unknown() -> None:
    clipped = np.clip(CALM + sine(1400, 60), -1000, 999.5)
    assert newest(clipped, UNKNOWN) == ChannelQuality(0.0, "railed")


def test_mains_above_what_a_source_can_show_is_none() -> None:
    slow = replace(MUSE, sfreq=100.0)
    assert newest(CALM[::2], slow).reason is None


def test_a_very_slow_source_is_judged_all_the_same() -> None:
    values = np.random.default_rng(1).standard_normal((100, 1))
    told = measure(values, replace(ONE, sfreq=4.0))
    assert [each.index for each in told] == list(range(63, 100, 8))


def test_a_reason_is_reported_below_a_score_only() -> None:
    for amplitude in np.geomspace(10, 400, 30):
        told = newest(CALM + sine(float(amplitude), 50))
        assert (told.reason is None) == (told.score >= REASON_BELOW)


def test_updates_come_four_times_a_second_of_signal() -> None:
    told = measure(np.zeros((1024, 4)), MUSE)
    assert [each.index for each in told] == list(range(511, 1024, 64))
    assert [each.timestamp for each in told] == [each.index / 256 for each in told]
    assert list(told[0].channels) == list(CH_NAMES)


def test_a_fault_is_reported_within_half_a_second_and_gone_after_two() -> None:
    values = Synthesizer("calm", seed=2).next(256 * 10).copy()
    values[1280:1536, 2] = 0.0
    told = {q.index: q.channels["AF8"].reason for q in measure(values, MUSE)}
    assert [told[1279 + 64 * k] for k in range(14)] == [None] + 11 * ["flat"] + 2 * [None]


def test_two_seconds_with_a_long_gap_have_no_quality() -> None:
    values = Synthesizer("calm", seed=3, mains=0).next(2560).astype(np.float32)
    for lost, expected in ((25, list(range(511, 2560, 64))), (26, None)):
        told = follow([c for c in cut(values, [1000, 1000 + lost]) if c.first != 1000])
        again = [*range(511, 1024, 64), *range(1024 + 511, 2560, 64)]
        assert [each.index for each in told] == (expected or again)
        assert all(c.reason is None for each in told for c in each.channels.values())


def test_a_new_epoch_starts_empty() -> None:
    faulty = Synthesizer("poor", seed=4).next(640).astype(np.float32)
    chunks = list(cut(faulty, [100, 300]))
    told = follow([replace(chunk, epoch=epoch) for epoch in range(3) for chunk in chunks])
    assert [each.index for each in told] == 3 * [511, 575, 639]
    assert told[:3] == told[3:6] == told[6:]


def test_a_channel_without_values_is_flat_and_silences_no_other() -> None:
    values = Synthesizer("calm", seed=1).next(1024).copy()
    values[:, 3] = np.nan
    values[100:110, 0] = np.inf
    told = measure(values, MUSE)[-1].channels
    assert [each.reason for each in told.values()] == [None, None, None, "flat"]


def shares(told: list[Quality], channel: str) -> Counter[str | None]:
    """Percentage of windows with each reason, for one channel."""
    counted = Counter(each.channels[channel].reason for each in told)
    return Counter({reason: round(100 * n / len(told)) for reason, n in counted.items()})


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_the_simulators_faults_are_found_and_no_others(seed: int, mains: float) -> None:
    """A window full of a fault names it; one without any rarely has a reason."""
    n_times = 256 * 120
    words = {"flat": "flat", "railed": "railed", "noise": "no contact"}
    faults = FaultSchedule(SCENARIOS["poor"], seed, 256.0, CH_NAMES).within(0, n_times)
    kinds = np.full((n_times, 4), "good", dtype="U6")
    for fault in faults:
        kinds[fault.start : fault.stop, fault.rows] = fault.kind
    false, good, found = 0, 0, set[str]()
    for told in measure(Synthesizer("poor", seed, mains=mains).next(n_times), MUSE):
        window = kinds[told.index - 511 : told.index + 1]
        for k, channel in enumerate(told.channels.values()):
            there = set(window[:, k])
            if there == {"good"}:
                good, false = good + 1, false + (channel.reason is not None)
            elif len(there) == 1:
                assert channel.reason == words[there.pop()]
                assert channel.score < 0.3
                found.add(channel.reason)
    assert found == set(words.values())
    assert false < 0.03 * good  # muscle bursts, which are none of its faults


def test_the_simulators_muscle_and_pops_are_reported() -> None:
    told = measure(Synthesizer("artefacts", 0).next(256 * 120), MUSE)
    counted = sum((Counter(c.reason for c in q.channels.values()) for q in told), Counter())
    assert set(counted) <= {None, "muscle", "drift", "no contact"}
    assert counted["muscle"] > 50
    assert counted["drift"] + counted["no contact"] > 10
    assert counted[None] > 0.8 * counted.total()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "study/sub-04/ses-01/eeg/sub-04_ses-01_task-confused",
            {"TP9": "mains hum", "AF8": "railed", "TP10": "mains hum"},
        ),
        (
            "study/sub-04/ses-02/eeg/sub-04_ses-02_task-confused",
            {"TP9": "mains hum", "AF8": "railed", "TP10": "mains hum", "AF7": None},
        ),
        (
            "study/sub-04/ses-01/eeg/sub-04_ses-01_task-control",
            dict.fromkeys(CH_NAMES, "mains hum"),
        ),
        (
            "visual/sub-01/ses-01/eeg/sub-01_ses-01_task-p300_run-1",
            {"TP9": "mains hum", "AF7": None, "AF8": None, "TP10": None},
        ),
        (
            "visual/sub-01/ses-01/eeg/sub-01_ses-01_task-ssvep_run-1",
            dict.fromkeys(CH_NAMES),
        ),
        ("study/sub-01/ses-01/eeg/sub-01_ses-01_task-control", dict.fromkeys(CH_NAMES[:3])),
        ("arith/sub-04/eeg/sub-04_task-rest", dict.fromkeys(CH_NAMES)),
    ],
    ids=lambda value: value.rsplit("/")[-1] if isinstance(value, str) else "",
)
def test_real_recordings(shared_data: Path, name: str, expected: dict[str, str | None]) -> None:
    values = edf(shared_data / "bids" / f"{name}_eeg.edf")
    for info in (UNKNOWN,) if name.startswith("arith") else (MUSE, UNKNOWN):
        told = measure(values, info)
        for channel, reason in expected.items():
            assert shares(told, channel)[reason] >= 98


def test_a_real_cyton_with_mains_and_offsets(shared_data: Path) -> None:
    folder = shared_data / "formats" / "openbci_gui"
    text = (folder / "OpenBCI_GUI-v6-blinks-jawClench-alpha.txt").read_text(encoding="utf-8")
    rows = [line.split(",")[1:9] for line in text.splitlines() if line[0].isdigit()]
    told = measure(np.array(rows, np.float64), CYTON)
    for channel in CYTON.ch_names:
        assert set(shares(told, channel)) <= {"mains hum", "muscle"}
        assert shares(told, channel)["mains hum"] >= 90
