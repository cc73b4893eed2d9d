"""A test double of an OpenBCI Cyton and its dongle, behind a pseudo-terminal.

Its protocol is that of OpenBCI's documents "Cyton Board SDK" (commands and answers) and "Cyton Data
Format" (packets). Commands are read byte by byte; packets leave at a true 250 Hz, each at its own
moment on the clock. What goes wrong is set by packet (``lost``, ``edits``) or at will (``mute``,
``hold``, ``freeze``, ``resume``).
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Collection, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

SFREQ = 250.0
N_CHANNELS = 8
UV_PER_BIT = 4.5e6 / 24 / (2**23 - 1)
"""µV per count at gain 24: 4.5 V / gain / (2^23 - 1)."""
START, STOP = 0xA0, 0xC0
"""First and last byte of a packet; this last byte says that acceleration stands before it."""
LENGTH = 33
MOTION_STEP = 10
"""Packets for each value of the accelerometer."""
G_PER_COUNT = 0.002 / 16
"""± 4 g in 16 bits (OpenBCI, Cyton Data Format)."""

EOT = "$$$"
BANNER = (
    "OpenBCI V3 8-16 channel\n"
    "On Board ADS1299 Device ID: 0x3E\n"
    "LIS3DH Device ID: 0x33\n"
    "Firmware: v3.1.1\n"
)
OUT_OF_RANGE = "Failure: Communications timeout - Device failed to poll host"
DEFAULTS = "060110"
"""Power on, gain 24, normal input, in the bias, on SRB2, not on SRB1."""
CHANNELS = "12345678"
GAINS = (1, 2, 4, 6, 8, 12, 24)

Edit = Callable[[bytes], bytes]


def counts(n_times: int) -> NDArray[np.int64]:
    """(n_times, 8): what the converter reads, the same in each run; over all its 24 bits.

    So each byte of a packet takes every value, those of START and STOP among them. The first
    rows hold the converter's limits.
    """
    drawn = np.random.default_rng(24).integers(-(2**23), 2**23, (n_times, N_CHANNELS))
    limits = [-(2**23), 2**23 - 1, 0, -1, 1, -256, 255, 65536]
    for row in range(min(N_CHANNELS, n_times)):
        drawn[row] = np.roll(limits, row)
    return drawn


def packet(number: int, values: NDArray[np.int64]) -> bytes:
    """One sample as it is sent: its number, 8 counts of 24 bits, acceleration."""
    eeg = b"".join(int(value).to_bytes(3, "big", signed=True) for value in values)
    axes = b"".join(value.to_bytes(2, "big") for value in acceleration(number))
    return bytes([START, number % 256]) + eeg + axes + bytes([STOP])


def acceleration(number: int) -> tuple[int, int, int]:
    """Counts of the axes: 1 g along z, with each new value 1 count more along x; 0 between them.

    The firmware sends a value once, 25 times a second (OpenBCI_32bit_Library, LIS3DH).
    """
    return (1 + number // MOTION_STEP % 100, 0, 8000) if number % MOTION_STEP == 0 else (0, 0, 0)


class Cyton:
    """A board that is on and in range; ``port`` is what to open.

    Parameters
    ----------
    n_times
        How many samples it has before its counts repeat.
    lost
        Samples, counted from the start of each stream, whose packets never arrive.
    edits
        What becomes of the bytes of a sample's packet.

    Attributes
    ----------
    heard
        The commands that reached the board.
    starts
        How often a stream was started.
    """

    def __init__(
        self,
        n_times: int = 10_000,
        lost: Collection[int] = (),
        edits: Mapping[int, Edit] | None = None,
    ) -> None:
        self.heard: list[str] = []
        self.starts = 0
        self.gains = [24] * N_CHANNELS
        self.counts = counts(n_times)
        self._lost = frozenset(lost)
        self._edits = edits or {}
        self._muted_until = 0.0
        self._held_until = 0.0
        self._frozen: int | None = None
        self._started: float | None = None
        self._index = 0
        self._pending = ""
        self._stopped = threading.Event()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._run, name="cyton")

    @property
    def microvolts(self) -> NDArray[np.float64]:
        """(n_times, 8): what it sends, µV at gain 24."""
        return self.counts.astype(np.float64) * UV_PER_BIT

    def mute(self, seconds: float = math.inf) -> None:
        """The board is out of range: no packet arrives, and the dongle answers for it."""
        self._muted_until = time.monotonic() + seconds

    def hold(self, seconds: float) -> None:
        """The radio stalls: packets come later, all at once, and none is lost."""
        self._held_until = time.monotonic() + seconds

    def freeze(self) -> None:
        """The converter hangs until it is reset: each packet has the same counts."""
        self._frozen = self._index

    def resume(self) -> None:
        """In range again."""
        self._muted_until = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join()
        os.close(self._slave)
        os.close(self._master)

    @property
    def _muted(self) -> bool:
        return time.monotonic() < self._muted_until

    # In its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.is_set():
            for byte in self._read():
                if self._muted:
                    self._say(OUT_OF_RANGE + EOT)
                else:
                    self._hear(chr(byte))
            self._send_due()
        self._started = None
        while left := self._read():  # what was said last may still be on its way
            for byte in left:
                self._hear(chr(byte))

    def _read(self) -> bytes:
        """Commands, or nothing once the next packet is due."""
        wait = 0.02
        if self._started is not None:
            due = self._started + self._index / SFREQ - time.monotonic()
            wait = min(max(due, self._held_until - time.monotonic(), 0.0), wait)
        readable, _, _ = select.select([self._master], [], [], wait)
        return os.read(self._master, 256) if readable else b""

    def _hear(self, byte: str) -> None:
        """One byte of a command; answers are given only while nothing is streamed."""
        self._pending += byte
        if self._pending[0] == "x" and byte != "X" and len(self._pending) < 9:
            return
        command, self._pending = self._pending, ""
        self.heard.append(command)
        if command == "b":
            self._started, self._index, self.starts = time.monotonic(), 0, self.starts + 1
        elif command == "s":
            self._started = None
        elif command == "v":
            self._started, self._frozen, self.gains = None, None, [24] * N_CHANNELS
            self._say(BANNER + EOT)
        else:
            answer = self._answer(command)
            if answer and self._started is None:
                self._say(answer + EOT)

    def _answer(self, command: str) -> str | None:
        if command == "d":
            self.gains = [24] * N_CHANNELS
            return "updating channel settings to default"
        if command == "D":
            return DEFAULTS
        if command == "V":
            return "v3.1.1"
        if command == "?":
            settings = (f"CH{n + 1}SET gain {gain}\n" for n, gain in enumerate(self.gains))
            return "Board ADS Registers\nADS_ID, 00, 3E\n" + "".join(settings)
        if command[0] == "x":
            return self._set_channel(command)
        return None

    def _set_channel(self, command: str) -> str:
        """``x``, channel, power, gain, input, bias, SRB2, SRB1, ``X``."""
        if len(command) < 9:
            return "Failure: too few chars"
        if command[-1] != "X":
            return "Failure: 9th char not X"
        self.gains[CHANNELS.index(command[1])] = GAINS[int(command[3])]
        return f"Success: Channel set for {command[1]}"

    def _send_due(self) -> None:
        """The packets whose moment has come, in order; late ones at once."""
        while self._started is not None and not self._stopped.is_set():
            now = time.monotonic()
            if now < self._started + self._index / SFREQ or now < self._held_until:
                return
            index, self._index = self._index, self._index + 1
            if index in self._lost or self._muted:
                continue
            row = index if self._frozen is None else self._frozen
            sent = packet(index, self.counts[row % len(self.counts)])
            self._write(self._edits.get(index, bytes)(sent))

    def _say(self, text: str) -> None:
        self._write(text.encode("ascii"))

    def _write(self, payload: bytes) -> None:
        if self._held_until:  # what was held goes on as it is read
            select.select([], [self._master], [], 1.0)
        try:
            os.write(self._master, payload)
        except BlockingIOError:
            return  # nobody reads: the dongle's buffer is full, and the rest is lost
