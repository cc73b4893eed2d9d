"""The client without asyncio, the signal as arrays, and predictions as a table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.service.client.client import ServiceUnreachable, SubscriptionRefused
from mimamba.service.client.sync_client import SyncClient
from mimamba.service.protocol.messages import Error, SignalMessage, Subscribed
from tests.service.live import Live, live
from tests.service.models import demo_indices
from tests.service.muse_recordings import write_muse

SECONDS = 6


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A simulated headset, and a recording that was played to its end."""
    file = write_muse(tmp_path_factory.mktemp("sync") / "muse.csv", SECONDS)
    with live("simulate://?seed=7&scenario=calm", f"replay://{file}?speed=max") as service:
        service.opened("simulate-1", "replay-2")
        service.until(lambda: service.sessions()["replay-2"]["state"] == "ended")
        yield service


def test_frames_are_what_the_headset_sent(service: Live) -> None:
    with SyncClient(service.url) as client:
        frames = []
        for frame in client.frames("simulate-1", kept=True):
            frames.append(frame)
            if frame.first > 512:
                break
        joined = np.concatenate([frame.data for frame in frames])
        expected = Synthesizer("calm", 7).next(len(joined))
        np.testing.assert_allclose(joined, expected, rtol=0, atol=1e-3)
        assert [frame.first for frame in frames] == list(
            np.cumsum([0, *(len(frame.data) for frame in frames[:-1])])
        )
        times = np.concatenate([frame.timestamps for frame in frames])
        assert np.all(np.diff(times) > 0)
        assert frames[0].info.ch_names == ("TP9", "AF7", "AF8", "TP10")
        # The subscription has ended: another one begins now.
        newest = next(client.frames("simulate-1"))
        assert newest.first >= frames[-1].first
        client.subscribe("simulate-1", ["signal"])
        kinds = (Subscribed, SignalMessage)
        assert isinstance(next(each for each in client if isinstance(each, kinds)), Subscribed)


def test_a_session_that_has_ended_ends_its_frames_and_keeps_its_table(service: Live) -> None:
    with SyncClient(service.url) as client:
        assert list(client.frames("replay-2")) == []
        frames = list(client.frames("replay-2", kept=True))
        assert sum(len(frame.data) for frame in frames) == 256 * SECONDS
        table = client.to_pandas("replay-2")
        assert list(table["index"]) == demo_indices(256 * SECONDS)
        assert set(table.columns) > {"seq", "timestamp", "status", "reason"}
        shares = table[table.status == "ok"][["valence/low", "valence/high"]]
        assert len(shares)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert table[table.status != "ok"]["valence/low"].isna().all()
        assert len(client.to_pandas("replay-2", seconds=0.01)) == 0


@pytest.mark.anyio
async def test_it_works_beside_a_running_event_loop(service: Live) -> None:
    assert asyncio.get_running_loop().is_running()  # as in a notebook
    with SyncClient(service.url) as client:
        table = client.to_pandas("simulate-1")
    assert list(table.seq) == list(range(len(table)))


def test_mistakes_are_errors_of_one_sentence(
    service: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ServiceUnreachable, match="Start one"), SyncClient("127.0.0.1:9"):
        pass
    with SyncClient(service.url) as client:
        with pytest.raises(SubscriptionRefused, match=r"found 'nobody'. There are: replay-2, "):
            next(client.frames("nobody"))
        assert "nobody" not in caplog.text  # it was raised
        client.subscribe("nobody", ["signal"])
        refused = next(each for each in client if isinstance(each, Error))
        assert refused.message in caplog.text
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(LibraryMissing, match=r"^Expected pandas, .+ Install it: pip install"):
            client.to_pandas("simulate-1")
    with pytest.raises(RuntimeError, match="Use `with`"):
        client.to_pandas("simulate-1")
