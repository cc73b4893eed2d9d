"""The frames that the page's tests decode are those that the service encodes.

``python -m tests.test_frames`` writes them anew after a change of the protocol.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mimamba.drivers.driver import StreamInfo
from mimamba.models.prediction import LabelSet
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.measures import ChannelBands, ChannelQuality
from mimamba.service.protocol.feedback_state import FeedbackState
from mimamba.service.protocol.messages import (
    PROTOCOL,
    BandsMessage,
    CalibrationMessage,
    Clock,
    Error,
    FeedbackMessage,
    Heartbeat,
    HeartMessage,
    Hello,
    LinkMessage,
    MarkerMessage,
    MotionMessage,
    Ok,
    Pong,
    PPGMessage,
    PredictionMessage,
    QualityMessage,
    RatingMessage,
    ServerMessage,
    SessionState,
    SignalMessage,
    Skipped,
    StudyMessage,
    Subscribe,
    Subscribed,
    Unsubscribe,
    decode_client,
    decode_server,
    encode,
)
from mimamba.service.protocol.personal import (
    AccuracyNote,
    CalibrationProgress,
    HeadCard,
    PersonalReading,
    VerdictNote,
)
from mimamba.service.protocol.study_progress import StudyProgress
from mimamba.service.topics import Model, Timing

FRAMES = Path(__file__).resolve().parents[1] / "dashboard" / "tests" / "frames.json"
CLOCK = Clock(812.5, 1_790_000_000.25)
MICROVOLTS = [[-1.5, 0.25], [812.40625, -3.0], [0.0, 1e5]]
STAMPS = [812.125, 812.12890625, 812.1328125]
MODEL = Model("demo", "ab" * 32, "synthetic data", "MIT", "It means nothing.", 2.0, 0.25, 0.9, True)

SENTENCE = "Reliable today."
HEAD = HeadCard(
    id="20260727-101112-a1b2",
    person="P01",
    contrast="calm-strained",
    kinds=("calm", "strained"),
    dimension="arousal",
    day="2026-07-27",
    verdict="reliable",
    served="yes",
    sentence=SENTENCE,
    accuracy=0.75,
    interval=(0.625, 0.875),
    p=0.004,
    attempts=1,
    confirmed=False,
    right=3,
    checked=4,
    half_life=5.0,
    delay=8.5,
    usable=True,
)
READING = PersonalReading(2600, "ok", None, {"calm": 0.25, "strained": 0.75}, "strained")
PROGRESS = CalibrationProgress(
    "block", 3, 12, "strained", 21.0, 30.0, False, None, 0, "ok", None, 783, 7
)
VERDICT = VerdictNote(
    "reliable",
    "yes",
    SENTENCE,
    0.75,
    (0.625, 0.875),
    0.004,
    1,
    1,
    (6, 6),
    0,
    0.0,
    None,
    time=AccuracyNote(0.5, (0.375, 0.625), 0.5),
)

MESSAGES: tuple[ServerMessage, ...] = (
    Hello(PROTOCOL, "mimamba 0.1.0", CLOCK, "control"),
    Hello(PROTOCOL, "mimamba", None, None),
    Subscribed(
        "muse-1",
        "epoch-1",
        StreamInfo("Muse 2", "00:55", 256.0, ("TP9", "AF7"), 0.48, 1000.0, notices=("A notice.",)),
        MODEL,
        {"valence": ["low", "high"]},
        [Electrode("T7", "TP9", 0, 41.5)],
        0.1,
        {"prediction": 3, "quality": 8, "bands": 9, "signal": 70000, "marker": 0, "link": 1},
        "muse-1",
    ),
    Subscribed(
        "plain",
        "epoch-2",
        StreamInfo("EEG", "x", 250.0, ("C3",), live=False),
        None,
        None,
        None,
        None,
        {},
    ),
    Ok("a"),
    Pong(12.5, CLOCK),
    Heartbeat(CLOCK),
    SessionState("muse-1", "ended", "The recording is at its end."),
    Skipped("muse-1", "signal", 17, 80000),
    Error("no_session", "wanted an open session; found 'x'; there are: none", "x"),
    PredictionMessage(
        "muse-1",
        41,
        2687,
        812.403,
        "ok",
        None,
        {"valence": {"low": 0.31, "high": 0.69}},
        Timing(812.405, 812.409, 812.41),
    ),
    PredictionMessage(
        "muse-1",
        44,
        2719,
        812.528,
        "ok",
        None,
        {"valence": {"low": 0.31, "high": 0.69}},
        Timing(812.53, 812.534, 812.535),
        set={"valence": LabelSet(("low", "high"), 0.91, 120)},
    ),
    PredictionMessage(
        "muse-1",
        42,
        2751,
        812.653,
        "poor_signal",
        "AF7 is flat.",
        None,
        Timing(812.655, 812.659, 812.66),
    ),
    QualityMessage(
        "muse-1",
        7,
        2751,
        812.653,
        {"TP9": ChannelQuality(0.97, None), "AF7": ChannelQuality(0.0, "no contact")},
    ),
    QualityMessage(
        "muse-1", 8, 2815, 812.903, {"TP9": ChannelQuality(0.97, None)}, "the head moved"
    ),
    BandsMessage(
        "muse-1",
        9,
        2751,
        812.653,
        {
            "TP9": ChannelBands(12.5, 4.0, 20.25, 3.5, 0.75),
            "AF7": ChannelBands(None, None, None, None, None),
        },
    ),
    SignalMessage(
        "muse-1",
        70000,
        5_000_000_000,
        np.array(STAMPS, "<f8").tobytes(),
        np.array(MICROVOLTS, "<f4").tobytes(),
    ),
    PPGMessage(
        "muse-1",
        5,
        12,
        np.array(STAMPS, "<f8").tobytes(),
        np.array(MICROVOLTS, "<f4").tobytes(),
        ["infrared", "red"],
        "counts",
        64.0,
    ),
    MotionMessage(
        "muse-1",
        6,
        "rotation",
        9,
        np.array(STAMPS[:1], "<f8").tobytes(),
        np.array([0.5, -90.0, 2.0], "<f4").tobytes(),
        ["X", "Y", "Z"],
        "°/s",
        52.0,
        True,
    ),
    HeartMessage("muse-1", 4, 703, 812.5, 66.5, 0.93, None),
    HeartMessage("muse-1", 5, 767, 813.5, None, 0.31, "no clear pulse"),
    MarkerMessage("muse-1", 0, 812.25, 2600, "eyes closed, 8 µV", "lsl"),
    LinkMessage("muse-1", 1, 812.5, "lost", "no sample for 2 s"),
    LinkMessage("muse-1", 2, 813.5, "gap", "12 samples", 2700, 12),
    LinkMessage("muse-1", 3, 814.5, "model", "no model is used from here on", 2712),
    LinkMessage("muse-1", 4, 815.5, "baseline_begun", "60 s of rest are being taken", 2968),
    Subscribed(
        "own",
        "epoch-3",
        StreamInfo("EEG", "x", 250.0, ("C3",), live=False),
        MODEL,
        {"valence": ["low", "high"]},
        [Electrode("T7", "TP9", 0, 41.5)],
        0.1,
        {"calibration": 4},
        head=HEAD,
    ),
    PredictionMessage(
        "own",
        43,
        2815,
        812.903,
        "ok",
        None,
        {"valence": {"low": 0.25, "high": 0.75}},
        Timing(812.905, 812.909, 812.91),
        READING,
    ),
    CalibrationMessage("own", 4, 2815, 812.903, "20260727-101112-a1b2", PROGRESS),
    CalibrationMessage("own", 5, 3071, 813.903, "20260727-101112-a1b2", PROGRESS, VERDICT),
    RatingMessage(
        "own", 0, 2815, 812.903, 71.0, 64.5, READING, {"valence": {"low": 0.25, "high": 0.75}}
    ),
    StudyMessage(
        "own",
        2,
        812.903,
        "rest-20261129-101500",
        StudyProgress(
            "rest",
            "Eyes closed",
            "step",
            2,
            5,
            "Close your eyes",
            "second",
            "Close your eyes.",
            False,
            60.0,
            60.0,
            140.0,
            70.0,
            "rest-P01-20261129-101500",
            feedback=True,
        ),
    ),
    FeedbackMessage(
        "own",
        7,
        812.91,
        "feedback-20261129-101500",
        FeedbackState(
            "band/alpha",
            "above",
            0.5,
            0.125,
            True,
            0.625,
            True,
            None,
            "feedback-P01-20261129-101500",
            True,
        ),
    ),
)


def golden(message: ServerMessage) -> dict[str, Any]:
    """A message's frame in msgpack and in JSON, and what is to be found in both."""
    fields = msgspec.to_builtins(message, builtin_types=(bytes,))
    if isinstance(message, SignalMessage | PPGMessage | MotionMessage):
        fields["timestamps"] = np.frombuffer(message.timestamps, "<f8").tolist()
        fields["data"] = np.frombuffer(message.data, "<f4").tolist()
    frame, text = encode(message, binary=True).hex(), encode(message, binary=False).decode()
    return {"frame": frame, "json": text, "fields": fields}


