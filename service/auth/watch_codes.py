"""One-time codes, with which another device opens the page for viewing without a token.

A code is short enough to be typed. It works once, for two minutes, and attempts are limited like
those with tokens: nobody finds one of 31**10 in that time.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from mimamba.service.auth.tokens import digest_secret

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that look alike."""
LENGTH = 10
CODE_SECONDS = 120.0
MAX_CODES = 16
"""At a time; the oldest one ends first."""


class WatchCodes:
    """Codes that were made and not used yet, by their hashes.

    Parameters
    ----------
    now
        A clock (s).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def make(self) -> str:
        """Return a new code."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        while len(self._ends) >= MAX_CODES:
            self._ends.popitem(last=False)
        self._ends[_key(code)] = self._now() + CODE_SECONDS
        return code

    def redeem(self, code: str) -> bool:
        """Use a code up, in any case of letters; False if it is unknown, used or expired."""
        return self._now() < self._ends.pop(_key(code), 0.0)

    def clear(self) -> None:
        """End all codes."""
        self._ends.clear()


def _key(code: str) -> bytes:
    """Return the key of a code, however it was typed."""
    return digest_secret(code.strip().lower())
