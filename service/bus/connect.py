"""Connection to the bus at an address."""

from __future__ import annotations

import asyncio

from mimamba.service.bus.bus import Bus, BusUnreachable


async def connect_bus(url: str, name: str = "mimamba") -> Bus:
    """Connect to the NATS server at ``nats://host:4222``, or to one of several.

    Raises
    ------
    BusUnreachable
        If nats-py is missing, or no usable server answers.
    """
    try:
        from mimamba.service.bus.nats_bus import NATSBus
    except ImportError as error:
        raise BusUnreachable(
            f"Expected nats-py, but found none ({error}). Install it: pip install nats-py."
        ) from None
    return await NATSBus.connect(url, name=name)


def check_bus(url: str) -> None:
    """Raise BusUnreachable where there is no usable bus."""

    async def check() -> None:
        await (await connect_bus(url)).close()

    asyncio.run(check())
