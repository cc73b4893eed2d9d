"""A search by Bluetooth: it goes on beside other things, and is shared by all who ask meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mimamba.drivers.discovery.bluetooth_scanner import AGAIN, ALLOW, SILENT, WANTED
from mimamba.drivers.discovery.headsets import Advertisement
from mimamba.drivers.errors import DeviceNotFound
from mimamba.drivers.runtime.child_environment import without_settings
from mimamba.drivers.runtime.cpu_affinity import on_all

LEAST = 1.0
"""Seconds below which there is no listening: the program that listens takes some of them (0.4 s on
two cores) to start."""
ENDING = 0.2
"""Seconds that it gets to stop the scan and end."""
GRACE = 1.0
"""Seconds after which one that has not ended by then is ended."""
BROKEN = {"darwin": ALLOW}.get(sys.platform, AGAIN)
"""What to do where it breaks off: macOS ends who may not use Bluetooth."""


@dataclass(frozen=True)
class ScanResult:
    """Who was heard, and why nobody could be."""

    sightings: tuple[Advertisement, ...]
    trouble: DeviceNotFound | None


class BluetoothScan:
    """One run of ``drivers/discovery/bluetooth_scanner.py``, until a time of ``time.monotonic``."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._seen: dict[str, Advertisement] = {}
        self._trouble: DeviceNotFound | None = None
        self._listening = False
        self._words = ""
        with on_all():
            self._process = subprocess.Popen(
                # -P: a folder here may be called drivers, too.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "mimamba.drivers.discovery.bluetooth_scanner",
                    str(until - ENDING),
                ],
                stdin=subprocess.PIPE,  # it ends when this closes, if this process is killed
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=without_settings(),
            )
        self._reader = threading.Thread(target=self._read, name="bluetooth search", daemon=True)
        self._reader.start()

    def heard(self, until: float) -> ScanResult:
        """Who was heard so far; waits until then, or until the search has ended."""
        last = until if until < self._until else self._until + GRACE
        self._reader.join(max(0.0, last - time.monotonic()))
        trouble = self._trouble
        if trouble is None and not self._reader.is_alive() and self._process.wait():
            found = f"a search that broke off ({self._words or self._process.returncode})"
            trouble = DeviceNotFound(WANTED, found, BROKEN)
        elif trouble is None and not self._listening and until >= self._until:
            trouble = DeviceNotFound(WANTED, SILENT, AGAIN)  # it was too late, so nobody listened
        return ScanResult(tuple(self._seen.copy().values()), trouble)

    def close(self) -> None:
        """End the process: whoever leaves the bus scans no more (BlueZ ends its session)."""
        assert self._process.stdin is not None
        self._process.terminate()
        self._process.stdin.close()
        self._reader.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._take(line)

    def _take(self, line: str) -> None:
        if not line.startswith("{"):
            self._words = line.strip()  # a traceback's last line says what happened
            return
        told = json.loads(line)
        if "listening" in told:
            self._listening = True
        elif "address" in told:
            seen = Advertisement(**{**told, "services": tuple(told["services"])})
            self._seen[seen.address] = seen
        else:
            self._trouble = DeviceNotFound(told["expected"], told["found"], told["remedy"])


_one = threading.Lock()
_current: list[BluetoothScan] = []
"""The search that goes on, if any: the radio is asked once, however many people look."""


@contextmanager
def listening(seconds: float) -> Iterator[Callable[[], ScanResult]]:
    """Listen for so many seconds; what it yields waits for their end, and tells who was heard.

    A search that goes on already is shared; who began it ends it. On leaving early it is broken
    off.
    """
    until = time.monotonic() + seconds
    if seconds < LEAST:
        wanted = f"{LEAST:g} s or more to listen for Bluetooth headsets"
        heard = ScanResult((), DeviceNotFound(wanted, f"{seconds:g} s", "scan for longer"))
        yield lambda: heard
        return
    try:
        search, mine = _join(until)
    except OSError as error:
        lost = DeviceNotFound(WANTED, f"no process to listen ({error.strerror})", "close others")
        yield lambda: ScanResult((), lost)
        return
    try:
        yield lambda: search.heard(until)
    finally:
        if mine:
            search.close()
            with _one:
                _current.remove(search)


def _join(until: float) -> tuple[BluetoothScan, bool]:
    """The search that goes on, or one that begins; whether it is the caller's to end."""
    with _one:
        if _current:
            return _current[0], False
        _current.append(BluetoothScan(until))
        return _current[0], True
