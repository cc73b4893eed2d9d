"""An MQTT broker: the settings of a connection, and why there is none."""

from __future__ import annotations

import re
import secrets
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mimamba.drivers.errors import LibraryMissing, UserError
from mimamba.service.bridges.broker_address import BrokerAddress
from mimamba.service.client.credentials import tls_context
from mimamba.service.settings.settings import DoctorSettings

if TYPE_CHECKING:
    from aiomqtt import Client

PATIENCE = 5.0
"""Seconds for an answer of the broker."""
KEEPALIVE = 15
"""Seconds without a message after which broker and client ask if the other one is there."""
ONLINE, OFFLINE = b"online", b"offline"
REFUSED = (134, 135)
"""Reason codes for a wrong user name or password, and for a user who may not connect."""
REMEDY = (
    "Correct the user in --mqtt-out, and MIMAMBA_MQTT_PASSWORD or the file of --mqtt-password-file"
)


class BadBroker(UserError):
    """The settings of the broker cannot be used. The message never contains a password."""


class BrokerAway(UserError):
    """There is no connection to the broker, or it did not take a message."""


@dataclass(frozen=True)
class Broker:
    """A broker, and how to publish there.

    Parameters
    ----------
    address
        Of the broker, with the password.
    trust
        Certificates to trust; None without TLS.
    discovery
        Prefix of Home Assistant's discovery; None for none.
    """

    address: BrokerAddress
    trust: ssl.SSLContext | None = None
    discovery: str | None = None

    def make_client(self, identifier: str, will: bool = True) -> Client:
        """Return a client that is not connected yet; its last will is that the service is gone."""
        import aiomqtt

        address = self.address
        last = aiomqtt.Will(f"{address.prefix}/status", OFFLINE, qos=1, retain=True)
        return aiomqtt.Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=identifier,
            will=last if will else None,
            timeout=PATIENCE,
            keepalive=KEEPALIVE,
            tls_context=self.trust,
        )


def find_broker(settings: DoctorSettings, discovery: str | None = None) -> Broker | None:
    """Return the broker of the settings; None if they name none.

    The password is that of the file, else of MIMAMBA_MQTT_PASSWORD, else of the address.

    Raises
    ------
    LibraryMissing
        If aiomqtt is not installed.
    BadBroker
        If the file of the password cannot be read, or there is a password without a user.
    BadCertificate
        If the certificates to trust cannot be read.
    """
    address = settings.mqtt_out
    if address is None:
        return None
    require_library()
    given = settings.mqtt_password
    if settings.mqtt_password_file is not None:
        address = replace(address, password=_read_password(settings.mqtt_password_file))
    elif given is not None and given.get_secret_value():
        address = replace(address, password=given.get_secret_value())
    if address.password is not None and address.user is None:
        raise BadBroker(
            f"Expected a user with the password for {address}, but found none. "
            "Write mqtt://USER@HOST."
        )
    trusted = tls_context(settings.mqtt_cafile) if address.secure else None
    return Broker(address, trusted, discovery)


def require_library() -> None:
    """Raise LibraryMissing if aiomqtt is not installed."""
    try:
        import aiomqtt  # noqa: F401
    except ImportError as error:
        raise LibraryMissing(
            "the package aiomqtt", str(error), "install it: pip install aiomqtt"
        ) from error


async def ask_broker(broker: Broker) -> None:
    """Connect once, and leave again; raises BrokerAway with the reason if that fails."""
    import aiomqtt

    try:
        async with broker.make_client(f"mimamba-{secrets.token_hex(4)}", will=False):
            pass
    except aiomqtt.MqttError as error:
        raise BrokerAway(describe_failure(error, broker)) from error


def describe_failure(error: Exception, broker: Broker) -> str:
    """Return why there is no connection, in words, with what to do where that is known."""
    code = getattr(getattr(error, "rc", None), "value", None)
    if code in REFUSED:
        user = broker.address.user
        refused = f"the user {user} with this password" if user else "a client without a user"
        return f"the broker refused {refused}. {REMEDY}"
    text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"{text}. If it is the right broker, name its certificate with --mqtt-cafile"
    return text


def _read_password(path: Path) -> str:
    """Return the first line of a file."""
    try:
        line = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise BadBroker(
            f"Cannot read the broker's password from {path}: {reason}. Correct the path."
        ) from error
    if not line:
        raise BadBroker(
            f"Expected the broker's password on the first line of {path}, but found none. "
            "Write it there."
        )
    return line
