"""Connection to the bus at an address."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from mimamba.service.bus.bus import Bus, BusUnreachable

if TYPE_CHECKING:
    from mimamba.service.bus.user_credentials import UserCredentials

USER, PASSWORD, AUTHORITY = "MIMAMBA_BUS_USER", "MIMAMBA_BUS_PASSWORD", "MIMAMBA_BUS_CA"
"""Variables of the environment with user and password, and the file with the certificate (PEM) of
who signed the server's; a command line or an address would show a password to other users."""
CREDENTIALS = "MIMAMBA_BUS_CREDS"
"""Variable with the path of a credentials file, for a server with accounts."""


async def connect_bus(url: str, name: str = "mimamba") -> Bus:
    """Connect to the NATS server at ``nats://host:4222``, or to one of several.

    Raises
    ------
    BusUnreachable
        If nats-py is missing, a file of the environment cannot be read, or no usable server
        answers.
    """
    try:
        from mimamba.service.bus.nats_bus import NATSBus
    except ImportError as error:
        raise BusUnreachable(
            f"Expected nats-py, but found none ({error}). Install it: pip install nats-py."
        ) from None
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    credentials = find_credentials()
    if credentials is not None and user:
        raise BusUnreachable(
            f"Expected {CREDENTIALS} or {USER}, but found both. Leave one of them out."
        )
    return await NATSBus.connect(url, name, user, password, find_trust(), credentials)


def find_credentials() -> UserCredentials | None:
    """Return the credentials of the file that the environment names; None if it names none.

    Raises BusUnreachable as ``read_credentials``.
    """
    path = os.environ.get(CREDENTIALS)
    if not path:
        return None
    try:
        from mimamba.service.bus.user_credentials import read_credentials
    except ImportError as error:
        raise BusUnreachable(
            f"Expected cryptography, but found none ({error}). Install it: pip install "
            "cryptography."
        ) from None
    return read_credentials(Path(path))


def find_trust() -> ssl.SSLContext | None:
    """Return whose certificates to trust, if the environment names a file; else None."""
    path = os.environ.get(AUTHORITY)
    if not path:
        return None
    try:
        return ssl.create_default_context(cadata=Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:  # ValueError also for what is no text
        reason = getattr(error, "strerror", None) or str(error)
        raise BusUnreachable(
            f"Expected a certificate in {path}, but found: {reason}. Correct {AUTHORITY}."
        ) from None


def check_bus(url: str) -> None:
    """Raise BusUnreachable where there is no usable bus."""

    async def check() -> None:
        await (await connect_bus(url)).close()

    asyncio.run(check())
