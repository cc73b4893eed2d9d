"""A real MQTT client that reads all topics, and what a broker keeps."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from aiomqtt import Client, Message

from tests.service.mqtt.mosquitto import PATIENCE, Mosquitto


def payload_of(message: Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload


async def _read_all(port: int, take: Callable[[Message], None], ready: threading.Event) -> None:
    async with Client("127.0.0.1", port) as client:
        await client.subscribe("#")
        ready.set()
        async for message in client.messages:
            take(message)


@contextmanager
def heard(broker: Mosquitto) -> Iterator[list[Message]]:
    """All messages from now on, those that the broker keeps first."""
    messages: list[Message] = []
    ready, over = threading.Event(), threading.Event()

    async def read() -> None:
        reading = asyncio.create_task(_read_all(broker.port, messages.append, ready))
        while not over.is_set():
            await asyncio.sleep(0.02)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading

    thread = threading.Thread(target=lambda: asyncio.run(read()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield messages
    finally:
        over.set()
        thread.join()


def retained(broker: Mosquitto) -> dict[str, bytes]:
    """What the broker keeps, by topic."""

    async def read() -> dict[str, bytes]:
        kept: dict[str, bytes] = {}
        end = f"end/{secrets.token_hex(4)}"
        async with Client("127.0.0.1", broker.port) as client, asyncio.timeout(PATIENCE):
            await client.subscribe("#")
            await client.publish(end, b"x")  # comes after all that is kept
            async for message in client.messages:
                if message.topic.value == end:
                    break
                if message.retain:
                    kept[message.topic.value] = payload_of(message)
        return kept

    return asyncio.run(read())


def keep(broker: Mosquitto, topic: str, payload: bytes, identifier: str | None = None) -> None:
    """Have the broker keep a message."""

    async def send() -> None:
        async with Client("127.0.0.1", broker.port, identifier=identifier) as client:
            await client.publish(topic, payload, qos=1, retain=True)

    asyncio.run(send())
