"""The process in which a network is stepped, as seen by whoever asks it: started, asked, ended."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from io import FileIO

from drivers.processors import on_all
from models.frames import Frame, Kind, Pipes

PIPE_BYTES = 1 << 20
"""What a pipe should hold: a whole batch, where the system's 64 kB would wake both ends in turn."""
ENDING = 5.0
"""Seconds that a process which has closed its pipe has to end by itself."""


class ApartFailed(RuntimeError):
    """The process could not be started, has ended, or refused what it was asked."""


class Worker:
    """A process that runs ``stepping.py``; asked by one thread at a time, closed by any.

    Raises
    ------
    ApartFailed
        If it cannot be started.
    """

    def __init__(self) -> None:
        # -P: a folder here may be called models, too. In a group of its own, Ctrl-C does not reach
        # it; it ends when this process does, since its standard input ends then.
        try:
            with on_all():
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "models.stepping"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                    process_group=0,
                )
        except OSError as error:
            raise ApartFailed(f"wanted a process for the model; found {error}") from error
        reader, writer = self._process.stdout, self._process.stdin
        assert isinstance(reader, FileIO)
        assert isinstance(writer, FileIO)
        _widen(writer)
        self._pipes = Pipes(reader, writer)
        self._asking = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, request: bytes | memoryview) -> Frame:
        """The answer to a whole frame, good until the next; raises ApartFailed."""
        self.send(request)
        return self.answer()

    def send(self, request: bytes | memoryview) -> None:
        """Ask with a whole frame; whether that was heard is told by the answer."""
        with self._asking, suppress(BrokenPipeError):  # it still may have said why
            if not self._closed:
                self._pipes.send(request)

    def answer(self) -> Frame:
        """Wait for the answer to what was sent, good until the next; raises ApartFailed."""
        with self._asking:
            answer = None if self._closed else self._pipes.receive()
            if answer is None:
                raise ApartFailed(f"the process that steps the model has ended: {self._status()}")
        if answer.kind != Kind.DONE:
            raise ApartFailed(f"the process that steps the model: {str(answer.body, 'utf-8')}")
        return answer

    def close(self) -> None:
        """End it; whoever waits for an answer is told that it has ended."""
        self._process.kill()
        self._process.wait()
        with self._asking:
            self._closed = True
            self._pipes.close()

    def _status(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            return f"exit status {self._process.wait(ENDING)}"
        return "its pipe is closed"


def _widen(pipe: FileIO) -> None:
    """Have a pipe hold more, where the system lets us."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
