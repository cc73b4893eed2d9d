"""``--mqtt-out`` as another client sees it: a real service, a real broker that comes and goes."""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import pytest
import yaml

aiomqtt = pytest.importorskip("aiomqtt", reason="the extra mqtt is not installed")

from mimamba.service.bridges.broker_address import BrokerAddress  # noqa: E402
from mimamba.service.mqtt.broker import Broker, BrokerAway  # noqa: E402
from mimamba.service.mqtt.mqtt_out import MQTTOut  # noqa: E402
from mimamba.service.mqtt.session_topics import CLOSED  # noqa: E402
from mimamba.service.protocol.messages import (  # noqa: E402
    PredictionMessage,
    QualityMessage,
    decode_server,
)
from mimamba.service.rules.rule_file import read_rules  # noqa: E402
from mimamba.service.settings.load import make_settings  # noqa: E402
from tests.service.certificates import make_certificate  # noqa: E402
from tests.service.live import Live, live  # noqa: E402
from tests.service.models import random_checkpoint  # noqa: E402
from tests.service.mqtt.mosquitto import PATIENCE, USER, Mosquitto, mosquitto  # noqa: E402
from tests.service.mqtt.mqtt_reader import heard, keep, payload_of, retained  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "home_assistant"
RULES = """
[[rule]]
name = "some alpha"
when = "band/alpha"
above = 0.0
mqtt = "lab/alpha"
[[rule]]
name = "all beta"
when = "band/beta/AF7"
below = 1
mqtt = "lamp/set"
mqtt_payload = "ON"
"""
STATES = {"mimamba/status", "mimamba/simulate-1/session", "mimamba/simulate-1/link"}
DISCOVERY = "homeassistant/device/mimamba-simulate-1/config"
OTHER = {each.replace("-1/", "-2/") for each in (*STATES, DISCOVERY)}


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@contextmanager
def started(broker: Broker) -> Iterator[MQTTOut]:
    out = MQTTOut(dict, broker, first_wait=0.05)
    out.start()
    try:
        yield out
    finally:
        out.close()


