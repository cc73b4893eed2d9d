"""Headers and rows of a recording's XDF streams.

The signal is a plain EEG stream, the markers of each program a plain marker stream with its name.
``link`` has one JSON object per event, ``predictions`` one float64 row per hop. Its header contains
what is needed to reproduce the predictions: the model's SHA-256 and its state at the start.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.formats.xdf.chunk_writer import StreamHeader, XMLTree
from mimamba.drivers.formats.xdf.sample_index import (
    BANDS_TOPIC,
    FEEDBACK_TOPIC,
    LINK_TOPIC,
    PREDICTIONS_TOPIC,
    QUALITY_TOPIC,
    SETS_TOPIC,
    SIGNAL_TOPIC,
)
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BANDS as EDGES
from mimamba.models.signal.measures import REASONS, BandPower, Quality
from mimamba.service.logs.epoch_logs import LinkEntry, SessionSnapshot
from mimamba.service.topics import Model

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session

STATUS = {"ok": 0.0, "warming_up": 1.0, "poor_signal": 2.0}
"""Values of the predictions' channel ``status``."""
REASON_CODES = {reason: code for code, reason in enumerate(REASONS, 1)}
"""Values of the quality's channels ``reason``; 0 for none."""


def file_header() -> Mapping[str, XMLTree]:
    """Return the file's header: date, software, and one instant on both clocks."""
    unix = time.time()
    return {
        "datetime": datetime.fromtimestamp(unix, UTC).astimezone().isoformat(),
        "software": f"mimamba {version('mimamba')}",
        "clock": {"lsl": repr(local_clock()), "unix": repr(unix)},
    }


def signal_header(session: Session, epoch: str, first: int) -> StreamHeader:
    """Return the EEG's header: channels, facts about the device, and the first sample's index."""
    info = _info(session)
    known = {"uv_per_bit": info.uv_per_bit, "range_uv": info.range_uv}
    facts = {name: repr(float(value)) for name, value in known.items() if value is not None}
    return StreamHeader(
        name=info.name,
        kind="EEG",
        channel_format="float32",
        sfreq=info.sfreq,
        source_id=_source_id(info),
        channels=[{"label": n, "unit": "microvolts", "type": "EEG"} for n in info.ch_names],
        desc={
            "acquisition": {**facts, "simulated": str(int(info.simulated))},
            "mimamba": {
                "topic": SIGNAL_TOPIC,
                "first": str(first),
                "session": session.name,
                "epoch": epoch,
                "notice": info.notices,
            },
        },
    )


def device_name(session: Session) -> str:
    """Return the device's name, which begins the names of streams."""
    return _info(session).name


def device_source_id(session: Session) -> str:
    """Return the device's id."""
    return _source_id(_info(session))


def link_header(session: Session) -> StreamHeader:
    """Return the header of link events: one JSON object each."""
    return _texts(
        session, f"{_info(session).name} link", "Link", {"mimamba": {"topic": LINK_TOPIC}}
    )


def feedback_header(session: Session) -> StreamHeader:
    """Return the header of the log of feedback for studies: one JSON object per event."""
    desc: Mapping[str, XMLTree] = {"mimamba": {"topic": FEEDBACK_TOPIC}}
    return _texts(session, f"{_info(session).name} feedback", "Feedback", desc)


def marker_header(session: Session, source: str) -> StreamHeader:
    """Return the header of one program's markers."""
    return _texts(session, source, "Markers", {})


def predictions_header(
    session: Session,
    model: Model,
    outputs: Mapping[str, Sequence[str]],
    snapshot: SessionSnapshot,
) -> StreamHeader:
    """Return the predictions' header: a channel per label, the hop's sample index, the status."""
    assert snapshot.state is not None
    labels = [f"{output}/{label}" for output, names in outputs.items() for label in names]
    channels = [{"label": each, "unit": "probability", "type": "Prediction"} for each in labels]
    facts: Mapping[str, XMLTree] = {
        "name": model.name,
        "sha256": model.sha256,
        "r": repr(float(model.r)),
        "trained_on": model.trained_on,
        "licence": model.licence,
        "notice": model.notice or "",
    }
    return StreamHeader(
        name=f"{_info(session).name} predictions",
        kind="Predictions",
        channel_format="double64",
        sfreq=0.0,  # gaps and restarts shift the hops
        source_id=_source_id(_info(session)),
        channels=[
            *channels,
            {"label": "index", "unit": "sample", "type": "Index"},
            {"label": "status", "unit": "code", "type": "Status"},
        ],
        desc={
            "mimamba": {
                "topic": PREDICTIONS_TOPIC,
                "model": facts,
                "electrode": [
                    {
                        "label": e.electrode,
                        "channel": e.channel,
                        "distance_mm": repr(float(e.distance_mm)),
                    }
                    for e in session.active_model.montage or ()
                ],
                "status": {name: f"{value:g}" for name, value in STATUS.items()},
                "snapshot": b64encode(snapshot.state).decode(),
            }
        },
    )


