"""What Home Assistant makes of discovery: its templates, with messages as they are published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jinja2
import msgspec

from mimamba.models.prediction import LabelSet, Status
from mimamba.models.signal.measures import ChannelQuality
from mimamba.service.mqtt.home_assistant import (
    DiscoveredSession,
    discovery_payload,
    discovery_topic,
    session_components,
)
from mimamba.service.protocol.messages import PredictionMessage, QualityMessage, encode
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.topics import Timing

ODD = 'mood "of {{ the }} day"\\'
SESSION = DiscoveredSession(
    "lab/eeg", "muse.1", "Muse 2", ["TP9", "AF7"], {"valence": ["low", "high"], ODD: ["a", "b'\""]},
    ("calm", "tense"), 'Say so: "simulated" }}', battery=True,
)  # fmt: skip
TIMING = Timing(0.0, 0.0, 0.0)


def rendered(template: str, payload: bytes) -> str:
    """As Home Assistant renders it, in a sandbox with the payload decoded."""
    values = {"value_json": msgspec.json.decode(payload)}
    return jinja2.Environment(autoescape=False).from_string(template).render(values)


def state(key: str, payload: bytes) -> str:
    return rendered(session_components(SESSION)[key]["value_template"], payload)


def attributes(key: str, payload: bytes) -> Any:
    template = session_components(SESSION)[key]["json_attributes_template"]
    return msgspec.json.decode(rendered(template, payload))


def prediction(status: Status = "ok", reason: str | None = None) -> bytes:
    outputs = {"valence": {"low": 0.2, "high": 0.8}, ODD: {"a": 0.1, "b'\"": 0.9}}
    shares = {"calm": 0.3, "tense": 0.7}
    made = PredictionMessage(
        "muse.1", 1, 2, 3.0, status, reason, outputs if status == "ok" else None, TIMING,
        PersonalReading(2, "ok", None, shares, "tense") if status == "ok" else None,
        {"valence": LabelSet(("low", "high"), 0.875, 8)} if status == "ok" else None,
    )  # fmt: skip
    return encode(made, binary=False)


def test_an_output_is_its_likeliest_label() -> None:
    odd = next(key for key in session_components(SESSION) if key.startswith("output-mood"))
    for key, label in (("output-valence", "high"), (odd, "b'\""), ("personal", "tense")):
        assert label in session_components(SESSION)[key]["options"]
        assert state(key, prediction()) == label
        assert state(key, prediction("poor_signal", "AF7 is flat")) == "None"  # unknown
    assert attributes("output-valence", prediction()) == {
        "probabilities": {"low": 0.2, "high": 0.8},
        "set": ["low", "high"],
        "coverage": 0.875,
        "status": "ok",
        "reason": None,
        "notice": SESSION.notice,
    }
    abstains = attributes("output-valence", prediction("poor_signal", "AF7 is flat"))
    assert (abstains["probabilities"], abstains["reason"]) == (None, "AF7 is flat")
    assert abstains["set"] is abstains["coverage"] is None
    assert attributes(odd, prediction())["probabilities"] == {"a": 0.1, "b'\"": 0.9}
    assert state("status", prediction("warming_up", "3 s")) == "warming_up"


def test_the_quality_is_that_of_the_worst_electrode_that_counts() -> None:
    channels = {
        "TP9": ChannelQuality(0.914, None),
        "AF7": ChannelQuality(0.5, "drift"),
        "AUX": ChannelQuality(0.0, "flat"),
    }
    quality = encode(QualityMessage("muse.1", 1, 2, 3.0, channels), binary=False)
    assert state("quality", quality) == "50"
    assert attributes("quality", quality)["AUX"] == {"score": 0.0, "reason": "flat"}


def test_link_and_battery() -> None:
    there = {"connected": True, "event": None, "detail": None, "timestamp": None, "battery": 80}
    gone = {"connected": False, "event": "lost", "detail": "no sample for 2 s", "battery": None}
    up, down = map(msgspec.json.encode, (there, gone))
    assert (state("link", up), state("battery", up)) == ("ON", "80")
    assert (state("link", down), state("battery", down)) == ("OFF", "None")
    assert attributes("link", down) == {"event": "lost", "detail": "no sample for 2 s"}


def test_a_session_is_one_device() -> None:
    assert discovery_topic("home", SESSION) == "home/device/lab_2feeg-muse_2e1/config"
    made = msgspec.json.decode(discovery_payload(SESSION, session_components(SESSION), ["old"]))
    parts = made["components"]
    assert parts.pop("old") == {"platform": "sensor"}  # which removes it
    assert len({each["unique_id"] for each in parts.values()}) == len(parts) == 7
    assert made["device"]["identifiers"] == ["lab_2feeg-muse_2e1"]
    assert made["availability_mode"] == "all"
    open_now = made["availability"][1]["value_template"]
    for payload, words in ((b'{"state":"open"}', "online"), (b'{"state":"closed"}', "offline")):
        assert rendered(open_now, payload) == words
    assert "configuration_url" not in made["device"]
    public = replace(SESSION, public_url="https://eeg.example.org/base")
    linked = msgspec.json.decode(discovery_payload(public, {}))
    assert linked["device"]["configuration_url"] == "https://eeg.example.org/base/#muse.1"
