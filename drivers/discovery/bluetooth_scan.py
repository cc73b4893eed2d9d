"""A Bluetooth scan in a child process, shared by all callers while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mimamba.drivers.bluetooth_errors import ALLOW, NO_ANSWER, SWITCH_OFF_AND_ON
from mimamba.drivers.discovery.bluetooth_scan_process import EXPECTED
from mimamba.drivers.discovery.nearby_headsets import Advertisement
from mimamba.drivers.errors import DeviceNotFound
from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.runtime.cpu_affinity import use_all_cpus

MIN_SECONDS = 1.0
"""Shortest scan, s: the scanner needs a part of it (0.4 s on two cores) to start."""
STOP_SECONDS = 0.2
"""Time for the scanner to stop its scan and end, s."""
GRACE_SECONDS = 1.0
"""Time after which a scanner that has not ended is no longer waited for, s."""
BROKEN_REMEDY = {"darwin": ALLOW}.get(sys.platform, SWITCH_OFF_AND_ON)
"""Remedy for a scanner that ended early: macOS ends programs that may not use Bluetooth."""


@dataclass(frozen=True)
class ScanResult:
    """Advertisements that were received, and the reason if scanning failed."""

    advertisements: tuple[Advertisement, ...]
    error: DeviceNotFound | None


class BluetoothScan:
    """One run of ``drivers/discovery/bluetooth_scan_process.py``.

    Parameters
    ----------
    until
        End of the scan, on ``time.monotonic``.
    python
        Program that runs it; by default this process's interpreter.
    grace
        Time to wait for a scanner that has not ended at its end, s.
    """

    def __init__(
        self, until: float, python: str | None = None, grace: float = GRACE_SECONDS
    ) -> None:
        self._until = until
        self._grace = grace
        self._seen: dict[str, Advertisement] = {}
        self._error: DeviceNotFound | None = None
        self._listening = False
        self._last_line = ""
        with use_all_cpus():
            self._process = subprocess.Popen(
                # -P: a folder here may be called mimamba, too.
                [
                    python or sys.executable,
                    "-P",
                    "-m",
                    "mimamba.drivers.discovery.bluetooth_scan_process",
                    str(until - STOP_SECONDS),
                ],
                stdin=subprocess.PIPE,  # the scanner ends when this closes
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=child_environment(),
            )
        self._reader = threading.Thread(target=self._read, name="bluetooth scan", daemon=True)
        self._reader.start()

    def result(self, until: float) -> ScanResult:
        """Wait until this time, or until the scan has ended; return the advertisements so far."""
        last = until if until < self._until else self._until + self._grace
        self._reader.join(max(0.0, last - time.monotonic()))
        error = self._error
        if error is None and not self._reader.is_alive() and self._process.wait():
            found = f"a scan that ended early ({self._last_line or self._process.returncode})"
            error = DeviceNotFound(EXPECTED, found, BROKEN_REMEDY)
        elif error is None and not self._listening and until >= self._until:
            # It was stopped before it had started to scan.
            error = DeviceNotFound(EXPECTED, NO_ANSWER, SWITCH_OFF_AND_ON)
        return ScanResult(tuple(self._seen.copy().values()), error)

    def close(self) -> None:
        """End the process; BlueZ then ends its scan."""
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
            self._last_line = line.strip()  # the last line of a traceback names the error
            return
        message = json.loads(line)
        if "listening" in message:
            self._listening = True
        elif "address" in message:
            seen = Advertisement(**{**message, "services": tuple(message["services"])})
            self._seen[seen.address] = seen
        else:
            self._error = DeviceNotFound(message["expected"], message["found"], message["remedy"])


_lock = threading.Lock()
_running: list[BluetoothScan] = []
"""The running scan, if there is one."""


@contextmanager
def scan_bluetooth(
    seconds: float, python: str | None = None, grace: float = GRACE_SECONDS
) -> Iterator[Callable[[], ScanResult]]:
    """Scan within the context; the function it yields waits for the end and returns the result.

    ``seconds`` is the length of the scan, at least ``MIN_SECONDS``. A scan that is running already
    is shared; its starter ends it. Leaving early stops the scan. ``python`` and ``grace`` are those
    of ``BluetoothScan``.
    """
    until = time.monotonic() + seconds
    if seconds < MIN_SECONDS:
        expected = f"{MIN_SECONDS:g} s or more to scan for Bluetooth headsets"
        too_short = DeviceNotFound(expected, f"{seconds:g} s", "scan for longer")
        yield lambda: ScanResult((), too_short)
        return
    try:
        scan, started = _share_scan(until, python, grace)
    except OSError as error:
        failed = DeviceNotFound(
            EXPECTED, f"a scanner that does not start ({error.strerror})", "close other programs"
        )
        yield lambda: ScanResult((), failed)
        return
    try:
        yield lambda: scan.result(until)
    finally:
        if started:
            scan.close()
            with _lock:
                _running.remove(scan)


def _share_scan(until: float, python: str | None, grace: float) -> tuple[BluetoothScan, bool]:
    """Return the running scan or a new one, and True if the caller has to end it."""
    with _lock:
        if _running:
            return _running[0], False
        _running.append(BluetoothScan(until, python, grace))
        return _running[0], True
