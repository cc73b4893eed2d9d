"""Added latency: from a chunk's reception to its prediction at a WebSocket client."""

from __future__ import annotations

import asyncio

from mimamba.service.bench.figures import Figure
from mimamba.service.bench.latency_probe import PERCENTILES, listen, simulated_service, summary

RATE = 2.0
"""Predictions of the shipped model in a second."""


def measure(seconds: float) -> list[Figure]:
    """One session of the simulator with the shipped model, at a client on this machine."""
    with simulated_service() as service:
        heard = asyncio.run(listen(service.url, max(1, round(RATE * seconds)), lambda: None))
    return [
        Figure(f"{stage}, {'max' if share == 100 else f'p{share}'}", time, "ms")
        for stage, times in summary(heard).items()
        for share, time in zip(PERCENTILES, times, strict=True)
        if share != 90
    ]
