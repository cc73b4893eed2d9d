"""Address of an MQTT broker: ``mqtt://user:password@host:1883/prefix``, with ``mqtts`` for TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Ports of MQTT without and with TLS, as registered with IANA."""
PREFIX = "mimamba"
"""Prefix of the topics where an address names none."""
MOST_TOPIC = 200
"""Characters of a topic that a person chooses; MQTT allows 65,535 bytes."""


class BadAddress(ValueError):
    """The address of a broker is not valid. The message never contains a password."""


@dataclass(frozen=True)
class BrokerAddress:
    """A broker, and the place of a service's topics there.

    Parameters
    ----------
    host, port
        Of the broker.
    prefix
        First levels of all topics.
    secure
        Whether to use TLS.
    user, password
        None where the broker asks for none.
    """

    host: str
    port: int
    prefix: str = PREFIX
    secure: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Write it without its password."""
        scheme = "mqtts" if self.secure else "mqtt"
        user = "" if self.user is None else f"{self.user}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{user}{host}:{self.port}/{self.prefix}"


def parse_address(text: str) -> BrokerAddress:
    """Parse an address; raises BadAddress."""
    if re.search("[?#]", text):
        raise _bad(text, "one with '?' or '#'")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad(text, "another") from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise _bad(text, "another")
    if "@" in parts.path:  # the first '/' is most likely one of the password
        raise _bad(text, "one with '@' after '/'")
    if not _is_name(parts.hostname):
        raise _bad(text, f"the host {parts.hostname!r}")
    prefix = unquote(parts.path).strip("/") or PREFIX
    if not is_topic(prefix):
        raise _bad(text, f"the prefix {prefix!r}")
    user, password = (each and unquote(each) for each in (parts.username, parts.password))
    return BrokerAddress(
        parts.hostname,
        port or PORTS[parts.scheme],
        prefix,
        parts.scheme == "mqtts",
        user or None,
        password or None,
    )


def is_topic(value: object) -> bool:
    """Return whether a value is a topic to publish to (MQTT 3.1.1, section 4.7).

    Wildcards are not allowed there, a topic that begins with ``$`` is the broker's own, and an
    empty level is mostly a mistake.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= MOST_TOPIC
        and value.isprintable()
        and not value.startswith("$")
        and all(value.split("/"))
        and not re.search(r"[+#]", value)
    )


def _is_name(host: str) -> bool:
    """Return whether a host can be looked up: its parts are neither empty nor too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _bad(text: str, found: str) -> BadAddress:
    _, at, rest = text.rpartition("@")
    shown = f"***@{rest}" if at else text
    return BadAddress(
        f"Expected the address of a broker, such as mqtt://host:1883/{PREFIX}, but found {found} "
        f"({shown!r}). Begin it with mqtt:// or mqtts://, write '/', '@', ':', '?' and '#' of a "
        "password as %2F, %40, %3A, %3F and %23, and use no '+', '@' or empty level in the prefix."
    )
