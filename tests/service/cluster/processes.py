"""Roles of a cluster, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from mimamba.drivers.runtime.child_environment import child_environment
from tests.service.forked import COMMAND, ForkedProcess, LoadedProgram

STARTING = 90.0
"""Seconds; a busy machine imports slowly."""


class Role:
    """A command of mimamba that runs; what it prints is in a file.

    Parameters
    ----------
    folder
        Folder of the file.
    name
        Name of the role.
    arguments
        Command and options.
    loaded
        Process to fork it from; None to start Python anew, so that its memory is its own.
    """

    def __init__(
        self, folder: Path, name: str, *arguments: str, loaded: LoadedProgram | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.log.touch()
        environment = child_environment() | {"MIMAMBA_CONFIG": str(folder / "none.toml")}
        self.process: subprocess.Popen[bytes] | ForkedProcess
        if loaded is not None:
            self.process = loaded.start(*arguments, environment=environment, output=self.log)
            return
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def wait_for(self, text: str) -> str:
        """Wait until it has printed this; return all that it has printed."""
        end = time.monotonic() + STARTING
        while text not in (printed := self.log.read_text(errors="replace")):
            assert self.process.poll() is None, f"{self.name} has ended: {printed}"
            assert time.monotonic() < end, f"{self.name} does not say {text!r}: {printed}"
            time.sleep(0.02)
        return printed

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop it as Ctrl+C does, or kill it where it hangs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
