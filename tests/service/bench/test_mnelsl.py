"""The way from LSL, as it is measured: chunks of an outlet arrive, and are taken into a log."""

from __future__ import annotations

import sys

import pytest

from mimamba.service.bench import mnelsl
from mimamba.service.bench.figures import NotRun

pytest.importorskip("pylsl", exc_type=ImportError)


def test_without_mne_lsl_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mne_lsl", None)
    with pytest.raises(NotRun, match=r"found .*mne_lsl.*; pip install mne-lsl"):
        mnelsl.measure(1.0)


def test_our_way_is_timed_chunk_by_chunk() -> None:
    with mnelsl.sending() as (name, sent), mnelsl.own(name) as ours:
        spent = [mnelsl.spent_on(sent, (ours, ours)) for _ in range(3)]
    assert all(each > 0 for both in spent for each in both)
