"""Apps that send OSC by UDP, made of python-osc, which is not what reads them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

SFREQ = 256.0
MIDDLE = 1682.815 / 2
UNIX_EPOCH = 2_208_988_800


def message(address: str, *values: float | str) -> bytes:
    """One message; floats of 32 bits, as the apps send them."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    dgram: bytes = builder.build().dgram
    return dgram


def bundle(contents: Sequence[bytes], at: float | None = None) -> bytes:
    """A bundle of messages, for now or with a time in UNIX seconds."""
    head: bytes = OscBundleBuilder(IMMEDIATELY).build().dgram
    if at is not None:
        head = head[:8] + round((at + UNIX_EPOCH) * 2**32).to_bytes(8, "big")
    return head + b"".join(len(each).to_bytes(4, "big") + each for each in contents)


def mind_monitor(k: int) -> bytes:
    """Sample ``k``; the first channel holds a number that tells it."""
    return message("/muse/eeg", *(MIDDLE + (k + channel) % 200 for channel in range(4)))


def petal(k: int) -> bytes:
    head = (k, 1_700_000_000, 0.5, 100, 0.25)
    return message("/PetalStream/eeg", *head, *(float((k + c) % 200) for c in range(4)))


class App(threading.Thread):
    """Sends samples at 256 Hz in groups of 12 until it is stopped; none while it is ``silent``."""

    def __init__(self, port: int, make: Callable[[int], bytes], every: int) -> None:
        super().__init__()
        self.silent = False
        self._port, self._make, self._every = port, make, every
        self._over = threading.Event()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            start, k = time.monotonic(), 0
            while not self._over.wait(6 / SFREQ):
                while k + 12 <= (time.monotonic() - start) * SFREQ:
                    for each in range(k, k + 12):
                        if not self.silent and each % self._every == 0:
                            sender.sendto(self._make(each), ("127.0.0.1", self._port))
                    k += 12

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def sending(
    port: int, make: Callable[[int], bytes] = mind_monitor, every: int = 1
) -> Iterator[App]:
    """An app that sends within the context, every sample or fewer."""
    app = App(port, make, every)
    app.start()
    try:
        yield app
    finally:
        app.stop()
