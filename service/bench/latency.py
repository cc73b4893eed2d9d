"""Added latency: from a chunk's reception to its prediction at a WebSocket client.

A service in its own process watches the simulator with the shipped model. The client is in this
process, on the same machine, and so has the same clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

import numpy as np

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bench.figures import Figure
from mimamba.service.bench.service_process import ServiceProcess, running_service
from mimamba.service.client.client import Client
from mimamba.service.protocol.messages import PredictionMessage, SessionState

SOURCE = "simulate://?seed=1"
PERCENTILES = (50, 90, 99, 100)
RATE = 2.0
"""Predictions of the shipped model in a second."""

ReceivedPredictions: TypeAlias = list[tuple[PredictionMessage, float]]
"""Predictions, each with the time of its arrival, s on the local clock."""


def measure(seconds: float) -> list[Figure]:
    """Measure one session of the simulator with the shipped model."""
    with simulated_service() as service:
        received = asyncio.run(receive(service.url, max(1, round(RATE * seconds))))
    return [
        Figure(f"{stage}, {'max' if share == 100 else f'p{share}'}", time, "ms")
        for stage, times in summarize(received).items()
        for share, time in zip(PERCENTILES, times, strict=True)
        if share != 90
    ]


def simulated_service() -> AbstractContextManager[ServiceProcess]:
    """Start the service to be measured; entering raises ServiceNotStarted."""
    return running_service(SOURCE, model="demo")


async def receive(
    url: str, count: int, on_prediction: Callable[[], object] = lambda: None
) -> ReceivedPredictions:
    """Receive this many predictions of status ``ok``; ``on_prediction`` is called after each."""
    received: ReceivedPredictions = []
    async with Client(url) as client:
        async for message in client:
            now = local_clock()
            if isinstance(message, SessionState) and message.state == "opened":
                await client.subscribe(message.session, ["prediction", "signal"])
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                received.append((message, now))
                on_prediction()
            if len(received) == count:
                break
    return received


def stages(message: PredictionMessage, arrived: float) -> dict[str, float]:
    """Split a prediction's latency into stages, s."""
    timing = message.timing
    return {
        "reception to step": timing.stepped - timing.received,
        "step to log": timing.published - timing.stepped,
        "log to client": arrived - timing.published,
        "reception to client": arrived - timing.received,
    }


def summarize(received: ReceivedPredictions) -> dict[str, list[float]]:
    """Return the ``PERCENTILES`` of each stage, ms."""
    rows = [stages(message, arrived) for message, arrived in received]
    return {
        name: (1e3 * np.percentile([row[name] for row in rows], PERCENTILES)).tolist()
        for name in rows[0]
    }