def address(broker: Mosquitto, **changes: object) -> Any:
    return make_settings({"mqtt_out": broker.url, **changes}).mqtt_out


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Reasons that the log gives why there is no broker."""
    found = [each for each in caplog.records if each.getMessage() == "no MQTT broker"]
    return [str(getattr(each, "reason", "")) for each in found]


def metric(service: Live, name: str) -> float:
    text = service.http.get("/metrics").text
    (value,) = re.findall(rf"^mimamba_mqtt_{name} (\S+)$", text, re.MULTILINE)
    return float(value)


def test_sessions_are_published_though_the_broker_goes_and_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random_checkpoint(tmp_path)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    settings: dict[str, Any] = {"model": str(tmp_path / "random.safetensors"), "rules": rules}
    with mosquitto(tmp_path) as broker:
        keep(broker, "mimamba/old-1/session", b'{"state":"open"}')  # of a service that was killed
        with live("simulate://", data_dir=tmp_path, mqtt_out=broker.url, **settings) as service:
            service.opened("simulate-1")
            messages = follow(service, broker)
            check_messages(messages)
            service.until(lambda: retained(broker)["mimamba/old-1/session"] == CLOSED)
            check_retained(broker)
            check_example(broker, messages)
            assert metric(service, "connected") == 1
            assert metric(service, "messages_total") > len(STATES)

            broker.kill()
            service.until(lambda: metric(service, "connected") == 0)
            service.until(lambda: "the connection was lost" in warnings(caplog))
            assert service.sessions()["simulate-1"]["state"] == "open"
            broker.start()  # it has forgotten all
            follow(service, broker, rules=False)
            service.until(lambda: retained(broker).keys() == STATES | {DISCOVERY})
            assert metric(service, "failures_total") >= 1

            service.http.post("/v1/sessions", json={"source": "simulate://"}).raise_for_status()
            service.until(lambda: retained(broker).keys() >= OTHER)
            broker.stop()
            service.until(lambda: metric(service, "connected") == 0)
            service.http.delete("/v1/sessions/simulate-2").raise_for_status()
            broker.start()  # it knows all, also of the session that is gone
            service.until(lambda: retained(broker).keys() == STATES | {DISCOVERY})

            service.http.delete("/v1/sessions/simulate-1").raise_for_status()
            service.until(lambda: retained(broker) == {"mimamba/status": b"online"})
        assert retained(broker) == {"mimamba/status": b"offline"}


def follow(service: Live, broker: Mosquitto, rules: bool = True) -> list[Any]:
    """Messages up to a prediction, a quality, and what the rules publish."""
    wanted = {"mimamba/simulate-1/quality"} | ({"lab/alpha", "lamp/set"} if rules else set())
    with heard(broker) as messages:
        service.until(
            lambda: (
                wanted <= {each.topic.value for each in messages}
                and any(is_sure(each) for each in messages)
            )
        )
    return messages


def is_sure(message: Any) -> bool:
    found = message.topic.value == "mimamba/simulate-1/prediction"
    return found and b'"status":"ok"' in message.payload


def check_messages(messages: list[Any]) -> None:
    """States are kept, measurements are not, and rules say what they were told to."""
    by_topic = {each.topic.value: payload_of(each) for each in messages}
    sure = next(each for each in messages if is_sure(each))
    prediction, quality = (
        decode_server(payload_of(each).decode())
        for each in (sure, next(each for each in messages if "/quality" in each.topic.value))
    )
    assert isinstance(prediction, PredictionMessage)
    assert isinstance(quality, QualityMessage)
    assert prediction.outputs is not None
    assert prediction.outputs.keys() == {"valence", "arousal"}
    assert set(quality.channels) == {"TP9", "AF7", "AF8", "TP10"}
    assert by_topic["lamp/set"] == b"ON"
    acted = msgspec.json.decode(by_topic["lab/alpha"])
    assert (acted["rule"], acted["session"]) == ("some alpha", "simulate-1")


def check_retained(broker: Mosquitto) -> None:
    kept = retained(broker)
    assert kept.keys() == STATES | {DISCOVERY, "mimamba/old-1/session"}
    assert kept["mimamba/status"] == b"online"
    session = msgspec.json.decode(kept["mimamba/simulate-1/session"])
    assert (session["state"], session["simulated"]) == ("open", True)
    assert session["outputs"] == {"valence": ["low", "high"], "arousal": ["low", "high"]}
    assert msgspec.json.decode(kept["mimamba/simulate-1/link"])["connected"] is True


def check_example(broker: Mosquitto, messages: list[Any]) -> None:
    """The example names topics and entities as they are, and templates that Jinja reads."""
    discovered = msgspec.json.decode(retained(broker)[DISCOVERY])
    topics = {each.topic.value for each in messages} | {
        rule.mqtt for rule in read_rules(EXAMPLE / "rules.toml")
    }
    device = discovered["device"]["name"]
    entities = {
        f"{each['platform']}.{slug(device)}_{slug(each['name'])}": each
        for each in discovered["components"].values()
    }
    automations = yaml.safe_load((EXAMPLE / "automations.yaml").read_text(encoding="utf-8"))
    assert len({each["id"] for each in automations}) == len(automations) == 4
    for trigger in (trigger for each in automations for trigger in each["triggers"]):
        if trigger["trigger"] == "mqtt":
            assert trigger["topic"] in topics
        else:
            entity = entities[trigger["entity_id"]]
            assert trigger["to"] in entity.get("options", ["off", "on"])
    environment = jinja2.Environment(autoescape=False)
    templates = [text for text in texts(automations) if "{{" in text]
    assert len(templates) == 5
    for text in templates:
        environment.parse(text)
        assert set(re.findall(r"\w+\.mimamba_\w+", text)) <= entities.keys()
    quality = next(payload_of(each) for each in messages if "/quality" in each.topic.value)
    bad = automations[-1]["triggers"][0]["value_template"]
    said = environment.from_string(bad).render(value_json=msgspec.json.decode(quality))
    assert said in ("bad", "good")


def slug(name: str) -> str:
    """As Home Assistant makes ids of entities."""
    return re.sub("[^a-z0-9]+", "_", name.lower())


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def test_a_refused_user_is_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mosquitto(tmp_path, guarded=True) as guarded:
        place = make_settings({"mqtt_out": f"mqtt://{USER}:wrong@127.0.0.1:{guarded.port}"})
        assert place.mqtt_out is not None
        with caplog.at_level(logging.INFO), started(Broker(place.mqtt_out)) as out:
            until(lambda: out.failures >= 3)
            with pytest.raises(BrokerAway, match="there is no connection to mqtt://home@127"):
                out.publish("a", b"b")
    (reason,) = warnings(caplog)
    assert reason.startswith(f"the broker refused the user {USER} with this password. Correct the ")
    assert "wrong" not in caplog.text


def test_an_unexpected_error_does_not_end_the_output(caplog: pytest.LogCaptureFixture) -> None:
    with started(Broker(BrokerAddress("home..lan", 1883))) as out:  # which no address can name
        until(lambda: out.failures >= 2)
    (reason,) = warnings(caplog)
    assert reason.startswith("UnicodeError: ")


def test_the_broker_says_that_the_service_is_gone(tmp_path: Path) -> None:
    wanted = [b"online", b"offline", b"online"]
    with mosquitto(tmp_path) as broker, heard(broker) as messages:
        with started(Broker(address(broker))) as out:
            until(lambda: out.connected)
            with suppress(aiomqtt.MqttError):  # the broker cuts off the first one, then this one
                keep(broker, "other", b"x", out.identifier)
            until(lambda: states(messages) == wanted and out.connected)
            out.publish("lamp", b"on")
        until(lambda: states(messages) == [*wanted, b"offline"])
        assert b"on" in [payload_of(each) for each in messages]


def states(messages: list[Any]) -> list[bytes]:
    return [payload_of(each) for each in messages if each.topic.value == "mimamba/status"]


# paho leaves the socket of a handshake that fails to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_a_certificate_of_ones_own_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = make_certificate(tmp_path)
    with mosquitto(tmp_path, certificate=certificate) as broker:
        place = address(broker, mqtt_out=broker.url.replace("mqtt:", "mqtts:"))
        with started(Broker(place, certificate.trust())) as out:
            until(lambda: out.connected)
        with started(Broker(place, ssl.create_default_context())) as out:
            until(lambda: out.failures >= 2)
    (reason,) = warnings(caplog)
    assert "name its certificate with --mqtt-cafile" in reason
