"""Signal quality from the samples to the subscribers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.read import read_recording
from mimamba.models.signal.channel_quality import QualityMeter
from mimamba.models.signal.measures import ChannelQuality
from mimamba.models.signal.sliding_window import SlidingWindow
from mimamba.service.cli.watch import describe_quality
from mimamba.service.protocol.messages import (
    Position,
    QualityMessage,
    SignalMessage,
    Subscribe,
    Subscribed,
)
from tests.service.live import live, talk
from tests.service.muse_recordings import write_muse


@pytest.mark.anyio
@pytest.mark.parametrize("binary", [False, True])
async def test_what_is_sent_follows_from_the_signal_that_is_sent(
    tmp_path: Path, binary: bool
) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=20, broken=True)
    end = int(read_recording(path).index[-1]) + 1
    chunks: list[Chunk] = []
    # The names are no electrodes, so no model is there: quality needs none.
    with live(f"replay://{path}?speed=max&names=a,b,c,d") as service:
        service.opened("replay-1")
        async with talk(service.url, binary) as client:
            await client.say(Subscribe("replay-1", ["signal", "quality"], Position("")))
            info = (await client.find(Subscribed)).info
            while not chunks or chunks[-1].end < end:
                message = await client.find(SignalMessage)
                times = np.frombuffer(message.timestamps, "<f8")
                data = np.frombuffer(message.data, "<f4").reshape(-1, 4)
                chunks.append(Chunk(data, times, message.first))
            quarters, meter = SlidingWindow(info), QualityMeter(info)
            newest = [each for chunk in chunks for each in quarters.feed(chunk)]
            measured = [each for each in map(meter.measure, newest) if each]
            told = [each for each in client.heard if isinstance(each, QualityMessage)]
            while len(told) < len(measured):
                told.append(await client.find(QualityMessage))
    assert [each.seq for each in told] == list(range(len(measured)))
    for sent, quality in zip(told, measured, strict=True):
        assert sent.index == quality.index
        assert sent.timestamp == quality.timestamp
        assert sent.channels == quality.channels
    reasons = {(name, each.reason) for q in told for name, each in q.channels.items()}
    assert {("b", "flat"), ("d", "railed"), ("a", None)} <= reasons


def test_the_worst_channel_is_described() -> None:
    def describe(**channels: ChannelQuality) -> str:
        return describe_quality(QualityMessage("x", 0, 511, 2.0, channels))

    good, hum = ChannelQuality(0.9, None), ChannelQuality(0.35, "mains hum")
    assert describe(TP9=good, AF7=ChannelQuality(1.0, None)) == "good"
    assert describe(TP9=good, AF7=hum) == "[yellow]AF7: mains hum[/] (35%)"
    assert describe_quality(None) == "waiting"
