"""Samples with their indices, and the rules of hops once more, with the whole track in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import sosfilt, upfirdn

from mimamba.drivers.driver import Chunk, Samples, Seconds, StreamInfo
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.models.signal.preprocessing import Preprocessor, SignalConfig

CONFIG = SignalConfig()
NAMES = ("TP9", "AF7")
ROWS = (2, 0)
"""The channels picked of three; the one between is nobody's."""


def source(sfreq: float = 256.0) -> StreamInfo:
    return StreamInfo("test", "test", sfreq, ("a", "b", "c"), uv_per_bit=0.5, range_uv=1000.0)


def cutter(sfreq: float = 256.0, config: SignalConfig = CONFIG) -> HopCutter:
    return HopCutter(config, source(sfreq), ROWS, NAMES)


@dataclass
class Track:
    """Samples with their indices, from which chunks can be cut anywhere."""

    data: Samples
    index: NDArray[np.int64]
    epoch: NDArray[np.int64]
    sfreq: float

    @classmethod
    def noise(cls, n_times: int, sfreq: float = 256.0, seed: int = 0) -> Track:
        data = np.random.default_rng(seed).standard_normal((n_times, 3)) * 20 - 30
        every = np.arange(n_times)
        return cls(data.astype(np.float32), every, np.zeros_like(every), sfreq)

    @property
    def stamps(self) -> Seconds:
        return np.asarray(100.0 + self.epoch * 1000.0 + self.index / self.sfreq)

    def part(self, rows: NDArray[np.int64] | slice) -> Track:
        """These samples, with the indices that they have."""
        return Track(self.data[rows], self.index[rows], self.epoch[rows], self.sfreq)

    def without(self, lost: Sequence[int]) -> Track:
        return self.part(np.flatnonzero(~np.isin(self.index, lost)))

    def chunks(self, borders: Sequence[int] = ()) -> list[Chunk]:
        """Cut at these borders, and where the indices or the epoch jump."""
        stamps = self.stamps
        jumps = (np.diff(self.index) != 1) | (np.diff(self.epoch) != 0)
        cuts = sorted({0, len(self.data), *borders, *(np.flatnonzero(jumps) + 1).tolist()})
        return [
            Chunk(self.data[a:b], stamps[a:b], int(self.index[a]), epoch=int(self.epoch[a]))
            for a, b in pairwise(cuts)
        ]

    def hops(self, config: SignalConfig = CONFIG, borders: Sequence[int] = ()) -> list[Hop]:
        cut = cutter(self.sfreq, config)
        return [hop for chunk in self.chunks(borders) for hop in cut.feed(chunk)]


def facts(hop: Hop) -> tuple[object, ...]:
    """All of a hop, comparable bit for bit."""
    window = None if hop.window is None else hop.window.tobytes()
    return (hop.index, hop.timestamp, hop.status, hop.reason, window, hop.restart, hop.epoch)


def same(one: Sequence[Hop], other: Sequence[Hop]) -> bool:
    return [facts(hop) for hop in one] == [facts(hop) for hop in other]


def plain_hops(track: Track, config: SignalConfig) -> list[Hop]:
    """The rules once more, with the whole track in hand; only lost samples make a signal poor."""
    whole = track
    usable = np.asarray(np.isfinite(track.data[:, list(ROWS)]).all(axis=1))
    track = track.part(np.flatnonzero(usable))
    longest = int(np.floor(0.1 * track.sfreq + 1e-6))
    apart = (np.diff(track.index) > longest + 1) | (np.diff(track.epoch) != 0)
    runs = np.split(np.arange(len(track.index)), np.flatnonzero(apart) + 1)
    hops = [hop for run in runs if len(run) for hop in _plain_stretch(track.part(run), config)]
    length = max(int(np.ceil(config.hop * track.sfreq / config.sfreq)), longest + 2)
    return sorted([*hops, *_plain_blanks(whole, usable, length)], key=lambda h: (h.epoch, h.index))


