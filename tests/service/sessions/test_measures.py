"""Signal quality and band power from the samples to the wire, the recording and the terminal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyxdf

from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.read import read_recording
from mimamba.models.signal.band_power import BandMeter
from mimamba.models.signal.channel_quality import QualityMeter
from mimamba.models.signal.measures import BANDS, ChannelBands, ChannelQuality
from mimamba.models.signal.sliding_window import SlidingWindow
from mimamba.service.cli.watch import describe_bands, describe_quality
from mimamba.service.protocol.messages import (
    BandsMessage,
    Position,
    QualityMessage,
    SignalMessage,
    Subscribe,
    Subscribed,
)
from mimamba.service.recordings.recorder import Recorder
from tests.service.live import live, talk
from tests.service.muse_recordings import write_muse
from tests.service.scripted import INFO, staged


@pytest.mark.anyio
@pytest.mark.parametrize("binary", [False, True])
async def test_what_is_sent_follows_from_the_signal_that_is_sent(
    tmp_path: Path, binary: bool
) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=20, broken=True)
    end = int(read_recording(path).index[-1]) + 1
    chunks: list[Chunk] = []
    # The names are no electrodes, so no model is there: neither measure needs one.
    with live(f"replay://{path}?speed=max&names=a,b,c,d") as service:
        service.opened("replay-1")
        async with talk(service.url, binary) as client:
            await client.say(Subscribe("replay-1", ["signal", "quality", "bands"], Position("")))
            info = (await client.find(Subscribed)).info
            while not chunks or chunks[-1].end < end:
                message = await client.find(SignalMessage)
                times = np.frombuffer(message.timestamps, "<f8")
                data = np.frombuffer(message.data, "<f4").reshape(-1, 4)
                chunks.append(Chunk(data, times, message.first))
            quarters = SlidingWindow(info)
            windows = [each for chunk in chunks for each in quarters.feed(chunk)]
            powers = list(map(BandMeter(info).measure, windows))
            qualities = [each for each in map(QualityMeter(info).measure, windows) if each]
            bands = [each for each in client.heard if isinstance(each, BandsMessage)]
            quality = [each for each in client.heard if isinstance(each, QualityMessage)]
            while len(bands) < len(powers) or len(quality) < len(qualities):
                found = await client.hear()
                if isinstance(found, BandsMessage):
                    bands.append(found)
                elif isinstance(found, QualityMessage):
                    quality.append(found)
    assert [each.seq for each in bands] == list(range(len(powers)))
    for sent, power in zip(bands, powers, strict=True):
        assert (sent.index, sent.timestamp) == (power.index, power.timestamp)
        assert sent.channels == power.channels
    assert [each.seq for each in quality] == list(range(len(qualities)))
    for told, made in zip(quality, qualities, strict=True):
        assert (told.index, told.timestamp) == (made.index, made.timestamp)
        assert told.channels == made.channels
    values = [each.channels["a"].alpha for each in bands]
    assert None in values
    assert max(each for each in values if each is not None) > 1
    reasons = {(name, each.reason) for q in quality for name, each in q.channels.items()}
    assert {("b", "flat"), ("d", "railed"), ("a", None)} <= reasons


def test_a_recording_has_the_bands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(0, 20, (1500, 4)).astype(np.float32)
    chunks = [
        Chunk(data[at : at + 100], 500 + np.arange(at, at + 100) / 256, at)
        for at in range(0, 1500, 100)
        if at != 1100  # nor has the quarter that is in there an update
    ]
    with staged(None) as stage:
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks)
        recorder.stop()
    [stream] = [
        each
        for each in pyxdf.load_xdf(tmp_path / "a.xdf", dejitter_timestamps=False)[0]
        if each["info"]["type"] == ["Bands"]
    ]
    quarters, meter = SlidingWindow(INFO), BandMeter(INFO)
    measured = [meter.measure(each) for chunk in chunks for each in quarters.feed(chunk)]
    expected = [[*each.power.flat, each.index] for each in measured]
    np.testing.assert_array_equal(stream["time_series"], expected)
    np.testing.assert_array_equal(stream["time_stamps"], [each.timestamp for each in measured])
    labels = [each["label"][0] for each in stream["info"]["desc"][0]["channels"][0]["channel"]]
    assert labels == [*(f"{name}/{band}" for name in INFO.ch_names for band in BANDS), "index"]
    assert np.isnan(stream["time_series"]).any()
    assert read_recording(tmp_path / "a.xdf").n_times == 1400


def test_the_terminal_shows_the_channels_median() -> None:
    channels = {
        "TP9": ChannelBands(12.345, 4.0, 20.0, 3.0, None),
        "AF7": ChannelBands(10.0, 5.0, 30.0, None, None),
        "AF8": ChannelBands(None, None, None, None, None),
    }
    described = describe_bands(BandsMessage("x", 0, 511, 2.0, channels))
    assert described.splitlines() == ["delta 11.2", "theta 4.5", "alpha 25", "beta 3", "gamma none"]
    assert describe_bands(None) == "waiting"


def test_the_worst_channel_is_described() -> None:
    def describe(**channels: ChannelQuality) -> str:
        return describe_quality(QualityMessage("x", 0, 511, 2.0, channels))

    good, hum = ChannelQuality(0.9, None), ChannelQuality(0.35, "mains hum")
    assert describe(TP9=good, AF7=ChannelQuality(1.0, None)) == "good"
    assert describe(TP9=good, AF7=hum) == "[yellow]AF7: mains hum[/] (35%)"
    assert describe_quality(None) == "waiting"
