"""Acceptance of connections: limits in all and per address, and timeouts for clients that idle.

asyncio accepts until the process has no descriptor left, and then logs that thousands of times a
second. Here a limit leaves descriptors for recordings and sessions. At the limit the connection
that has waited longest for a request or a token makes room; if there is none, the new one is
closed. To accept one costs time, too, so more than a hundred a second wait in the system's queue.
The operator's log gets at most one line a minute about all of this.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mimamba.drivers.runtime.process_limits import most_descriptors
from mimamba.service.http.allowance import Allowance, Rate, StrangerAllowances
from mimamba.service.http.client_network import network_of
from mimamba.service.http.timed_http import PROGRESS, TimedHTTPProtocol
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.stream.stalled_clients import KeepaliveProtocol

log = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
"""For a TLS handshake, a request's head, each part of its body, and the end of a connection."""
RESERVED = 256
"""Descriptors for recordings, sessions and devices; at least a quarter of all, at most half."""
MOST = 8192
"""Connections, however many descriptors there are: each also needs memory."""
ACCEPTED = 64
"""Connections accepted before others are served again."""
ACCEPTANCES = Rate(256, 100)
"""Connections accepted, at once and per second: no more than some percent of a core."""
RETRY_SECONDS = 1.0
"""Until connections are accepted again, after there was no descriptor."""
LOG_SECONDS = 60.0
LOGGED = (
    "idle_connection",
    "evicted_connection",
    "refused_connection",
    "no_descriptor",
    "limited_request",
    "invalid_request",
)
"""Kinds of errors that the operator's log names once a minute, with their number."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of connections.

    Parameters
    ----------
    total
        In all.
    per_address
        From one address, or one /64 network of IPv6; trusted proxies have no such limit.
    seconds
        For a TLS handshake, a request's head, each part of its body, and a connection's end.
    """

    total: int
    per_address: int
    seconds: float = REQUEST_SECONDS


