"""The end of a service, in a process of its own: files first, in time, whatever hangs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from signal import SIGINT

import httpx
import pytest
import pyxdf

from service.messages import Since, Subscribe
from tests.service.live import talk
from tests.service.recordings import write_muse

pytestmark = pytest.mark.anyio

LONGEST = 60
HANGING = """
import threading
import drivers.replay, service.ending, service.server
from service.cli import main

drivers.replay.ReplayDriver.__exit__ = lambda *_: threading.Event().wait()
service.ending.SESSIONS_WITHIN = 0.5
service.server.LAST_SECONDS = 2.5
main()
"""
"""A service whose recordings, once played, are never left; it has less time than usual to end."""


async def test_two_interrupts_leave_files_whole_though_a_driver_and_a_client_hang(
    tmp_path: Path,
) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=60)
    command = [sys.executable, "-c", HANGING, "serve", "--port", "0", "--log-format", "json"]
    sources = ["--source", "simulate://", "--source", str(path), "--model", "none"]
    environment = {**os.environ, "MIMAMBA_DATA_DIR": str(tmp_path / "data")}
    process = subprocess.Popen(
        [*command, *sources], stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stderr is not None
    try:
        told = [json.loads(process.stderr.readline())]
        url = told[0]["address"]
        while [each["event"] for each in told].count("session opened") < 2:
            told.append(json.loads(process.stderr.readline()))
        new = {"session": "simulate-1", "name": "kept", "person": "Ada", "notes": "tired"}
        assert httpx.post(f"{url}v1/recordings", json=new).status_code == 201
        async with talk(url, narrow=True) as client:  # it reads nothing any more
            for session in ("simulate-1", "replay-2"):
                await client.say(Subscribe(session, ["signal"], Since("")))
            for _ in range(2):
                process.send_signal(SIGINT)
            rest = process.communicate(timeout=LONGEST)[1]
            client.socket.transport.abort()  # to take leave would take long, with so much unread
    finally:
        process.kill()
        process.communicate()
    told += [json.loads(line) for line in rest.splitlines()]
    events = [each["event"] for each in told]
    assert process.returncode == 130
    assert events.index("recording finished") < events.index("session ended")
    assert any(each.get("worker") == "session replay-2" for each in told)
    assert not re.search("Ada|tired", rest)
    card = json.loads((tmp_path / "data" / "kept.json").read_text())
    assert card["state"] == "finished"
    streams, _ = pyxdf.load_xdf(str(tmp_path / "data" / "kept.xdf"))
    assert all("footer" in stream for stream in streams)
