"""Allowances of clients without a token: how much each address may ask of the service at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mimamba.service.http.client_network import network_of

MAX_ADDRESSES = 4096
"""Addresses that are remembered; the one that asked last the longest ago is forgotten first."""
MAX_WAIT = 10.0
"""Seconds that one who has used up an allowance waits, at most."""


@dataclass(frozen=True)
class Rate:
    """Requests that an address may make.

    Parameters
    ----------
    burst
        At once.
    per_second
        In the long run.
    """

    burst: float
    per_second: float


@dataclass
class Credit:
    """Requests that an address may still make, negative where some wait; at a time (s)."""

    left: float
    since: float


class Allowance:
    """A token bucket for each address, in which those who find it empty wait in line.

    Parameters
    ----------
    rate
        For each address, or /64 network of IPv6.
    now
        A clock (s).
    """

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._now = now
        self._credits: OrderedDict[str, Credit] = OrderedDict()

    def take(self, address: str, cost: float = 1) -> float:
        """Take a request; return how long (s) it has to wait for its turn, 0 if it need not.

        Turns are given at the allowed rate. One who would wait for more than ``MAX_WAIT`` waits for
        just that.
        """
        credit = self._credit(address)
        credit.left = max(credit.left - cost, -MAX_WAIT * self.rate.per_second)
        return max(0.0, -credit.left / self.rate.per_second)

    def give_back(self, address: str) -> None:
        """Give a request back: it came from one with a token."""
        credit = self._credit(address)
        credit.left = min(credit.left + 1, self.rate.burst)

    def _credit(self, address: str) -> Credit:
        network, now = network_of(address), self._now()
        credit = self._credits.pop(network, None)
        if credit is None:
            credit = Credit(self.rate.burst, now)
            if len(self._credits) >= MAX_ADDRESSES:
                self._credits.popitem(last=False)
        self._credits[network] = credit
        gained = (now - credit.since) * self.rate.per_second
        credit.left, credit.since = min(credit.left + gained, self.rate.burst), now
        return credit


class StrangerAllowances:
    """Allowances by kind, so that a flood of one kind leaves others to those at its address.

    Attributes
    ----------
    requests
        Without a valid token, also for what everyone may read.
    upgrades
        To WebSockets that have sent no token yet.
    handshakes
        Of TLS.
    """

    def __init__(self) -> None:
        self.requests = Allowance(Rate(100, 10))
        self.upgrades = Allowance(Rate(50, 5))
        self.handshakes = Allowance(Rate(200, 20))
