"""CPU time of a personal head: each hop live, and the test of a whole calibration."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from mimamba.drivers.driver import StreamInfo
from mimamba.models.personal.features import SIGNAL, FeatureStream
from mimamba.models.personal.head import LinearHead, PersonalHead
from mimamba.models.personal.statistics import RELABELLINGS, LabelledBlocks, score_blocks
from mimamba.models.personal.verdict import judge
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.models.signal.hops import Hop
from mimamba.models.signal.montage import MONTAGES
from mimamba.service.bench.figures import Figure, at_most

HEAD_AIM, TEST_AIM = 20.0, 3.0
"""µs a hop, and s for all relabellings of one test."""
HOPS = 1000
"""Hops in one round."""


def measure(seconds: float) -> list[Figure]:
    """Measure the head, its features, one test, and a verdict, each the fastest of some rounds."""
    rng = np.random.default_rng(0)
    head = PersonalHead(LinearHead(rng.standard_normal(24), 0.1, 1.0, 0.2), ("a", "b"))
    values = rng.standard_normal(24)
    montage = MONTAGES["muse"]
    info = StreamInfo("noise", "noise", 256.0, montage, live=False)
    features = FeatureStream(info, montage, Baseline(np.zeros((4, len(BAND_CENTRES))), 60.0))
    window = rng.standard_normal((4, SIGNAL.window)).astype(np.float32)
    cut = Hop(0, 0.0, "ok", None, window, False, 0)
    share = seconds / 5
    step = 1e6 * _fastest(lambda: [head.step(values) for _ in range(HOPS)], share) / HOPS
    hop = 1e6 * _fastest(lambda: [_step(features, head, cut) for _ in range(HOPS)], share) / HOPS
    kinds = np.array([0, 1] * 8)
    hops = tuple(rng.standard_normal((27, 24)) for _ in kinds)
    blocks = LabelledBlocks(hops, kinds, np.zeros(16, np.int64))
    test = _fastest(lambda: score_blocks(blocks), share)
    verdict = _fastest(lambda: judge(blocks, 4, ("a", "b")), share)
    aim = f"<= {TEST_AIM:g}"
    return [
        at_most("a hop through the head", step, "µs", HEAD_AIM),
        Figure("the same, with the features of a hop of the model", hop, "µs"),
        Figure(f"{RELABELLINGS} relabellings of 8 + 8 blocks", test, "s", aim, test <= TEST_AIM),
        Figure("a verdict on 8 + 8 blocks", verdict, "s"),
    ]


def _step(features: FeatureStream, head: PersonalHead, cut: Hop) -> object:
    """Do what a head adds to a hop that the session's model has cut."""
    measured = features.measure(cut)
    return head.step(measured.values, measured.restart)


def _fastest(work: Callable[[], object], seconds: float) -> float:
    """Least CPU time of ``work``, s, in this many seconds."""
    end = time.monotonic() + seconds
    least = np.inf
    while True:
        start = time.thread_time()
        work()
        least = min(least, time.thread_time() - start)
        if time.monotonic() >= end:
            return float(least)
