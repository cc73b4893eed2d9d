"""A service in a process of its own, and what the operating system tells of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from drivers.base import Mismatch

STARTING = 60.0
"""Seconds that a service, its sessions and their models have to start."""


class NoService(Mismatch):
    """The service that was to be measured did not start."""


@dataclass(frozen=True)
class Served:
    """A service in a process of its own."""

    url: str
    pid: int

    def rss(self) -> float:
        """Its resident memory, and that of the processes that it has started, MB."""
        told = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True
        )
        rows = [list(map(int, line.split())) for line in told.stdout.splitlines()]
        return sum(rss for *whose, rss in rows if self.pid in whose) / 1000


@contextmanager
def served(*sources: str, model: str) -> Iterator[Served]:
    """A service that watches these sources; nobody's settings and recordings matter.

    Raises
    ------
    NoService
        If it does not start.
    """
    with TemporaryDirectory() as folder, (Path(folder) / "said").open("w+") as said:
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("MIMAMBA_")}
        code = "from service.cli import main; main()"
        named = [part for source in sources for part in ("--source", source)]
        process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", "--port", "0", "--model", model, *named],
            env={**kept, "MIMAMBA_CONFIG": os.devnull, "MIMAMBA_DATA_DIR": folder},
            stdin=subprocess.DEVNULL,
            stderr=said,  # a pipe would fill up
        )
        try:
            yield Served(address(process, Path(said.name)), process.pid)
        finally:
            process.terminate()
            process.wait()


def address(process: subprocess.Popen[bytes], said: Path) -> str:
    """Where a service that starts is to be found."""
    end = time.monotonic() + STARTING
    while process.poll() is None and time.monotonic() < end:
        found = re.search(r"http://\S+/", said.read_text())
        if found:
            return found[0]
        time.sleep(0.05)
    raise NoService("a service that starts", repr(said.read_text()[-200:]), "run: mimamba serve")