def default_limits(descriptors: int | None = None) -> ConnectionLimits:
    """Return the limits that this many descriptors allow. Default: those of this process."""
    if descriptors is None:
        descriptors = most_descriptors() or 2 * MOST
    reserved = max(descriptors // 4, min(RESERVED, descriptors // 2))
    total = max(1, min(MOST, descriptors - reserved))
    return ConnectionLimits(total, max(1, total // 2))


@dataclass(eq=False)
class Accepted:
    """A connection.

    Attributes
    ----------
    network
        The client's address, or its IPv6 network.
    tls
        Whether it uses TLS.
    task
        Makes the transport, which takes a TLS handshake's time.
    transport
        None until then.
    closing
        Since when it closes, and the bytes that it had to write; None while it does not.
    """

    network: str
    tls: bool
    task: asyncio.Task[asyncio.Transport]
    transport: asyncio.Transport | None = None
    closing: tuple[float, int] | None = None

    @property
    def idle(self) -> bool:
        """True if it can be closed without a loss: nothing was asked, or by nobody known."""
        if self.transport is None:
            return True
        if self.transport.is_closing():
            return False
        protocol = self.transport.get_protocol()
        if isinstance(protocol, KeepaliveProtocol):
            return protocol.unknown
        return isinstance(protocol, TimedHTTPProtocol) and protocol.idle

    def abort(self) -> None:
        """Close it, with everything that waits."""
        if self.transport is None:
            self.task.cancel()
        else:
            self.transport.abort()

    def is_overdue(self, now: float, seconds: float) -> bool:
        """Return whether its client has made no progress for too long."""
        if self.transport is None:
            return False  # the handshake has a timeout
        if self.transport.is_closing():
            if self.tls:  # asyncio limits its end, and may have taken the transport apart
                return False
            left = self.transport.get_write_buffer_size()
            if self.closing is None or self.closing[1] - left >= PROGRESS:
                self.closing = (now, left)
            return now - self.closing[0] >= seconds
        protocol = self.transport.get_protocol()
        return isinstance(protocol, TimedHTTPProtocol) and protocol.is_overdue(now, seconds)


class Acceptor:
    """Accepts the connections of one listening socket.

    Parameters
    ----------
    listener
        The socket.
    make_protocol
        Returns a new connection's protocol.
    context
        For TLS, or None.
    limits
        Numbers and times.
    counters
        Of the service: ``errors`` gets ``idle_connection``, ``evicted_connection``,
        ``refused_connection`` and ``no_descriptor``.
    strangers
        Allowances of each address, of which TLS handshakes need one.
    is_proxy
        Returns whether an address may have any number of connections.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        limits: ConnectionLimits,
        counters: ServiceCounters,
        strangers: StrangerAllowances,
        is_proxy: Callable[[str], bool],
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._context = context
        self._limits = limits
        self._counters = counters
        self._strangers = strangers
        self._is_proxy = is_proxy
        self._loop = asyncio.get_running_loop()
        self._acceptances = Allowance(ACCEPTANCES, self._loop.time)
        self._connections: dict[socket.socket, Accepted] = {}  # the oldest first
        self._counts: Counter[str] = Counter()  # by network
        self._full: set[str] = set()  # networks without an idle connection, until the next check
        self._retry: asyncio.TimerHandle | None = None
        self._logged_errors: Counter[str] = Counter()
        self._logged = self._loop.time() - LOG_SECONDS
        self._accepting: asyncio.Task[None] | None = None
        listener.setblocking(False)
        try:
            self._loop.add_reader(listener, self._accept_all)
        except NotImplementedError:  # the loop of Windows
            self._accepting = self._loop.create_task(self._accept_one_by_one())

    async def close(self) -> None:
        """Accept no more; connections that are being made are closed."""
        if self._retry is not None:
            self._retry.cancel()
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        elif self._listener.fileno() != -1:
            self._loop.remove_reader(self._listener)
        for _ in range(3):  # one without TLS needs no longer
            await asyncio.sleep(0)
        making = [each for each in self._connections.values() if each.transport is None]
        for each in making:
            each.abort()
        await asyncio.gather(*(each.task for each in making), return_exceptions=True)

    def check(self) -> None:
        """Abort connections whose clients have made no progress for too long; call it every second.

        Then log what has happened, if the last such line is a minute old.
        """
        now = self._loop.time()
        self._forget_closed()
        for each in self._connections.values():
            if each.is_overdue(now, self._limits.seconds):
                each.abort()
                self._note("idle_connection")
        errors = Counter({kind: self._counters.errors[kind] for kind in LOGGED})
        new = errors - self._logged_errors
        if new and now - self._logged >= LOG_SECONDS:
            self._logged, self._logged_errors = now, errors
            kinds = ", ".join(f"{kind}: {n}" for kind, n in sorted(new.items()))
            log.warning("connections were closed", extra={"count": new.total(), "reason": kinds})

    def _note(self, kind: str) -> None:
        self._counters.errors[kind] += 1

    def _accept_all(self) -> None:
        for _ in range(ACCEPTED):
            try:
                client, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor or no memory is left, and it stays readable
                self._note("no_descriptor")
                self._pause(RETRY_SECONDS)
                return
            self._take(client, str(address[0]))
            if wait := self._acceptances.take(""):
                self._pause(wait)
                return

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(seconds, self._accept_again)

    async def _accept_one_by_one(self) -> None:
        """Accept connections where the event loop has no ``add_reader``."""
        while self._listener.fileno() != -1:
            try:
                client, address = await self._loop.sock_accept(self._listener)
            except ConnectionAbortedError:
                continue
            except OSError:  # as above
                self._note("no_descriptor")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._take(client, str(address[0]))
            await asyncio.sleep(self._acceptances.take(""))

    def _accept_again(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listener, self._accept_all)

    def _take(self, client: socket.socket, address: str) -> None:
        network = network_of(address)
        if not self._make_room(network, self._is_proxy(address)):
            self._note("refused_connection")
            client.close()
            return
        wait = 0.0
        if self._context is not None and not self._is_proxy(address):
            wait = self._strangers.handshakes.take(address)
        task = self._loop.create_task(self._connect(client, wait))
        task.add_done_callback(partial(self._on_connected, client))
        self._connections[client] = Accepted(network, self._context is not None, task)
        self._counts[network] += 1

    def _make_room(self, network: str, proxy: bool) -> bool:
        """Return whether there is room for a connection, which may have been made just now."""
        if not proxy and self._counts[network] >= self._limits.per_address:
            return self._evict(network)
        return len(self._connections) < self._limits.total or self._evict("")

    def _evict(self, network: str) -> bool:
        """Abort the oldest idle connection, of a network if one is named; return if there is one.

        To look for one takes time, so it is not looked for again before the next check.
        """
        if network in self._full:
            return False
        for client, each in self._connections.items():
            if each.idle and network in ("", each.network):
                each.abort()
                self._forget(client)
                self._note("evicted_connection")
                return True
        self._full.add(network)
        return False

    def _forget_closed(self) -> None:
        self._full.clear()
        for client in [each for each in self._connections if each.fileno() == -1]:
            self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        network = self._connections.pop(client).network
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]

    async def _connect(self, client: socket.socket, wait: float) -> asyncio.Transport:
        """Make the connection; where an address begins too many handshakes, after a wait."""
        if wait:
            await asyncio.sleep(wait)
        seconds = self._limits.seconds if self._context else None
        transport, _ = await self._loop.connect_accepted_socket(
            self._make_protocol,
            client,
            ssl=self._context,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        return transport

    def _on_connected(self, client: socket.socket, task: asyncio.Task[asyncio.Transport]) -> None:
        if task.cancelled() or task.exception() is not None:
            client.close()
            if not task.cancelled() and isinstance(task.exception(), ConnectionAbortedError):
                self._note("idle_connection")  # the handshake took too long
            return
        accepted = self._connections.get(client)
        if accepted is None:  # evicted while its handshake ended
            task.result().abort()
        else:
            accepted.transport = task.result()