def written() -> str:
    """The file's text."""
    rows = (json.dumps(golden(message), ensure_ascii=False) for message in MESSAGES)
    return "[\n  " + ",\n  ".join(rows) + "\n]\n"


def test_the_page_decodes_what_the_service_encodes() -> None:
    assert FRAMES.read_text(encoding="utf-8") == written()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_the_client_decodes_what_the_service_encodes(message: ServerMessage) -> None:
    for row in json.loads(FRAMES.read_text(encoding="utf-8")):
        if row == json.loads(json.dumps(golden(message))):
            assert decode_server(bytes.fromhex(row["frame"])) == message
            assert decode_server(row["json"]) == message
            return
    pytest.fail("the message is not in the file")


def test_the_service_decodes_what_the_page_encodes() -> None:
    # Frames as @msgpack/msgpack makes them, as in dashboard/tests/client/frames.test.ts.
    subscribe = bytes.fromhex(
        "84a474797065a9737562736372696265a773657373696f6ea66d7573652d31a6746f7069637392a67369676e616c"
        "a46c696e6ba573696e636582a565706f6368a165a373657181a67369676e616cce00011170"
    )
    unsubscribe = bytes.fromhex(
        "83a474797065ab756e737562736372696265a773657373696f6ea66d7573652d31a6746f7069637391a67369676e616c"
    )
    decoded = decode_client(subscribe, binary=True)
    assert isinstance(decoded, Subscribe)
    assert decoded.since is not None
    assert (decoded.topics, decoded.since.seq) == (["signal", "link"], {"signal": 70000})
    assert decode_client(unsubscribe, binary=True) == Unsubscribe("muse-1", ["signal"])


if __name__ == "__main__":
    FRAMES.write_text(written(), encoding="utf-8")
