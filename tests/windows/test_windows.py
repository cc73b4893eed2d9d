"""Our code needs nothing that only Unix has; Windows itself is not here."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mimamba.drivers.formats.read import read_recording
from mimamba.service.recordings.recovery import is_being_written
from tests.service.live import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = (sys.executable, "-m", "tests.windows.stand_in")
SECONDS = 100
"""For a child process, on a busy machine."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this is the real one")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STAND_IN, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=ROOT,
    )


@contextmanager
def serving(folder: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A service on Windows' stand-in, with a simulated headset."""
    folders = ("--data-dir", str(folder), "--files", str(folder))
    command = ("serve", "--port", "0", *folders, "--source", "simulate://")
    with (folder / "stderr").open("w+") as stderr:
        process = subprocess.Popen([*STAND_IN, *command], stderr=stderr, text=True, cwd=ROOT)
        try:
            end = time.monotonic() + SECONDS
            while not (found := re.search(r"http://\S+/", (folder / "stderr").read_text())):
                assert process.poll() is None, (folder / "stderr").read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
            with httpx.Client(base_url=found[0], timeout=PATIENCE) as http:
                yield http, process
        finally:
            process.kill()
            process.wait()


def until_streaming(http: httpx.Client, name: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        found = {each["id"]: each["state"] for each in http.get("/v1/sessions").json()}
        if found.get(name) not in (None, "opening"):
            return
        assert time.monotonic() < end, found
        time.sleep(0.05)


def test_every_module_is_imported_without_what_only_unix_has() -> None:
    done = run("imports")
    assert done.returncode == 0, done.stderr
    count = sum(len(list((ROOT / each).rglob("*.py"))) for each in ("drivers", "models", "service"))
    assert abs(int(done.stdout.split()[0]) - count) < 5, done.stdout


def test_a_service_records_plays_and_takes_an_upload(tmp_path: Path) -> None:
    with serving(tmp_path) as (http, process):
        until_streaming(http, "simulate-1")
        new = {"session": "simulate-1", "name": "kept"}
        assert http.post("/v1/recordings", json=new).status_code == 201
        kept = tmp_path / "kept.xdf"
        assert is_being_written(kept)  # the lock is seen by another process
        time.sleep(1.0)
        stopped = http.post("/v1/recordings/kept/stop").json()
        assert stopped["state"] == "finished"
        assert not is_being_written(kept)
        assert read_recording(str(kept)).info.sfreq == 256
        played = http.post("/v1/sessions", json={"source": str(kept), "model": "none"})
        assert played.status_code == 201, played.text
        sent = http.post("/v1/uploads", params={"name": "sent.xdf"}, content=kept.read_bytes())
        assert sent.status_code == 201, sent.text
        assert (tmp_path / "sent.xdf").read_bytes() == kept.read_bytes()
        process.send_signal(signal.SIGINT)  # as Ctrl+C does
        process.wait(PATIENCE)
    said = (tmp_path / "stderr").read_text()
    assert "raceback" not in said
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".upload")]


def test_the_doctor_ends_with_a_line_for_each_check() -> None:
    done = run("doctor", "--quick", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"Python", "Bluetooth", "disk"} <= {each["name"] for each in lines}, done.stderr
    assert "raceback" not in done.stderr
