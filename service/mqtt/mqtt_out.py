"""MQTT output: it reads the sessions' logs, and publishes them to a broker that may come and go.

All of it happens in a thread with an event loop of its own: a broker that is slow or away delays
neither a session nor the service.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from typing import TYPE_CHECKING

from mimamba.service.mqtt.broker import (
    OFFLINE,
    ONLINE,
    PATIENCE,
    Broker,
    BrokerAway,
    describe_failure,
    require_library,
)
from mimamba.service.mqtt.session_topics import CLOSED, SessionTopics, TopicNews, closed_state
from mimamba.service.sessions.session import Session

if TYPE_CHECKING:
    from aiomqtt import Client

log = logging.getLogger(__name__)

WAKE = 0.1
"""Seconds between two reads of the logs: the maximal delay."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until the next attempt to connect; they double with each that fails."""
GOODBYE_SECONDS = 1.0
"""For the last messages, when the service ends."""
LOST = "the connection was lost"


class MQTTOut:
    """Topics of each session, from its opening until its deletion.

    Parameters
    ----------
    sessions
        Returns the sessions by id; called in the thread.
    broker
        Where to publish.
    ending
        Returns whether the service ends; called in the thread. Sessions that go then stay known to
        Home Assistant.
    first_wait
        Seconds until the second attempt to connect.
    public_url
        Address of the page, for links to the sessions; None for none.

    Attributes
    ----------
    identifier
        Its client id: the same in all connections, so that the broker ends one that hangs, with its
        will, before the next begins.
    connected
        Whether the broker is there.
    sent
        Number of messages that it was sent.
    failures
        Number of connections that were lost, or could not be made.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, Session]],
        broker: Broker,
        ending: Callable[[], bool] = lambda: False,
        first_wait: float = FIRST_WAIT,
        public_url: str | None = None,
    ) -> None:
        require_library()
        self._public_url = public_url
        self._sessions, self._broker, self._ending = sessions, broker, ending
        self._first_wait = first_wait
        self.identifier = f"mimamba-{secrets.token_hex(4)}"
        self.connected = False
        self.sent = 0
        self.failures = 0
        self._reason: str | None = None
        self._followed: dict[Session, SessionTopics] = {}
        self._left_over: set[str] = set()
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt out")

    def start(self) -> None:
        """Start to connect and to publish."""
        self._thread.start()

    def close(self) -> None:
        """Say goodbye and stop; returns when the thread has ended."""
        self._closed.set()
        self._thread.join()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish a message, and wait until the broker has it; from another thread.

        Raises
        ------
        BrokerAway
            If there is no connection, or the broker does not take it in time.
        """
        import aiomqtt

        client, loop = self._client, self._loop
        if client is None or loop is None or self._closed.is_set():
            raise BrokerAway(f"there is no connection to {self._broker.address}")
        news = TopicNews(topic, payload, retain=False)
        sending = asyncio.run_coroutine_threadsafe(self._publish(client, news, qos=1), loop)
        try:
            sending.result(PATIENCE)
        except (aiomqtt.MqttError, TimeoutError, FutureCancelled) as error:
            sending.cancel()
            raise BrokerAway(f"{self._broker.address} did not take it: {error}") from error

    # In the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        # The client watches sockets, which the usual event loop of Windows cannot.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._serve())
        while not (self._closed.is_set() or serving.done()):
            await asyncio.sleep(WAKE)
        serving.cancel()
        await asyncio.wait({serving}, timeout=GOODBYE_SECONDS)
        serving.cancel()  # the broker does not answer
        with suppress(asyncio.CancelledError):
            await serving

    async def _serve(self) -> None:
        """Connect again and again."""
        import aiomqtt

        wait = self._first_wait
        while not self._closed.is_set():
            made = False
            try:
                async with self._broker.make_client(self.identifier) as client:
                    made = True
                    await self._follow(client)
            except aiomqtt.MqttError as error:
                wait = self._first_wait if made else wait
                self._note_failure(LOST if made else describe_failure(error, self._broker))
            except Exception as error:  # noqa: BLE001 (it ends this connection, not the output)
                self._note_failure(f"{type(error).__name__}: {error}", error)
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # not all at once, after a restart
            wait = min(2 * wait, LONGEST_WAIT)

    async def _follow(self, client: Client) -> None:
        """Publish until the connection is lost, which raises MqttError, or the service ends."""
        import aiomqtt

        address = self._broker.address
        listening = asyncio.create_task(self._listen(client))
        try:
            # Before subscribing: else their states would come back as those of another service.
            await self._remove_gone(client, self._present())
            for topics in self._followed.values():
                topics.restart()
            await client.subscribe(f"{address.prefix}/+/session", qos=1)
            await self._publish(client, TopicNews(f"{address.prefix}/status", ONLINE, retain=True))
            self._note_connection(client)
            while not listening.done():
                await self._send_news(client)
                await asyncio.sleep(WAKE)
            await listening
        except aiomqtt.MqttError:
            raise
        except BaseException:  # the end, or an error: the broker gets no last will
            await self._say_goodbye(client)
            raise
        finally:
            self._client, self.connected = None, False
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, client: Client) -> None:
        """Note sessions that a service left behind which did not end well."""
        async for message in client.messages:
            if message.retain and message.payload not in (b"", CLOSED):
                self._left_over.add(message.topic.value.split("/")[-2])

    async def _send_news(self, client: Client) -> None:
        present = self._present()
        await self._remove_gone(client, present)
        address = self._broker.address
        while self._left_over:
            name = self._left_over.pop()
            if all(each.name != name for each in present):
                await self._publish(client, closed_state(address.prefix, name))
        for session in present:
            if session not in self._followed:
                self._followed[session] = SessionTopics(
                    session, address.prefix, self._broker.discovery, self._public_url
                )
            for news in self._followed[session].news():
                await self._publish(client, news)

    def _present(self) -> list[Session]:
        return [each for each in list(self._sessions().values()) if each.logs is not None]

    async def _remove_gone(self, client: Client, present: list[Session]) -> None:
        """Remove states of sessions that are gone; they stay known until the broker has it."""
        for gone in self._followed.keys() - set(present):
            topics = self._followed[gone]
            for news in [topics.closing()] if self._ending() else topics.removal():
                await self._publish(client, news)
            del self._followed[gone]

    async def _publish(self, client: Client, news: TopicNews, qos: int | None = None) -> None:
        """Publish; the broker confirms states, and measurements are soon replaced by others."""
        quality = int(news.retain) if qos is None else qos
        await client.publish(news.topic, news.payload, quality, news.retain)
        self.sent += 1

    async def _say_goodbye(self, client: Client) -> None:
        import aiomqtt

        prefix = self._broker.address.prefix
        with suppress(aiomqtt.MqttError):
            for topics in self._followed.values():
                await self._publish(client, topics.closing())
            await self._publish(client, TopicNews(f"{prefix}/status", OFFLINE, retain=True))

    def _note_connection(self, client: Client) -> None:
        self._client, self.connected, self._reason = client, True, None
        log.info("MQTT broker connected", extra={"address": str(self._broker.address)})

    def _note_failure(self, reason: str, unexpected: Exception | None = None) -> None:
        """Count a failure, and log it unless the one before had the same reason."""
        self.failures += 1
        if reason != self._reason and not self._closed.is_set():
            extra = {"address": str(self._broker.address), "reason": reason}
            log.warning("no MQTT broker", extra=extra, exc_info=unexpected)
        self._reason = reason
