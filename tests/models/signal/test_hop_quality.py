"""Poor and good signal, synthetic and from real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.hop_quality import QualityLimits, describe_faults, name_faults
from tests.models.edf import edf

MUSE = StreamInfo("Muse", "test", 256.0, ("TP9", "AF7"), uv_per_bit=0.48828, range_uv=1000.0)
CYTON = StreamInfo("Cyton", "test", 250.0, ("Fp1", "Fp2"), uv_per_bit=0.02235, range_uv=187_500.0)
UNKNOWN = StreamInfo("file", "test", 256.0, ("1", "2"))
HOP = 64


def eeg(seed: int = 0, rms: float = 10.0) -> NDArray[np.float64]:
    """One hop of pink-like noise on one channel."""
    noise = np.random.default_rng(seed).standard_normal(HOP * 4)
    slow = sosfilt(butter(1, 8, output="sos", fs=256), noise)[-HOP:]
    return np.asarray(rms * slow / slow.std())


def fault(x: NDArray[np.float64], info: StreamInfo) -> str | None:
    """The fault of x, next to a good channel without any."""
    good = eeg(99)
    (faults,) = name_faults([np.stack([x, good], axis=1)], [QualityLimits.of(info)])
    assert faults[1] is None
    return faults[0]


def hum(amplitude: float) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * 60 * np.arange(HOP) / 256)


def packet_lost(x: NDArray[np.float64], packets: int) -> NDArray[np.float64]:
    """As some programs write it: 12 zeros for each."""
    x = x - 30
    x[: 12 * packets] = 0
    return x


blink = 350 * np.hanning(HOP)
muscle = np.random.default_rng(3).standard_normal(HOP) * 150


@pytest.mark.parametrize("info", [MUSE, CYTON, UNKNOWN])
@pytest.mark.parametrize(
    "x",
    [
        eeg(1, rms=3),
        eeg(2),
        eeg(3) + blink,
        eeg(4) + muscle,
        eeg(5) + hum(400),
        packet_lost(eeg(6), 1),
    ],
    ids=["quiet", "eeg", "blink", "muscle", "mains", "packet"],
)
def test_what_is_not_poor(x: NDArray[np.float64], info: StreamInfo) -> None:
    assert fault(x, info) is None


def test_a_constant_offset_is_not_poor() -> None:
    assert fault(eeg() + 63_000, CYTON) is None


@pytest.mark.parametrize("info", [MUSE, CYTON, UNKNOWN])
def test_a_constant_is_flat(info: StreamInfo) -> None:
    assert fault(np.full(HOP, -31.25), info) == "flat"


def test_one_toggling_bit_is_flat_where_the_bit_is_known() -> None:
    toggling = np.where(np.arange(HOP) % 2, 0.48828, 0.0).astype(np.float32).astype(np.float64)
    assert fault(toggling, MUSE) == "flat"
    assert fault(toggling, UNKNOWN) is None


def test_samples_at_the_range_are_railed() -> None:
    clipped = np.clip(hum(1400), -1000, 999.5)
    assert fault(clipped, MUSE) == "railed"
    assert fault(clipped, CYTON) == f"{clipped.std():.0f} µV RMS"
    assert fault(np.full(HOP, -187_500.0), CYTON) == "railed"


def test_a_few_samples_at_the_range_are_not_railed() -> None:
    x = eeg()
    x[:3] = 1000
    assert fault(x, MUSE) is None
    x[:4] = 1000
    assert fault(x, MUSE) == "railed"


def test_a_channel_that_holds_its_value_is_stuck() -> None:
    x = eeg()
    x[10:50] = x[10]
    assert fault(x, MUSE) == "stuck"
    assert fault(packet_lost(eeg(), 3), MUSE) == "stuck"


def test_faults_are_reported_by_channel() -> None:
    assert describe_faults(["TP9", "AF7", "AF8"], ["flat", None, "railed"]) == (
        "TP9: flat; AF8: railed"
    )
    assert describe_faults(["TP9"], [None]) is None


def share_poor(x: NDArray[np.float64], info: StreamInfo) -> float:
    """Share of hops with a fault on any channel."""
    hops = x[: len(x) // HOP * HOP].reshape(-1, HOP, x.shape[1])
    poor = [any(faults) for faults in name_faults([*hops], [QualityLimits.of(info)] * len(hops))]
    return sum(poor) / len(poor)


@pytest.mark.parametrize(
    ("name", "info", "low", "high"),
    [
        ("study/sub-04/ses-01/eeg/sub-04_ses-01_task-confused", MUSE, 1.0, 1.0),
        ("study/sub-04/ses-01/eeg/sub-04_ses-01_task-confused", UNKNOWN, 0.99, 1.0),
        ("study/sub-04/ses-02/eeg/sub-04_ses-02_task-control", MUSE, 0.0, 0.0),
        ("study/sub-04/ses-04/eeg/sub-04_ses-04_task-control", MUSE, 0.005, 0.02),
        ("study/sub-02/ses-01/eeg/sub-02_ses-01_task-control", MUSE, 0.001, 0.01),
        ("visual/sub-01/ses-01/eeg/sub-01_ses-01_task-ssvep_run-1", MUSE, 0.0, 0.0),
        ("arith/sub-04/eeg/sub-04_task-rest", UNKNOWN, 0.0, 0.0),
    ],
)
def test_real_recordings(
    shared_data: Path, name: str, info: StreamInfo, low: float, high: float
) -> None:
    assert low <= share_poor(edf(shared_data / "bids" / f"{name}_eeg.edf"), info) <= high


def test_a_real_cyton_with_offsets_mains_and_jaw_clenches_is_good(shared_data: Path) -> None:
    folder = shared_data / "formats" / "openbci_gui"
    text = (folder / "OpenBCI_GUI-v6-blinks-jawClench-alpha.txt").read_text(encoding="utf-8")
    rows = [line.split(",")[1:9] for line in text.splitlines() if line[0].isdigit()]
    samples = np.array(rows, dtype=np.float64)
    assert np.abs(samples.mean(axis=0)).max() > 50_000
    assert share_poor(samples, CYTON) == 0
