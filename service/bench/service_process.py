"""A service in its own process: start it, find its address, measure its memory, stop it."""

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
from mimamba.drivers.runtime.child_environment import SETTINGS_PREFIX, child_environment
from mimamba.service.bench.process_usage import cpu_seconds, resident_megabytes

STARTING = 60.0
"""Seconds that a service, its sessions and their models have to start."""
SERVE = "import sys; sys.argv[1:] = ['serve']; from mimamba.service.cli.main import main; main()"
"""Python code that does the same as ``mimamba serve``."""


class ServiceNotStarted(Mismatch):
    """The service to be measured did not start."""


@dataclass(frozen=True)
class ServiceProcess:
    """A running service: its address and its process."""

    url: str
    pid: int

    def cpu(self) -> float:
        """Return the CPU time so far, without that of children, s; NaN where it is not known."""
        return cpu_seconds(self.pid)

    def rss(self) -> float:
        """Return the resident memory, with that of children, MB; NaN where it is not known."""
        return resident_megabytes(self.pid)


@dataclass(frozen=True)
class StartingService:
    """A service that is starting; ``stderr`` is the file of all that it prints."""

    process: subprocess.Popen[bytes]
    stderr: Path

    def wait_until_ready(self) -> ServiceProcess:
        """Wait for the service's address; raises ServiceNotStarted."""
        end = time.monotonic() + STARTING
        while self.process.poll() is None and time.monotonic() < end:
            found = re.search(r"http://\S+/", self.stderr.read_text())
            if found:
                return ServiceProcess(found[0], self.process.pid)
            time.sleep(0.01)
        printed = repr(self.stderr.read_text()[-200:])
        raise ServiceNotStarted(
            "a service that starts", printed, "run: mimamba serve, and correct what it reports"
        )

    def stop(self) -> float:
        """Stop the service with SIGTERM, and return the seconds that it took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait()
        return time.monotonic() - start


@contextmanager
def start_service(*sources: str, code: str = SERVE, **settings: str) -> Iterator[StartingService]:
    """Start a service with its own empty data folder; it is stopped on leaving.

    Parameters
    ----------
    sources
        URLs of the sources to watch.
    code
        Python code that the process runs.
    settings
        Settings by name. Those of the person who runs this are not used.
    """
    with TemporaryDirectory() as folder, (Path(folder) / "stderr").open("w+") as stderr:
        given = {"config": os.devnull, "data_dir": folder, "port": "0", **settings}
        given["source"] = json.dumps(sources)
        variables = {f"{SETTINGS_PREFIX}{name.upper()}": value for name, value in given.items()}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=child_environment() | variables,
            stdin=subprocess.DEVNULL,
            stderr=stderr,  # a pipe would fill up
        )
        try:
            yield StartingService(process, Path(stderr.name))
        finally:
            process.terminate()
            process.wait()


@contextmanager
def running_service(*sources: str, model: str) -> Iterator[ServiceProcess]:
    """Start a service that watches these sources, and wait for its address.

    Raises
    ------
    ServiceNotStarted
        If it does not start.
    """
    with start_service(*sources, model=model) as service:
        yield service.wait_until_ready()
