"""Limit on how often an address may send a wrong token."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from mimamba.service.http.client_network import network_of

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
