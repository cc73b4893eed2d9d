"""Python's garbage collector, which stops all threads while it looks.

What PyTorch and others define is some half a million objects that stay. To look through them took
140 to 290 ms, for which predictions waited, and once more whenever the logs had grown by a quarter.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """What is made within, as modules are by their import, is never looked at."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