def _plain_blanks(track: Track, usable: NDArray[np.bool_], length: int) -> list[Hop]:
    """One hop for each hop length of samples that cannot be used, sample by sample."""
    hops: list[Hop] = []
    first, made, bad = None, 0, set[int]()
    for n in range(len(usable)):
        if usable[n] or (n and track.epoch[n] != track.epoch[n - 1]):
            first, made, bad = None, 0, set()
        if usable[n]:
            continue
        index = int(track.index[n])
        first = index if first is None else first
        bad |= {k for k, row in enumerate(ROWS) if not np.isfinite(track.data[n, row])}
        if (index - first + 1) // length > made:
            made = (index - first + 1) // length
            reason = "; ".join(f"{NAMES[k]}: no numbers" for k in sorted(bad))
            stamp, epoch = float(track.stamps[n]), int(track.epoch[n])
            hops.append(Hop(index, stamp, "poor_signal", reason, None, False, epoch))
            bad = set()
    return hops


def _plain_stretch(track: Track, config: SignalConfig) -> list[Hop]:
    index, picked = track.index, track.data[:, list(ROWS)].astype(np.float64)
    path = Preprocessor(config, track.sfreq)
    every = np.arange(index[0], index[-1] + 1)
    x = np.stack([np.interp(every, index, channel) for channel in picked.T], axis=1)
    model = sosfilt(path.sos, upfirdn(path.fir, x - x[0], path.up, path.down, axis=0), axis=0)
    hops: list[Hop] = []
    stepped = False
    for n in range(1, len(model) // config.hop + 1):
        due = index[0] + (n * config.hop - 1) * path.down // path.up
        if due > index[-1]:
            break
        begin = index[0] + max(((n - 1) * config.hop - 1) * path.down // path.up + 1, 0)
        lost = int(due - begin + 1 - np.isin(np.arange(begin, due + 1), index).sum())
        newest = np.flatnonzero(index >= due)[0]
        warm = n * config.hop >= config.window + config.settle
        ok = warm and 2 * lost <= due - begin + 1
        window = model[n * config.hop - config.window : n * config.hop].T if ok else None
        hops.append(
            Hop(
                int(index[newest]),
                float(track.stamps[newest]),
                "ok" if ok else "poor_signal" if warm else "warming_up",
                None,
                None if window is None else window.astype(np.float32),
                ok and not stepped,
                int(track.epoch[0]),
            )
        )
        stepped = stepped or ok
    return hops


def agree(made: Sequence[Hop], plain: Sequence[Hop]) -> None:
    assert len(made) == len(plain)
    for hop, expected in zip(made, plain, strict=True):
        assert (hop.index, hop.timestamp, hop.status, hop.restart, hop.epoch) == (
            expected.index,
            expected.timestamp,
            expected.status,
            expected.restart,
            expected.epoch,
        )
        assert (hop.reason is None) == (hop.status == "ok")
        assert expected.reason in (None, hop.reason)
        if expected.window is None:
            assert hop.window is None
        else:
            assert hop.window is not None
            np.testing.assert_allclose(hop.window, expected.window, rtol=1e-5, atol=1e-5)


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Noise with gaps, rows that are not numbers, and new epochs."""
    sfreq = draw(st.sampled_from([256.0, 250.0, 200.0, 128.0, 100.0, 500.0, 125.0]))
    lengths = st.one_of(st.integers(int(2 * sfreq), int(8 * sfreq)), st.integers(1, 100))
    track = Track.noise(draw(lengths), sfreq, draw(st.integers(0, 99)))
    n = len(track.data)
    track.index = track.index + draw(st.integers(0, 10**9))
    for at, lost in draw(st.lists(st.tuples(st.integers(0, n), st.integers(1, 200)), max_size=6)):
        track.index[at:] += lost
    for at, lost in draw(st.lists(st.tuples(st.integers(0, n), st.integers(1, 300)), max_size=4)):
        track.data[at : at + lost, draw(st.integers(0, 2))] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    for at in sorted(draw(st.lists(st.integers(0, n - 1), max_size=2))):
        track.epoch[at:] += 1
        track.index[at:] -= track.index[at]
    return track
