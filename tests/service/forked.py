"""Commands of mimamba, each in a process of its own, forked from one that has loaded the libraries.

To load them takes most of a command's time. What differs from a start of one's own is that alone:
the processes have their own files and environment, take signals, and end as Python does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROGRAM = """
import gc, json, os, sys

import mimamba.models.decoding.decoder
import mimamba.service.bus.nats_bus
import mimamba.service.cluster.gateway
import mimamba.service.cluster.worker
import mimamba.service.server.serve
from mimamba.service.cli.main import main

gc.collect()
gc.freeze()  # or each process would copy what it looks through
for line in sys.stdin:
    asked = json.loads(line)
    if "status" in asked:
        pid, status = os.waitpid(asked["status"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
        continue
    if child := os.fork():
        print(child, flush=True)
        continue
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[:] = ["mimamba", *asked["arguments"]]
    main()
    sys.exit()
"""


class LoadedProgram:
    """A process that waits with all libraries loaded, and forks commands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self, arguments: tuple[str, ...], output: Path, environment: Mapping[str, str]
    ) -> ForkedCommand:
        """Start a command; its output and errors are added to a file."""
        asked = {"arguments": arguments, "output": str(output), "environment": dict(environment)}
        pid = self._ask(asked)
        assert pid is not None
        return ForkedCommand(self, pid)

    def status(self, pid: int) -> int | None:
        """Exit status of a command, negative for a signal; None while it runs."""
        return self._ask({"status": pid})

    def close(self) -> None:
        """End the process; its commands have been stopped before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, what: Mapping[str, object]) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(what)}\n")
            self._process.stdin.flush()
            answer: int | None = json.loads(self._process.stdout.readline())
        return answer


class ForkedCommand:
    """A running command, used as ``subprocess.Popen`` is."""

    def __init__(self, program: LoadedProgram, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._program = program

    def poll(self) -> int | None:
        """Exit status, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._program.status(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises ``subprocess.TimeoutExpired``."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("mimamba", timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        self.send_signal(signal.SIGKILL)
