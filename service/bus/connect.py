"""Connection to the bus at an address."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

from mimamba.service.bus.bus import Bus, BusUnreachable

USER, PASSWORD, AUTHORITY = "MIMAMBA_BUS_USER", "MIMAMBA_BUS_PASSWORD", "MIMAMBA_BUS_CA"
"""Variables of the environment with user and password, and the file with the certificate (PEM) of
who signed the server's; a command line or an address would show a password to other users."""


async def connect_bus(url: str, name: str = "mimamba") -> Bus:
    """Connect to the NATS server at ``nats://host:4222``, or to one of several.

    Raises
    ------
    BusUnreachable
        If nats-py is missing, the certificate's file cannot be read, or no usable server answers.
    """
    try:
        from mimamba.service.bus.nats_bus import NATSBus
    except ImportError as error:
        raise BusUnreachable(
            f"Expected nats-py, but found none ({error}). Install it: pip install nats-py."
        ) from None
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    return await NATSBus.connect(url, name, user, password, find_trust())


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
