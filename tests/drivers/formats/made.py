"""Recordings made up by hypothesis, and how to read EDF+ and BDF+ without our own reader."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
from hypothesis import strategies as st

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.formats.gap_filling import find_gaps, parse_gap
from mimamba.drivers.formats.recording import Recording

RATES = (128.0, 200.0, 220.5, 250.0, 256.0, 500.0, 1000.0)
"""Also such as EDF needs records of another length for."""
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
"""What every format can say: any letters of the world, but no control characters."""


@st.composite
def recordings(
    draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS, most_channels: int = 8
) -> Recording:
    """Recordings with gaps, markers also in gaps, and values of any size that EDF can hold."""
    sfreq = draw(st.sampled_from(RATES))
    steps = draw(st.lists(st.integers(1, 300), max_size=5))
    n_times = draw(st.integers(20 if steps else 1, 400))  # fewer than 1 % are refused
    index = np.arange(n_times, dtype=np.int64)
    for step in steps:
        index[draw(st.integers(1, n_times)) :] += step
    n_channels = draw(st.integers(1, most_channels))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** random.uniform(-3, 6, n_channels) * random.choice([0, 1, 1, 1], n_channels)
    offset = random.choice([0.0, 0.1, -800.0, 187500.0, -9_999_999.0], n_channels)
    data = np.clip(random.normal(offset, scale, (n_times, n_channels)), -9_999_999, 9_999_999)
    start = draw(st.sampled_from([0.0, 1000.25, 1.7e9]))
    timestamps = start + (index + random.uniform(0, 0.4, n_times)) / sfreq
    marks = draw(
        st.lists(st.tuples(st.integers(0, int(index[-1])), texts, texts), max_size=5).map(sorted)
    )
    markers = tuple(
        Marker(float(np.interp(at, index, timestamps)), at, label, source)
        for at, label, source in marks
    )
    info = StreamInfo(
        name="made.csv",
        source_id="/made.csv",
        sfreq=sfreq,
        ch_names=tuple(f"E{n}" for n in range(n_channels)),
        uv_per_bit=draw(st.sampled_from([None, 0.48828])),
        range_uv=draw(st.sampled_from([None, 1000.0])),
        live=False,
        simulated=draw(st.booleans()),
    )
    return Recording(info, data.astype(np.float32), timestamps, index, markers)


def recording(
    n_times: int = 600,
    lost: tuple[tuple[int, int], ...] = (),
    labels: tuple[tuple[int, str], ...] = (),
    start: float = 1000.0,
    **facts: object,
) -> Recording:
    """A recording of four channels at 256 Hz; ``lost`` has (first index, count)."""
    index = np.arange(n_times, dtype=np.int64)
    for first, count in lost:
        index[index >= first] += count
    data = 50 * np.random.default_rng(1).normal(size=(n_times, 4)).astype(np.float32)
    info = StreamInfo("some.csv", "/some.csv", 256.0, ("TP9", "AF7", "AF8", "TP10"), live=False)
    info = StreamInfo(**{**vars(info), **facts})
    markers = tuple(Marker(start + at / 256, at, label, "keys") for at, label in labels)
    return Recording(info, data, start + index / 256, index, markers)


def read_edf(path: Path) -> Recording:
    """Read with edfio; annotations of gaps become gaps again."""
    read = edfio.read_bdf if path.suffix == ".bdf" else edfio.read_edf
    file = read(path)
    sfreq = file.signals[0].sampling_frequency
    data = np.stack([signal.data for signal in file.signals], axis=1)
    present = np.ones(len(data), bool)
    markers = []
    for note in file.annotations:
        at = round(note.onset * sfreq)
        gap = parse_gap(note.text, at)
        if gap is None:
            markers.append(Marker(at / sfreq, at, note.text, "annotations"))
        else:
            assert note.duration is not None
            assert round(note.duration * sfreq) == gap.count
            present[gap.first : gap.first + gap.count] = False
    index = np.flatnonzero(present)
    info = StreamInfo(path.name, str(path), sfreq, file.labels[: data.shape[1]], live=False)
    return Recording(info, data[present].astype(np.float32), index / sfreq, index, tuple(markers))


def places(made: Recording) -> list[tuple[int, str]]:
    """Each marker's sample and text."""
    return sorted((marker.index, marker.label) for marker in made.markers)


def assert_same(found: Recording, wanted: Recording, lsb: float | None = None) -> None:
    """All that every format tells is the same; values within half of ``lsb``, else exactly."""
    assert found.info.sfreq == wanted.info.sfreq
    assert found.info.ch_names == wanted.info.ch_names
    assert find_gaps(found.index) == find_gaps(wanted.index)
    np.testing.assert_array_equal(found.index, wanted.index)
    assert places(found) == places(wanted)
    if lsb is None:
        np.testing.assert_array_equal(found.data, wanted.data)
    else:
        # float32 itself is off by up to 2**-24 of a value.
        slack = 0.5001 * lsb + 2.0**-23 * np.abs(wanted.data)
        assert (np.abs(found.data - wanted.data.astype(np.float64)) <= slack).all()
