"""The server of tools for agents: strangers take no room from agents, and mistakes are one line."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.client.rest_client import RestClient
from mimamba.service.server.acceptor import ConnectionLimits
from mimamba.service.server.limited_server import LimitedServer, listen, make_config
from tests.service.live import PATIENCE, bearer

# mcp is imported by the tests alone: it takes a second, and each process collects all.
pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="the extra mcp is not installed")

SHOWN = "a-token-that-agents-show"
ASK = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def test_silent_connections_make_room_for_agents() -> None:
    from mimamba.service.agent.http_server import PATH, make_http_app
    from mimamba.service.agent.tools import make_server

    tools = make_http_app(make_server(RestClient("http://127.0.0.1:1"), False), SHOWN)
    config = make_config(tools, None, None, websockets=False)
    server = LimitedServer(config, ConnectionLimits(4, 4))
    with ExitStack() as plugs, listen("127.0.0.1", 0) as listener:
        place = listener.getsockname()
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        try:
            silent = [
                plugs.enter_context(socket.create_connection(place, PATIENCE)) for _ in range(6)
            ]
            silent[-1].sendall(b"POST /mcp HTTP/1.1\r\nHost: ")  # a head that never ends
            url = f"http://127.0.0.1:{place[1]}{PATH}"
            found = httpx.post(
                url, json=ASK, headers=ACCEPT | bearer(SHOWN), timeout=PATIENCE, verify=False
            )
            assert found.json()["result"]["tools"]
            assert silent[0].recv(1) == b""  # the oldest is closed
            refused = httpx.post(url, json=ASK, headers=ACCEPT, timeout=PATIENCE, verify=False)
            assert (refused.status_code, refused.headers["connection"]) == (401, "close")
        finally:
            server.should_exit = True
            serving.join()


def test_a_bad_certificate_is_one_line(tmp_path: Path) -> None:
    from mimamba.service.agent.http_server import TOKEN

    certificate = tmp_path / "service.pem"
    options = ["mcp", "--http", ":0", "--ssl-certfile", str(certificate)]
    ended = CliRunner().invoke(app, options, env={TOKEN: SHOWN})
    assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
    assert f"Cannot use the certificate in {certificate}" in ended.output


def test_a_public_address_is_the_one_that_is_shown() -> None:
    from mimamba.service.agent.http_server import parse_http_address

    address = parse_http_address(":0", None, None, False, "https://lab.example/agents/")
    assert address.url(8766) == "https://lab.example/agents/mcp"
    assert parse_http_address(":0", None, None, False).url(8766) == "http://127.0.0.1:8766/mcp"
