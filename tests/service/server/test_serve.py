"""Messages of a starting service to each reader, and secrets that its logs never hold."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from mimamba.service.auth.authenticator import Authenticator, Permission
from mimamba.service.auth.tokens import Tokens, read_tokens
from mimamba.service.bench.service_process import running_service
from mimamba.service.monitoring.logging import JSONLine, configure_logging
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import Hello, Ping, Pong
from mimamba.service.server.serve import announce, announce_watching, serve
from mimamba.service.server.server import Server
from mimamba.service.settings.load import make_settings
from tests.service.auth.test_tokens import BEYOND, CONTROL, VIEW
from tests.service.cli.test_main import serving
from tests.service.forked import LoadedProgram
from tests.service.live import bearer, live, talk

SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets.server")


@contextmanager
def terminal() -> Iterator[None]:
    """Somebody watches: standard error is a terminal."""
    leader, follower = os.openpty()
    with open(follower, "w") as shown, redirect_stderr(shown):  # noqa: PTH123
        yield
    os.close(leader)


def announced(folder: Path, flags: dict[str, object], tokens: Tokens | None = None) -> str:
    settings = make_settings({"data_dir": folder, **flags})
    console = Console(width=40, color_system=None)
    with console.capture() as said:
        announce(settings, tokens or settings.tokens(), 8765, console)
    return said.get()


def test_made_tokens_are_shown_to_a_terminal_and_written_nowhere(tmp_path: Path) -> None:
    with terminal():
        said = announced(tmp_path, BEYOND, Tokens(CONTROL, VIEW))
    assert f"Token for control: {CONTROL}\nToken for view:    {VIEW}\n" in said
    assert list(tmp_path.iterdir()) == []


def test_made_tokens_are_written_for_the_owner_where_nobody_watches(tmp_path: Path) -> None:
    said = announced(tmp_path, BEYOND, Tokens(CONTROL, VIEW))
    path = tmp_path / "tokens-8765"
    assert f"are in {path}\n" in said
    assert CONTROL not in said
    assert VIEW not in said
    assert read_tokens(path) == Tokens(CONTROL, VIEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("flags", [{}, {"token": CONTROL, "view_token": VIEW}])
def test_given_tokens_are_not_printed_again(tmp_path: Path, flags: dict[str, object]) -> None:
    with terminal():
        assert "oken" not in announced(tmp_path, flags)
    assert list(tmp_path.iterdir()) == []


def test_made_tokens_are_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with terminal(), caplog.at_level(logging.INFO, "mimamba.service.server.serve"):
        announced(tmp_path, {**BEYOND, "log_format": "json"}, Tokens(CONTROL, VIEW))
    lines = [JSONLine().format(each) for each in caplog.records]
    path = tmp_path / "tokens-8765"
    assert [json.loads(each).get("file") for each in lines] == [None, str(path)]
    assert json.loads(lines[0])["address"] == "http://127.0.0.1:8765/"
    assert CONTROL not in "".join(lines)
    assert read_tokens(path) == Tokens(CONTROL, VIEW)


@pytest.mark.parametrize(
    ("flags", "url"),
    [
        ({}, "http://127.0.0.1:8765/"),
        (BEYOND, "http://127.0.0.1:8765/ and at every address of this machine"),
        ({"host": "::1"}, "http://[::1]:8765/"),
        ({"ssl_certfile": Path("c.pem")}, "https://127.0.0.1:8765/"),
        (
            {"public_url": "https://eeg.example.org/base"},
            "https://eeg.example.org/base/, and on this machine at http://127.0.0.1:8765/base/",
        ),
        (
            {"allowed_host": ["lab.example"], "ssl_certfile": Path("c.pem")},
            "https://lab.example:8765/",
        ),
    ],
)
def test_the_address_is_one_to_open(tmp_path: Path, flags: dict[str, object], url: str) -> None:
    assert f"mimamba is at {url}" in " ".join(announced(tmp_path, flags).split())


def test_a_link_for_a_phone_is_shown_to_a_terminal_only(tmp_path: Path) -> None:
    door = Authenticator(Tokens(CONTROL))

    def shown(flags: dict[str, object], width: int = 80, encoding: str = "utf-8") -> str:
        settings = make_settings({"data_dir": tmp_path, "allowed_host": ["eeg.example"], **flags})
        with open(tmp_path / "shown", "w+", encoding=encoding) as file:  # noqa: PTH123
            console = Console(width=width, color_system=None, file=file)
            announce_watching(settings, door, 8765, console)
            file.seek(0)
            return file.read()

    with terminal():
        said = shown(BEYOND)
        code = re.search(r"^http://eeg\.example:8765/#watch=(\w{10})$", said, re.MULTILINE)
        assert code
        assert "▄" in said
        assert door.authenticate_code(code[1], "192.0.2.1") == Permission("view")
        for plain in (shown(BEYOND, width=20), shown(BEYOND, encoding="ascii")):
            assert "▄" not in plain
            assert "/#watch=" in plain
        public = shown({"public_url": "https://eeg.example.org/base"})
        assert re.search(r"^https://eeg\.example\.org/base/#watch=", public, re.MULTILINE)
        assert shown({}) == shown({**BEYOND, "log_format": "json"}) == ""
    assert shown(BEYOND) == ""


def test_a_service_beyond_loopback_makes_its_tokens(tmp_path: Path, loaded: LoadedProgram) -> None:
    beyond = ("--host", "0.0.0.0", "--insecure-http", "--data-dir", str(tmp_path))
    with serving(*beyond, "--model", "none", loaded=loaded) as (url, process):
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"are in (\S+)\n", said)):
            said += process.stderr.readline()
        tokens = read_tokens(Path(found[1]))
        with httpx.Client(base_url=url, timeout=30, verify=False) as http:
            assert http.get("/v1/sessions").status_code == 401
            assert http.get("/v1/sessions", headers=bearer(str(tokens.view))).status_code == 200
            opened = http.post("/v1/sessions", json={}, headers=bearer(str(tokens.control)))
            assert opened.status_code == 422


@contextmanager
def debugging() -> Iterator[list[str]]:
    """All that the service's libraries log, at the level of debugging."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    loggers = [logging.getLogger(name) for name in SERVERS]
    before = [(each, each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.setLevel(logging.DEBUG)
        each.propagate = False
        each.addHandler(handler)
    try:
        yield lines
    finally:
        for each, level, propagate in before:
            each.removeHandler(handler)
            each.setLevel(level)
            each.propagate = propagate


@pytest.mark.anyio
async def test_no_log_holds_a_token(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        configure_logging("json", "info"),
        live(source=[], token=CONTROL, view_token=VIEW) as service,
        debugging() as lines,
    ):
        secrets = [CONTROL, VIEW, "a-wrong-token-of-the-tests"]
        for token in secrets[::-1]:
            service.http.get("/v1/sessions", headers=bearer(token))
            service.http.post("/v1/login", json={"token": token})
            async with talk(service.url, binary=False, headers=bearer(token)):
                pass
            async with talk(service.url, binary=False) as client:
                await client.say(Auth(token))
                await client.hear()
        secrets += service.http.cookies.values()
        async with talk(service.url) as client:
            await client.find(Hello)
            await client.say(Auth(VIEW))
            await client.say(Ping(1.0))
            await client.find(Pong)
    assert len(secrets) == 4
    text = "\n".join(lines) + "".join(capfd.readouterr())
    assert '"POST /v1/login HTTP/1.1" 200' in text
    assert '"client came"' in text
    assert '"WebSocket /v1/stream" [accepted]' in text
    for secret in secrets:
        assert secret not in text
        assert secret[:8] not in text


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there are not two processors to choose among, as far as the system tells",
)
def test_it_keeps_to_one_processor_from_its_start() -> None:
    with running_service(model="none") as service:
        assert len(os.sched_getaffinity(service.pid)) == 1


def test_the_openapi_document_is_made_before_the_first_request(tmp_path: Path) -> None:
    documents: list[dict[str, Any] | None] = []

    class Inspected(Server):
        """Ends as soon as it has started."""

        async def main_loop(self) -> None:
            documents.append(self._app.openapi_schema)

    serve(make_settings({"port": 0, "source": [], "data_dir": tmp_path / "data"}), Inspected)
    (document,) = documents
    assert document
    assert "/v1/sessions" in document["paths"]


@pytest.mark.anyio
async def test_no_answer_waits_for_the_one_before_to_be_confirmed() -> None:
    with live(source=[]) as service:
        async with talk(service.url) as client:
            await client.find(Hello)
            service.http.get("/healthz")
            found = [
                each.transport.get_extra_info("socket").getsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY
                )
                for each in service.server.server_state.connections
            ]
    assert len(found) == 2
    assert all(found)
