"""Our code needs nothing that only Unix has; Windows itself is not here."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.service.recordings.recovery import is_being_written
from tests.service.live import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 100
"""For a child process, on a busy machine."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this is the real one")


class Windows:
    """Windows' stand-in: commands one after the other, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / "stdout", folder / "stderr"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.windows.stand_in"],
            bufsize=0,  # so that a look whether a line is there is true
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._answers = self._process.stdin, self._process.stdout
        self.pid = 0

    def start(self, *arguments: str) -> None:
        """Start a command; its process is ``pid``."""
        for each in self._files:
            each.write_bytes(b"")
        line = json.dumps([arguments, *map(str, self._files)])
        self._commands.write(f"{line}\n".encode())
        self.pid = self._read()

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return bool(select.select([self._answers], [], [], 0)[0])

    @property
    def said(self) -> list[str]:
        """What the command has printed so far, and its errors."""
        return [each.read_text(encoding="utf-8") for each in self._files]

    def wait(self) -> int:
        """Wait for the command's exit status, and kill it if it takes too long."""
        if not select.select([self._answers], [], [], SECONDS)[0]:
            os.kill(self.pid, signal.SIGKILL)
        return self._read()

    def close(self) -> None:
        """End the stand-in."""
        self._process.communicate()

    def _read(self) -> int:
        return int(self._answers.readline())


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    """One for all tests: it takes long to import everything."""
    made = Windows(tmp_path_factory.mktemp("windows"))
    yield made
    made.close()


@contextmanager
def serving(windows: Windows, folder: Path) -> Iterator[httpx.Client]:
    """A service on Windows' stand-in, with a simulated headset; SIGINT ends it."""
    folders = ("--data-dir", str(folder), "--files", str(folder))
    windows.start("serve", "--port", "0", *folders, "--source", "simulate://")
    try:
        end = time.monotonic() + SECONDS
        while not (found := re.search(r"http://\S+/", windows.said[1])):
            assert not windows.ended, windows.said
            assert time.monotonic() < end
            time.sleep(0.05)
        with httpx.Client(base_url=found[0], timeout=PATIENCE, verify=False) as http:
            yield http
    finally:
        with suppress(ProcessLookupError):
            os.kill(windows.pid, signal.SIGINT)  # as Ctrl+C does
        windows.wait()


def until_streaming(http: httpx.Client, name: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        found = {each["id"]: each["state"] for each in http.get("/v1/sessions").json()}
        if found.get(name) not in (None, "opening"):
            return
        assert time.monotonic() < end, found
        time.sleep(0.05)


def test_every_module_is_imported_without_what_only_unix_has(windows: Windows) -> None:
    windows.start("imports")
    code, (said, problems) = windows.wait(), windows.said
    assert code == 0, problems
    count = sum(len(list((ROOT / each).rglob("*.py"))) for each in ("drivers", "models", "service"))
    assert abs(int(said.split()[0]) - count) < 5, said


def test_a_service_records_plays_and_takes_an_upload(windows: Windows, tmp_path: Path) -> None:
    with serving(windows, tmp_path) as http:
        until_streaming(http, "simulate-1")
        new = {"session": "simulate-1", "name": "kept"}
        assert http.post("/v1/recordings", json=new).status_code == 201
        kept = tmp_path / "kept.xdf"
        assert is_being_written(kept)  # the lock is seen by another process
        begun = kept.stat().st_size
        while kept.stat().st_size < begun + 5000:  # it holds no sample at first
            time.sleep(0.05)
        stopped = http.post("/v1/recordings/kept/stop").json()
        assert stopped["state"] == "finished"
        assert not is_being_written(kept)
        assert read_recording(str(kept)).info.sfreq == 256
        played = http.post("/v1/sessions", json={"source": str(kept), "model": "none"})
        assert played.status_code == 201, played.text
        sent = http.post("/v1/uploads", params={"name": "sent.xdf"}, content=kept.read_bytes())
        assert sent.status_code == 201, windows.said[1]
        assert (tmp_path / "sent.xdf").read_bytes() == kept.read_bytes()
    assert "raceback" not in windows.said[1]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".upload")]


def test_the_doctor_ends_with_a_line_for_each_check(windows: Windows) -> None:
    windows.start("doctor", "--quick", "--json")
    windows.wait()
    said, problems = windows.said
    lines = [json.loads(line) for line in said.splitlines()]
    assert {"Python", "Bluetooth", "disk"} <= {each["name"] for each in lines}, problems
    assert "raceback" not in problems
