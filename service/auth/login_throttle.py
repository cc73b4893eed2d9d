"""Limit on how often an address may send a wrong token."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_FAILURES = 10
"""Wrong tokens from one address within ``SECONDS``."""
SECONDS = 60.0
MAX_ADDRESSES = 4096
"""Addresses whose failures are remembered; the one that failed first is forgotten first."""


class LoginThrottle:
    """Failures of each address.

    Parameters
    ----------
    now
        A clock (s).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Return the seconds until this address may try again; 0 if it may now."""
        failures = self._failures.get(network_of(address), deque())
        if len(failures) < MAX_FAILURES:
            return 0
        return max(0, math.ceil(failures[0] + SECONDS - self._now()))

    def note_failure(self, address: str) -> None:
        """Count a wrong token."""
        network = network_of(address)
        if network not in self._failures and len(self._failures) >= MAX_ADDRESSES:
            self._failures.popitem(last=False)
        self._failures.setdefault(network, deque(maxlen=MAX_FAILURES)).append(self._now())


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    mapped = ip.ipv4_mapped
    return str(mapped or ipaddress.ip_network((ip, 64), strict=False))
