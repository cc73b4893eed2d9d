"""Rules in a running service with a real receiver, and the same in a dry run over its recording."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.drivers.driver import LinkChange
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.cli.personal.rules import try_
from mimamba.service.protocol.messages import MarkerMessage, Position, Subscribe
from mimamba.service.rules.dry_run import try_rules
from mimamba.service.rules.recorded_values import load_topics, recorded_values
from mimamba.service.rules.rule_file import Watched, read_rules
from mimamba.service.rules.rules_runner import RulesRunner
from tests.service.live import PATIENCE, Live, live, talk
from tests.service.scripted import staged

RULES = """
[[rule]]
name = "some alpha"
when = "band/alpha"
above = 0.0
for = 1
webhook = "http://127.0.0.1:{http}/alpha"
osc = "127.0.0.1:{osc}"
marker = "alpha"
[[rule]]
name = "dead end"
when = "band/beta/AF7"
below = 1
webhook = "http://127.0.0.1:{closed}/"
[[rule]]
when = "band/beta/AF7"
above = 1
marker = "never"
[[rule]]
when = "link/lost"
marker = "lost"
"""


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    posted: list[dict[str, Any]]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.posted.append(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def failures(caplog: pytest.LogCaptureFixture) -> set[str]:
    """Rules that could not act."""
    return {getattr(each, "rule", "") for each in caplog.records if each.levelname == "WARNING"}


async def hear_marker(service: Live) -> None:
    async with talk(service.url) as client:
        await client.say(Subscribe("simulate-1", ["marker"], Position("", {})))
        await client.find(
            MarkerMessage, lambda each: (each.label, each.source) == ("alpha", "rule")
        )


def holds_a_second(path: Path) -> bool:
    """Whether a recording in progress has band power of more than a second.

    It is read while it is written, and may end in the middle of a chunk.
    """
    try:
        topics = load_topics(path)
    except BadRecording:
        return False
    found = recorded_values(Watched("band", "alpha"), topics)
    return found is not None and bool(np.ptp(found[0]) > 1)


def test_a_rule_acts_live_and_in_a_dry_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    posted: list[dict[str, Any]] = []
    handler = type("KeptReceiver", (Receiver,), {"posted": posted})
    file = tmp_path / "rules.toml"
    with (
        HTTPServer(("127.0.0.1", 0), handler) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as osc,
        socket.socket() as closed,
    ):
        osc.bind(("127.0.0.1", 0))
        osc.settimeout(30)
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        ports = {"http": server.server_port, "osc": osc.getsockname()[1]}
        file.write_text(RULES.format(**ports, closed=closed.getsockname()[1]), encoding="utf-8")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with live("simulate://", model="none", data_dir=tmp_path, rules=file) as service:
                service.opened("simulate-1")
                new = {"session": "simulate-1", "name": "one"}
                service.http.post("/v1/recordings", json=new).raise_for_status()
                service.until(lambda: len(posted) > 0)
                datagram = osc.recv(1000)
                service.until(lambda: "dead end" in failures(caplog))
                # It acts in the recording, too, however late that began.
                service.until(lambda: holds_a_second(tmp_path / "one.xdf"))
                service.http.post("/v1/recordings/one/stop").raise_for_status()
                asyncio.run(hear_marker(service))
        finally:
            server.shutdown()
            thread.join()
    assert [each["rule"] for each in posted] == ["some alpha"]
    assert posted[0]["session"] == "simulate-1"
    assert 0 < posted[0]["value"] < 1
    assert b"/mimamba/simulate-1/rule/some_alpha" in datagram

    acts = try_rules(read_rules(file), tmp_path / "one.xdf")
    assert {act.rule.name for act in acts} == {"some alpha", "dead end"}
    try_(file, "one", tmp_path)
    assert "some alpha: 1, dead end: 1, rule 3: 0, rule 4: 0" in " ".join(
        capsys.readouterr().out.split()
    )
    file.write_text(
        '[[rule]]\nwhen = "valence/high"\nabove = 0.5\nmarker = "a"\n', encoding="utf-8"
    )
    with pytest.raises(BadRecording, match="valence/high of rule 1"):
        try_rules(read_rules(file), tmp_path / "one.xdf")
    with pytest.raises(BadRecording, match="a recording of mimamba"):
        try_rules(read_rules(file), file)


def test_a_rule_acts_on_a_lost_link(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    lost = '[[rule]]\nwhen = "link/lost"\nmarker = "lost"\n'
    drowsy = '[[rule]]\nwhen = "band/theta"\nabove = 0.9\nmarker = "drowsy"\n'
    file.write_text(lost + drowsy, encoding="utf-8")
    with staged(None) as stage:
        session = stage.session
        runner = RulesRunner(lambda: {session.name: session}, read_rules(file))
        runner.start()
        try:
            session._on_link_change(LinkChange("lost", local_clock(), "no sample for 2 s"))
            labels: set[str] = set()
            end = time.monotonic() + PATIENCE
            while "lost" not in labels and time.monotonic() < end:
                time.sleep(0.02)
                session.place_markers(late=True)
                logs = session.check_open()
                labels = {getattr(each, "label", "") for _, each in logs.marker.read(0, 9)}
            assert session.watchers  # bands do not wait if a rule acts on them
        finally:
            runner.close()
        assert not session.watchers
    assert "lost" in labels
