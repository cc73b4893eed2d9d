"""Programs in processes of their own, forked from one that has loaded the libraries.

To load them takes most of a short program's time. Nothing else differs from a start of one's own:
the processes have their own files, folder and environment, take signals, and end as Python does.
All workers of pytest-xdist use the same process, which loads the libraries when the first asks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO

COMMAND = "import sys; sys.argv[0] = 'mimamba'; from mimamba.service.cli.main import main; main()"
"""Python code that does the same as ``mimamba``."""
PROGRAM = """
import gc, json, os, select, signal, socket, sys, types

listener = socket.socket(fileno=int(sys.argv[1]))
if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
    sys.exit()  # nobody needed it

import mimamba.drivers.formats.read
import mimamba.drivers.simulator.driver
import mimamba.models.decoding.decoder
import mimamba.service.acquire.acquirer
import mimamba.service.bus.nats_bus
import mimamba.service.cluster.gateway
import mimamba.service.cluster.worker
import mimamba.service.doctor.doctor
import mimamba.service.server.serve
import mimamba.service.cli.main

controls = set()
gc.collect()
gc.freeze()  # or each process would copy what it looks through
while True:
    control = select.select([listener, sys.stdin, *controls], [], [])[0][0]
    if control is sys.stdin:
        sys.exit()
    if control is listener:
        controls.add(listener.accept()[0])
        continue
    files = []
    try:
        line, files, _, _ = socket.recv_fds(control, 1 << 16, 3)
        while not line.endswith(b"\\n"):
            if not (more := control.recv(1 << 16)):
                raise ConnectionResetError
            line += more
    except OSError:  # it has left, or died
        controls.remove(control)
        control.close()
        for each in files:
            os.close(each)
        continue
    asked = json.loads(line)
    if "status" in asked:
        pid, status = os.waitpid(asked["status"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
        answer = os.fork()
        if answer == 0:
            break
        for each in files:
            os.close(each)
    try:
        control.sendall(json.dumps(answer).encode() + b"\\n")
    except OSError:
        if "status" not in asked:
            os.kill(answer, signal.SIGKILL)  # nobody would
for each in (listener, *controls):
    each.close()
for number, each in enumerate(files):
    os.dup2(each, number)
    os.close(each)
os.environ.clear()
os.environ.update(asked["environment"])
os.chdir(asked["folder"])
for number, name in enumerate(("stdin", "stdout", "stderr")):  # as Python makes them at its start
    each = open(
        number,
        "w" if number else "r",
        1 if number == 2 or asked["unbuffered"] else -1,
        encoding="utf-8",
        errors="backslashreplace" if number == 2 else "strict",
        closefd=False,
    )
    setattr(sys, name, each)
    setattr(sys, f"__{name}__", each)
sys.argv[:] = ["-c", *asked["arguments"]]
code = asked["code"]
sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(code, "<string>", "exec"), sys.modules["__main__"].__dict__)
"""


class LoadedServer:
    """A process that waits with all libraries loaded, once somebody needs them, and forks others.

    It ends with this process, or with ``close``.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="loaded")  # short, as a socket's path must be
        self.address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )

    def close(self) -> None:
        """End the process; those that it forked have been stopped before."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


class LoadedProgram:
    """Programs that are forked from a process of ``LoadedServer``.

    Parameters
    ----------
    address
        Its address; None to start one that ends with this.
    """

    def __init__(self, address: str | None = None) -> None:
        self._lock = threading.Lock()
        self._own: LoadedServer | None = None
        if address is None:
            self._own = LoadedServer()
            address = self._own.address
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(address)
        self._answers = self._control.makefile("rb")

    def start(
        self,
        *arguments: str,
        code: str = COMMAND,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output: Path | None = None,
        unbuffered: bool = False,
    ) -> ForkedProcess:
        """Start a process.

        Parameters
        ----------
        arguments
            Arguments of the program.
        code
            Python code to run: a command of mimamba by default.
        environment
            Variables; None for those of this process.
        folder
            Working directory; None for that of this process.
        output
            File that gets all that it prints; None for pipes.
        unbuffered
            True to see each line at once.
        """
        if output is None:
            pipes = [os.pipe() for _ in range(3)]
            ours, theirs = (
                [pipes[0][1], pipes[1][0], pipes[2][0]],
                [pipes[0][0], pipes[1][1], pipes[2][1]],
            )
        else:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            ours, theirs = [], [os.open(os.devnull, os.O_RDONLY), file, os.dup(file)]
        asked = {
            "code": code,
            "arguments": arguments,
            "environment": dict(os.environ if environment is None else environment),
            "folder": str(folder or Path.cwd()),
            "unbuffered": unbuffered,
        }
        pid = self._ask(asked, theirs)
        for each in theirs:
            os.close(each)
        assert pid is not None
        return ForkedProcess(self, pid, ours)

    def status(self, pid: int) -> int | None:
        """Exit status of a process, negative for a signal; None while it runs."""
        return self._ask({"status": pid})

    def close(self) -> None:
        """Leave the process; what was forked here has been stopped before."""
        self._answers.close()
        self._control.close()
        if self._own is not None:
            self._own.close()

    def _ask(self, what: Mapping[str, object], files: list[int] | None = None) -> int | None:
        line = json.dumps(what).encode() + b"\n"
        with self._lock:
            sent = socket.send_fds(self._control, [line], files or [])
            self._control.sendall(line[sent:])
            told = self._answers.readline()
        assert told, "the process that forks programs has ended"
        answer: int | None = json.loads(told)
        return answer


class ForkedProcess:
    """A running process, used as ``subprocess.Popen`` with text is."""

    def __init__(self, program: LoadedProgram, pid: int, pipes: list[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._program = program
        files: list[IO[str] | None] = [
            os.fdopen(each, "r" if n else "w", encoding="utf-8") for n, each in enumerate(pipes)
        ]
        self.stdin, self.stdout, self.stderr = files or [None] * 3

    def __enter__(self) -> ForkedProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it, if it runs, and close its pipes."""
        self.kill()
        self.wait()
        for each in (self.stdin, self.stdout, self.stderr):
            if each is not None:
                with suppress(BrokenPipeError):
                    each.close()

    def poll(self) -> int | None:
        """Exit status, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._program.status(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises ``subprocess.TimeoutExpired``."""
        end, pause = None if timeout is None else time.monotonic() + timeout, 0.005
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("mimamba", timeout or 0.0)
            time.sleep(pause)
            pause = min(0.05, 1.2 * pause)
        return code

    def communicate(self, text: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Send it a text, and return all else that it prints until its end."""
        assert self.stdin is not None
        assert self.stdout is not None
        assert self.stderr is not None
        said: dict[IO[str], str] = {}

        def read(file: IO[str]) -> None:
            said[file] = file.read()

        with suppress(BrokenPipeError):
            self.stdin.write(text)
            self.stdin.close()
        files = (self.stdout, self.stderr)
        reading = [threading.Thread(target=read, args=(each,)) for each in files]
        for each in reading:
            each.start()
        try:
            self.wait(timeout)
        finally:
            self.kill()
            for each in reading:
                each.join()
        return said[self.stdout], said[self.stderr]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, without a chance to say anything."""
        self.send_signal(signal.SIGKILL)
