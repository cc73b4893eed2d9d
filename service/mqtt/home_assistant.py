"""Discovery for Home Assistant: a session as a device with its sensors.

One retained message for each session (device discovery, Home Assistant 2024.11 and later):
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec

Component: TypeAlias = dict[str, Any]

PREFIX = "homeassistant"
"""Where Home Assistant looks for discovery, unless it is told otherwise."""
EXPIRY = 30
"""Seconds after which a prediction or a quality without a successor is not shown any more."""
STATUSES: Final = ("ok", "warming_up", "poor_signal")
UNKNOWN = "'None'"
"""Template of a sensor's payload for an unknown state."""


@dataclass(frozen=True)
class DiscoveredSession:
    """Facts about a session that discovery tells.

    Parameters
    ----------
    prefix
        Of the service's topics.
    name
        Id of the session.
    device
        Name of its headset.
    channels
        Channels of the electrodes that count for the quality.
    outputs
        Labels of each of the model's outputs; empty without a model.
    states
        States of the person's own output; empty without one.
    notice
        To show wherever predictions are shown.
    battery
        Whether the headset reports its charge.
    public_url
        Address of the page; None where it is not known.
    """

    prefix: str
    name: str
    device: str
    channels: Sequence[str]
    outputs: Mapping[str, Sequence[str]]
    states: Sequence[str] = ()
    notice: str | None = None
    battery: bool = False
    public_url: str | None = None

    @property
    def id(self) -> str:
        """The device's id in Home Assistant; it may contain letters, digits, '-' and '_' only."""
        return f"{_slug(self.prefix)}-{_slug(self.name)}"

    def topic(self, part: str) -> str:
        """Return one of the session's topics."""
        return f"{self.prefix}/{self.name}/{part}"


def discovery_topic(discovery: str, session: DiscoveredSession) -> str:
    """Return the topic at which Home Assistant looks for a session."""
    return f"{discovery}/device/{session.id}/config"


def session_components(session: DiscoveredSession) -> dict[str, Component]:
    """Return the sensors of a session by their keys."""
    return {
        key: {"unique_id": f"{session.id}-{key}", **component}
        for key, component in _components(session)
    }


def discovery_payload(
    session: DiscoveredSession, components: Mapping[str, Component], gone: Collection[str] = ()
) -> bytes:
    """Return the message that makes a session a device.

    Parameters
    ----------
    session
        The session.
    components
        Its sensors.
    gone
        Keys of sensors that it had before; a key that is only left out would stay.
    """
    installed = version("mimamba")
    page = session.public_url and f"{session.public_url}/#{quote(session.name, safe='')}"
    open_now = "{{ 'online' if value_json.state == 'open' else 'offline' }}"
    return msgspec.json.encode(
        {
            "device": {
                "identifiers": [session.id],
                "name": f"mimamba {session.name}",
                "manufacturer": "mimamba",
                "model": session.device,
                "sw_version": installed,
                **({"configuration_url": page} if page else {}),
            },
            "origin": {"name": "mimamba", "sw_version": installed},
            "availability": [
                {"topic": f"{session.prefix}/status"},
                {"topic": session.topic("session"), "value_template": open_now},
            ],
            "availability_mode": "all",
            "components": {**components, **{key: {"platform": "sensor"} for key in gone}},
        }
    )


def _components(session: DiscoveredSession) -> Iterator[tuple[str, Component]]:
    for output, labels in session.outputs.items():
        yield f"output-{_slug(output)}", _output(session, output, labels)
    if session.states:
        yield "personal", _personal(session)
    if session.outputs:
        yield "status", _status(session)
    yield "quality", _quality(session)
    yield "link", _link(session)
    if session.battery:
        yield "battery", _battery(session)


def _output(session: DiscoveredSession, output: str, labels: Sequence[str]) -> Component:
    """Return the sensor of an output: its likeliest label, unknown while the model abstains."""
    shares = f"(value_json.outputs or {{}}).get({_text(output)})"
    found = f"((value_json.set or {{}}).get({_text(output)}) or {{}})"
    likeliest = f"({shares} | dictsort(false, 'value') | last)[0]"
    return _prediction_sensor(session, output.capitalize()) | {
        "value_template": f"{{{{ {likeliest} if {shares} else {UNKNOWN} }}}}",
        "device_class": "enum",
        "options": list(labels),
        "json_attributes_template": _attributes(
            probabilities=shares,
            set=f"{found}.get('labels')",
            coverage=f"{found}.get('coverage')",
            status="value_json.status",
            reason="value_json.reason",
            notice=_text(session.notice),
        ),
    }


def _personal(session: DiscoveredSession) -> Component:
    """Return the sensor of the person's own output, unknown where it is not sure."""
    state = "(value_json.personal or {}).get('state')"
    return _prediction_sensor(session, "Personal") | {
        "value_template": f"{{{{ {state} or {UNKNOWN} }}}}",
        "device_class": "enum",
        "options": list(session.states),
        "json_attributes_template": _attributes(
            probabilities="(value_json.personal or {}).get('probabilities')",
            status="(value_json.personal or {}).get('status')",
            reason="(value_json.personal or {}).get('reason')",
        ),
    }


def _status(session: DiscoveredSession) -> Component:
    return _prediction_sensor(session, "Prediction") | {
        "value_template": "{{ value_json.status }}",
        "device_class": "enum",
        "options": list(STATUSES),
        "entity_category": "diagnostic",
        "json_attributes_template": _attributes(reason="value_json.reason"),
    }


def _prediction_sensor(session: DiscoveredSession, name: str) -> Component:
    topic = session.topic("prediction")
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "json_attributes_topic": topic,
        "expire_after": EXPIRY,
    }


def _quality(session: DiscoveredSession) -> Component:
    """Return the sensor of the worst electrode that counts."""
    scores = ", ".join(f"value_json.channels[{_text(each)}].score" for each in session.channels)
    topic = session.topic("quality")
    return {
        "platform": "sensor",
        "name": "Signal quality",
        "state_topic": topic,
        "value_template": f"{{{{ (100 * ([{scores}] | min)) | round | int }}}}",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "expire_after": EXPIRY,
        "json_attributes_topic": topic,
        "json_attributes_template": "{{ value_json.channels | tojson }}",
    }


def _link(session: DiscoveredSession) -> Component:
    topic = session.topic("link")
    return {
        "platform": "binary_sensor",
        "name": "Link",
        "state_topic": topic,
        "value_template": "{{ 'ON' if value_json.connected else 'OFF' }}",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "json_attributes_topic": topic,
        "json_attributes_template": _attributes(
            event="value_json.event", detail="value_json.detail"
        ),
    }


def _battery(session: DiscoveredSession) -> Component:
    return {
        "platform": "sensor",
        "name": "Battery",
        "state_topic": session.topic("link"),
        "value_template": f"{{{{ {UNKNOWN} if value_json.battery is none "
        "else value_json.battery }}",
        "device_class": "battery",
        "unit_of_measurement": "%",
        "entity_category": "diagnostic",
    }


def _attributes(**expressions: str) -> str:
    """Return a template of attributes, each an expression of Jinja."""
    pairs = ", ".join(f"{_text(name)}: {each}" for name, each in expressions.items())
    return f"{{{{ {{{pairs}}} | tojson }}}}"


def _text(value: str | None) -> str:
    """Write a text as an expression of Jinja, which reads JSON's escapes."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _slug(name: str) -> str:
    """Write a name with letters, digits and hyphens; others as their number, so that none clash."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}", name)
