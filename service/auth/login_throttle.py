"""How often somebody may show a wrong token."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MOST = 10
"""Wrong tokens from one address within ``SECONDS``."""
SECONDS = 60.0
ADDRESSES = 4096
"""Of which failures are remembered; the address that failed first is forgotten first."""


class LoginThrottle:
    """The failures of each address.

    Parameters
    ----------
    now
        A clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until this address may try again; 0 where it may now."""
        failures = self._failures.get(_place(address), deque())
        if len(failures) < MOST:
            return 0
        return max(0, math.ceil(failures[0] + SECONDS - self._now()))

    def failed(self, address: str) -> None:
        """A wrong token was shown."""
        place = _place(address)
        if place not in self._failures and len(self._failures) >= ADDRESSES:
            self._failures.popitem(last=False)
        self._failures.setdefault(place, deque(maxlen=MOST)).append(self._now())


def _place(address: str) -> str:
    """Who counts as one: an IPv4 address, or the network of 2**64 that an IPv6 one comes from."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    mapped = ip.ipv4_mapped
    return str(mapped or ipaddress.ip_network((ip, 64), strict=False))
