"""Logs of feedback that mimamba has not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.chunk_writer import ChannelFormat, StreamHeader, XDFWriter
from mimamba.drivers.formats.xdf.sample_index import FEEDBACK_TOPIC, SIGNAL_TOPIC
from mimamba.service.recording_contents.feedback_log import read_feedback_log


def header(topic: str, text: bool) -> StreamHeader:
    kind: ChannelFormat = "string" if text else "float32"
    return StreamHeader(
        topic, topic, kind, 0, topic, [{"label": "a"}], {"mimamba": {"topic": topic}}
    )


@pytest.mark.parametrize(
    ("at", "note", "found"),
    [
        (1.0, None, "a stream of numbers"),
        (float("nan"), "{}", "a time that is not finite"),
        (1.0, "{}", "missing required field `id`"),
        (1.0, '{"id":"a","event":"begin","x":' + "[" * 100_000, "recursion"),
    ],
)
def test_a_log_that_is_none_is_refused(
    tmp_path: Path, at: float, note: str | None, found: str
) -> None:
    path = tmp_path / "made.xdf"
    writer = XDFWriter(path, {})
    signal = writer.declare(header(SIGNAL_TOPIC, text=False), 1.0)
    feedback = writer.declare(header(FEEDBACK_TOPIC, text=note is not None), 1.0)
    writer.numbers(signal, np.array([1.0, 2.0]), np.zeros((2, 1)))
    if note is None:
        writer.numbers(feedback, np.array([at]), np.zeros((1, 1)))
    else:
        writer.texts(feedback, [(at, note)])
    writer.finish()
    writer.close()
    with pytest.raises(BadRecording, match=f"the log of feedback in made.xdf, but found.*{found}"):
        read_feedback_log(path)
