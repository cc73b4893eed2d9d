"""Check of the MQTT broker that the settings name."""

from __future__ import annotations

import asyncio

from mimamba.drivers.errors import UserError
from mimamba.service.doctor.finding import Finding, fail, ok
from mimamba.service.mqtt.broker import Broker, BrokerAway, ask_broker, find_broker
from mimamba.service.settings.settings import DoctorSettings

NAME = "MQTT broker"


def check_broker(settings: DoctorSettings) -> Finding:
    """Check that the broker is there and lets this user in. Nothing is published."""
    try:
        broker = find_broker(settings)
        assert broker is not None
        _ask(broker)
    except BrokerAway as error:
        return fail(NAME, f"{settings.mqtt_out}: {error}", "see docs/guide/home-automation.md")
    except UserError as error:
        return fail(NAME, str(error), "see docs/guide/home-automation.md")
    return ok(NAME, f"{broker.address} answers")


def _ask(broker: Broker) -> None:
    # The client watches sockets, which the usual event loop of Windows cannot.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(ask_broker(broker))
