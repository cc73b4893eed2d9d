"""The comparison with MNE-LSL: our half of it, and the message without MNE-LSL."""

from __future__ import annotations

import sys

import pytest

from mimamba.service.bench.figures import NotRun

pytest.importorskip("pylsl", exc_type=ImportError)

from tests.benchmarks import mne_lsl


def test_without_mne_lsl_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mne_lsl", None)
    with pytest.raises(NotRun, match=r"found .*mne_lsl.*\. Install it: pip install mne-lsl"):
        mne_lsl.measure(1.0)


def test_our_way_is_timed_chunk_by_chunk() -> None:
    with mne_lsl.sending() as (name, sent), mne_lsl.our_stream(name) as ours:
        spent = [mne_lsl.cpu_times(sent, (ours, ours)) for _ in range(3)]
    assert all(each > 0 for both in spent for each in both)
