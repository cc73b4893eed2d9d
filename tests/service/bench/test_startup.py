"""The measurement of a start: its events come in order."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from mimamba.service.bench.process_usage import cpu_seconds
from mimamba.service.bench.startup import first_predictions
from tests.service.live import live
from tests.service.muse_recordings import write_muse


def test_the_first_predictions_come_in_order(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", 30)
    before, worked_before = time.monotonic(), cpu_seconds(os.getpid())
    with live(f"replay://{path}?speed=8&hold=1", model="demo") as service:
        first, worked, ok = asyncio.run(first_predictions(service.url, os.getpid()))
    assert before < first < ok < time.monotonic()
    assert worked_before <= worked <= cpu_seconds(os.getpid())
