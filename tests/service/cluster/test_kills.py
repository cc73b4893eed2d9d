"""Real processes that are killed, with a real NATS server between them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.benchmarks.cluster.take_over import Cluster, follow_kills
from tests.service.bus.nats_server import running
from tests.service.forked import LoadedProgram


@pytest.mark.timeout(400)
def test_a_client_and_a_recording_get_everything_once(
    tmp_path: Path, loaded: LoadedProgram
) -> None:
    with running(tmp_path / "store") as server:
        cluster = Cluster(tmp_path, [server], loaded)
        try:
            outcome, recorded = asyncio.run(follow_kills(cluster, ["worker", "recorder"]))
        finally:
            cluster.stop()
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.told > 10
    assert outcome.largest < 1e-6
    assert (recorded.lost, recorded.doubled, recorded.different) == (0, 0, 0)
    assert (recorded.difference, recorded.hand_overs) == (None, 1)
    assert recorded.verified > 5