def prediction_rows(
    predictions: Sequence[Prediction], outputs: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """Return (n_hops, n_labels + 2): probabilities, NaN if the model abstained; index; status."""
    return np.array(
        [
            [
                *(
                    each.outputs[output][label] if each.outputs else np.nan
                    for output, labels in outputs.items()
                    for label in labels
                ),
                each.index,
                STATUS[each.status],
            ]
            for each in predictions
        ]
    )


def set_channels(outputs: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return the channels of sets: per label whether it is in it, the coverage, the hops; index."""
    channels = []
    for output, labels in outputs.items():
        channels += [
            *({"label": f"{output}/{each}", "unit": "bool", "type": "Set"} for each in labels),
            {"label": f"{output}/coverage", "unit": "share", "type": "Coverage"},
            {"label": f"{output}/labelled", "unit": "hops", "type": "Count"},
        ]
    return [*channels, {"label": "index", "unit": "sample", "type": "Index"}]


def sets_header(session: Session, outputs: Mapping[str, Sequence[str]]) -> StreamHeader:
    """Return the header of the predictions' sets, with the channels of ``set_channels``."""
    return StreamHeader(
        name=f"{_info(session).name} sets",
        kind="Sets",
        channel_format="double64",
        sfreq=0.0,
        source_id=_source_id(_info(session)),
        channels=set_channels(outputs),
        desc={"mimamba": {"topic": SETS_TOPIC}},
    )


def set_rows(
    predictions: Sequence[Prediction], outputs: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """Return (n_hops, n_labels + 2 n_outputs + 1): NaN for an output without a set; index last.

    Each of the predictions has a set of some output.
    """
    return np.array([_set_row(each, outputs) for each in predictions])


def _set_row(prediction: Prediction, outputs: Mapping[str, Sequence[str]]) -> list[float]:
    row: list[float] = []
    for output, labels in outputs.items():
        found = (prediction.set or {}).get(output)
        if found is None:
            row += [np.nan] * (len(labels) + 2)
        else:
            coverage = np.nan if found.coverage is None else found.coverage
            row += [float(each in found.labels) for each in labels]
            row += [coverage, float(found.labelled)]
    return [*row, float(prediction.index)]


def quality_header(session: Session) -> StreamHeader:
    """Return the signal quality's header: a score and a reason per channel, the sample index."""
    info = _info(session)
    channels = [
        *({"label": f"{name}/score", "unit": "share", "type": "Quality"} for name in info.ch_names),
        *({"label": f"{name}/reason", "unit": "code", "type": "Quality"} for name in info.ch_names),
        {"label": "index", "unit": "sample", "type": "Index"},
    ]
    codes = {reason.replace(" ", "_"): str(code) for reason, code in REASON_CODES.items()}
    return StreamHeader(
        name=f"{info.name} quality",
        kind="Quality",
        channel_format="double64",
        sfreq=0.0,
        source_id=_source_id(info),
        channels=channels,
        desc={"mimamba": {"topic": QUALITY_TOPIC, "reason": codes}},
    )


def quality_rows(qualities: Sequence[Quality]) -> NDArray[np.float64]:
    """Return (n_times, 2 n_channels + 1): scores, codes of the reasons (0 for none), index."""
    return np.array(
        [
            [
                *(channel.score for channel in each.channels.values()),
                *(
                    REASON_CODES[channel.reason] if channel.reason else 0
                    for channel in each.channels.values()
                ),
                each.index,
            ]
            for each in qualities
        ]
    )


def bands_header(session: Session) -> StreamHeader:
    """Return the band power's header: a channel per electrode and band, the sample index."""
    info = _info(session)
    channels = [
        *(
            {"label": f"{name}/{band}", "unit": "microvolts^2", "type": "Bands"}
            for name in info.ch_names
            for band in EDGES
        ),
        {"label": "index", "unit": "sample", "type": "Index"},
    ]
    edges: Mapping[str, XMLTree] = {
        band: f"{low:g} {high:g}" for band, (low, high) in EDGES.items()
    }
    return StreamHeader(
        name=f"{info.name} bands",
        kind="Bands",
        channel_format="double64",
        sfreq=0.0,
        source_id=_source_id(info),
        channels=channels,
        desc={"mimamba": {"topic": BANDS_TOPIC, "hertz": edges}},
    )


def bands_rows(powers: Sequence[BandPower]) -> NDArray[np.float64]:
    """Return (n_times, 5 n_channels + 1): power (µV²), NaN without a value; index."""
    return np.array([[*each.power.flat, each.index] for each in powers])


def event_text(entry: LinkEntry) -> str:
    """Return an event as JSON."""
    event: dict[str, str | int] = {"event": entry.event, "detail": entry.detail}
    if entry.first is not None:
        event["first"] = entry.first
    if entry.lost is not None:
        event["lost"] = entry.lost
    return msgspec.json.encode(event).decode()


def _texts(session: Session, name: str, kind: str, desc: Mapping[str, XMLTree]) -> StreamHeader:
    source = _source_id(_info(session))
    return StreamHeader(name, kind, "string", 0.0, source, [{"label": kind}], desc)


def _info(session: Session) -> StreamInfo:
    assert session.info is not None
    return session.info


def _source_id(info: StreamInfo) -> str:
    """Return the device's id, or a file's name: its folder's name could identify a person."""
    return info.source_id if info.live else Path(info.source_id).name
