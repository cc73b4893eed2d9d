"""A real MQTT broker on a free port of the loopback interface, with a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.packages import find_program
from tests.ports import keep_port, port_of
from tests.service.certificates import Certificate

PATIENCE = 60.0
USER, PASSWORD = "home", "p@ss/w:rd"


class Mosquitto:
    """A broker that can be stopped, killed and started again in its folder."""

    def __init__(self, folder: Path, guarded: bool, certificate: Certificate | None) -> None:
        found = find_program("mosquitto")
        if found is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto")
        self._keeper = keep_port()
        self.port = port_of(self._keeper)
        self._program, self._settings = found, folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(not guarded).lower()}",
            "persistence true",
            f"persistence_location {folder}/",
            "log_dest none",
            *(["user root"] if os.geteuid() == 0 else []),  # else it could not read the folder
        ]
        if guarded:
            passwords = folder / "passwords"
            command = ["mosquitto_passwd", "-c", "-b", str(passwords), USER, PASSWORD]
            subprocess.run(command, check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        if certificate is not None:
            lines += [f"certfile {certificate.certificate}", f"keyfile {certificate.key}"]
        self._settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._settings)], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end, "the broker does not start"
                assert self._process.poll() is None, "the broker has ended"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it in order: the next start knows what it kept."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """End it at once: it forgets what it kept."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it, and give its port back."""
        if self._process is not None:
            self.kill()
        self._keeper.close()


@contextmanager
def mosquitto(
    folder: Path, guarded: bool = False, certificate: Certificate | None = None
) -> Iterator[Mosquitto]:
    """A broker; a guarded one asks for USER and PASSWORD."""
    with closing(Mosquitto(folder, guarded, certificate)) as broker:
        broker.start()
        yield broker
