"""A service in a process of its own, and what the operating system tells of it."""

from __future__ import annotations

import json
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

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.runtime.child_environment import PREFIX, without_settings

STARTING = 60.0
"""Seconds that a service, its sessions and their models have to start."""
SERVE = "import sys; sys.argv[1:] = ['serve']; from mimamba.service.cli.main import main; main()"
"""What ``mimamba serve`` runs."""


class NoService(Mismatch):
    """The service that was to be measured did not start."""


@dataclass(frozen=True)
class ServiceProcess:
    """A service in a process of its own."""

    url: str
    pid: int

    def rss(self) -> float:
        """Its resident memory and that of its children, MB; pages that they share count twice."""
        told = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True
        )
        rows = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
        return sum(_family(self.pid, rows)) / 1000


def _family(pid: int, rows: list[tuple[int, ...]]) -> Iterator[int]:
    """What a process and its children take, of rows of (process, parent, taken)."""
    for each, parent, taken in rows:
        if each == pid:
            yield taken
        elif parent == pid:
            yield from _family(each, rows)


@dataclass(frozen=True)
class StartingProcess:
    """The process of a service that starts; ``said`` is the file of all that it says."""

    process: subprocess.Popen[bytes]
    said: Path

    def served(self) -> ServiceProcess:
        """Once it can be reached; raises NoService if that does not come."""
        end = time.monotonic() + STARTING
        while self.process.poll() is None and time.monotonic() < end:
            found = re.search(r"http://\S+/", self.said.read_text())
            if found:
                return ServiceProcess(found[0], self.process.pid)
            time.sleep(0.01)
        said = repr(self.said.read_text()[-200:])
        raise NoService("a service that starts", said, "run: mimamba serve")

    def end(self) -> float:
        """Have it end, as a terminal or a supervisor does; the seconds that took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait()
        return time.monotonic() - start


@contextmanager
def begun(*sources: str, code: str = SERVE, **settings: str) -> Iterator[StartingProcess]:
    """Start a service that watches these sources; nobody's settings and recordings matter.

    Parameters
    ----------
    sources
        Their URLs.
    code
        What its Python runs.
    settings
        By their names.
    """
    with TemporaryDirectory() as folder, (Path(folder) / "said").open("w+") as said:
        given = {"config": os.devnull, "data_dir": folder, "port": "0", **settings}
        given["source"] = json.dumps(sources)
        told = {f"{PREFIX}{name.upper()}": value for name, value in given.items()}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=without_settings() | told,
            stdin=subprocess.DEVNULL,
            stderr=said,  # a pipe would fill up
        )
        try:
            yield StartingProcess(process, Path(said.name))
        finally:
            process.terminate()
            process.wait()


@contextmanager
def served(*sources: str, model: str) -> Iterator[ServiceProcess]:
    """A service that watches these sources.

    Raises
    ------
    NoService
        If it does not start.
    """
    with begun(*sources, model=model) as service:
        yield service.served()
