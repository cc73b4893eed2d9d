"""Added latency, measured: from a chunk's reception to its prediction at a WebSocket client.

A service in a process of its own watches the simulator with the shipped model; the client is in
this process, on the same machine and so on the same clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

import numpy as np

from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bench.service_process import ServiceProcess, served
from mimamba.service.client.client import Client
from mimamba.service.protocol.messages import PredictionMessage, SessionState

SOURCE = "simulate://?seed=1"
PERCENTILES = (50, 90, 99, 100)

ReceivedPredictions: TypeAlias = list[tuple[PredictionMessage, float]]
"""Predictions, each with the time of its arrival."""


def simulated_service() -> AbstractContextManager[ServiceProcess]:
    """The service to be measured; entering raises NoService if it does not start."""
    return served(SOURCE, model="demo")


async def listen(url: str, count: int, heard_one: Callable[[], object]) -> ReceivedPredictions:
    """So many predictions that are ok."""
    heard: ReceivedPredictions = []
    async with Client(url) as client:
        async for message in client:
            now = local_clock()
            if isinstance(message, SessionState) and message.state == "opened":
                await client.subscribe(message.session, ["prediction", "signal"])
            elif isinstance(message, PredictionMessage) and message.status == "ok":
                heard.append((message, now))
                heard_one()
            if len(heard) == count:
                break
    return heard


def stages(told: PredictionMessage, heard: float) -> dict[str, float]:
    """Where a prediction's time went, seconds."""
    timing = told.timing
    return {
        "reception to step": timing.stepped - timing.received,
        "step to log": timing.published - timing.stepped,
        "log to client": heard - timing.published,
        "reception to client": heard - timing.received,
    }


def summary(heard: ReceivedPredictions) -> dict[str, list[float]]:
    """The stages' ``PERCENTILES``, ms."""
    rows = [stages(told, at) for told, at in heard]
    return {
        name: (1e3 * np.percentile([row[name] for row in rows], PERCENTILES)).tolist()
        for name in rows[0]
    }
