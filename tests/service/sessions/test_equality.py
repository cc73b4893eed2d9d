"""Online equals offline: a recording gives the same predictions live, at any speed, and scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mimamba.service.protocol.messages import (
    Position,
    PredictionMessage,
    SessionState,
    Skipped,
    Subscribe,
)
from tests.service.cli.test_main import invoke
from tests.service.live import live, talk
from tests.service.muse_recordings import write_muse

pytestmark = pytest.mark.anyio


def scored(path: Path, *arguments: str) -> list[dict[str, Any]]:
    """The output of ``mimamba score``."""
    done = invoke("score", str(path), *arguments)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def played(*sources: str, hops: int, **settings: Any) -> list[list[PredictionMessage]]:
    """The predictions of live sessions of these sources, all in one service; this many hops each.

    Where one has ended before it was followed, what it said comes after its end was told.
    """
    heard: dict[str, list[PredictionMessage]] = {}
    ended: set[str] = set()
    with live(*sources, **settings) as service:
        async with talk(service.url) as client:
            most = hops * len(sources)
            while len(ended) < len(sources) or sum(map(len, heard.values())) < most:
                message = await client.hear()
                assert not isinstance(message, Skipped)
                if isinstance(message, PredictionMessage):
                    heard.setdefault(message.session, []).append(message)
                elif isinstance(message, SessionState) and message.state == "opened":
                    await client.say(Subscribe(message.session, ["prediction"], Position("")))
                elif isinstance(message, SessionState):
                    assert message.reason is None
                    ended.add(message.session)
        order = {each["source"]: name for name, each in service.sessions().items()}
    return [heard[order[source]] for source in sources]


def assert_same(online: list[PredictionMessage], offline: list[dict[str, Any]]) -> None:
    assert [(each.index, each.status, each.reason) for each in online] == [
        (each["index"], each["status"], each["reason"]) for each in offline
    ]
    for mine, other in zip(online, offline, strict=True):
        assert (mine.outputs is None) == (other["outputs"] is None)
        for output, shares in (mine.outputs or {}).items():
            assert shares == pytest.approx(other["outputs"][output], abs=1e-5)


async def test_gaps_and_bad_signal_at_several_speeds_at_once(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "broken.csv", seconds=20, broken=True)
    offline = scored(path)
    statuses = [each["status"] for each in offline]
    assert statuses.count("ok") > 10
    assert statuses.count("poor_signal") >= 7  # flat for 1 s, railed for 3 s
    # It warms up at the start and anew after the long gap, not after the short one.
    changes = [a for a, b in zip(statuses[1:], statuses, strict=False) if a != b]
    assert changes.count("warming_up") == 1
    speeds = ("1", "8", "max")
    sources = [f"replay://{path}?speed={speed}" for speed in speeds]
    for online in await played(*sources, hops=len(offline)):
        assert_same(online, offline)


@pytest.mark.parametrize(
    "name",
    [
        "formats/muselsl/biohack_p2_understanding_dup-timestamps.csv",
        "formats/muselsl/p300_subject2_data_2017-02-09-18.12.53.csv",
    ],
)
async def test_real_recordings(shared_data: Path, name: str) -> None:
    path = shared_data / name
    offline = scored(path)
    assert len(offline) > 200
    [online] = await played(f"replay://{path}?speed=64", hops=len(offline))
    assert_same(online, offline)


async def test_without_memory_too(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=10)
    offline = scored(path, "--no-memory")
    [online] = await played(f"replay://{path}?speed=max", hops=len(offline), memory=False)
    assert_same(online, offline)
    assert any(
        mine["outputs"] != other["outputs"]
        for mine, other in zip(offline, scored(path), strict=True)
    )
