"""What an agent may read and do, by the protocol's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.client.credentials import Credentials
from mimamba.service.client.rest_client import RestClient
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE, Live, bearer, live

# It is imported by the tests alone: it takes a second, and each of pytest's processes collects all.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("mcp") is None, reason="the extra mcp is not installed"),
]

READING = {"sessions", "state", "quality", "recordings", "report"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("recordings")
    tokens: dict[str, Any] = {"token": CONTROL, "view_token": VIEW}
    with live("simulate://?seed=2", data_dir=folder, **tokens) as service:
        service.opened("simulate-1")
        yield service


PROGRAM = "from mimamba.service.cli.main import main; main()"
SHOWN = "a-token-that-agents-show"


@pytest.fixture(scope="module", autouse=True)
def http_program(service: Live) -> Iterator[subprocess.Popen[str]]:
    """``mimamba mcp --http``, started at once: it takes a while, in which other tests run."""
    command = ["mcp", "--url", service.url, "--http", ":0"]
    tokens = {"MIMAMBA_TOKEN": VIEW, "MIMAMBA_MCP_TOKEN": SHOWN}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command],
        env=os.environ | tokens | {"PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.terminate()


@pytest.fixture(scope="module")
def over_http(http_program: subprocess.Popen[str]) -> str:
    """The address of its tools."""
    assert http_program.stderr is not None
    line = http_program.stderr.readline()
    assert line.startswith("The tools are at http://127.0.0.1:")
    return line.split()[4]


def connected(service: Live, token: str, allow_control: bool = False) -> Any:
    import mcp

    from mimamba.service.agent.tools import make_server

    return mcp.Client(make_server(RestClient(service.url, Credentials(token)), allow_control))


async def call(client: Any, tool: str, /, **arguments: str) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    found = answer.structured_content
    return found["result"] if set(found) == {"result"} else found


async def predicted(client: Any, after: float = 0.0) -> Any:
    """The state with the first prediction after this time: a tool waits only so long for one."""
    while True:
        state = await call(client, "state", session="simulate-1")
        if state["prediction"].get("timestamp", 0.0) > after:
            return state


async def refusal(client: Any, tool: str, /, **arguments: str) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return str(answer.content[0].text)


async def test_an_agent_reads_and_changes_nothing(service: Live) -> None:
    async with connected(service, VIEW) as client:
        assert {each.name for each in (await client.list_tools()).tools} == READING
        (session,) = await call(client, "sessions")
        assert (session["id"], session["model"]) == ("simulate-1", "demo")
        state = await predicted(client)
        assert "simulated" in state["notice"]
        prediction = state["prediction"]
        assert prediction["outputs"] or prediction["reason"]
        quality = await call(client, "quality", session="simulate-1")
        assert set(quality["channels"]) == {"TP9", "AF7", "AF8", "TP10"}
        assert await call(client, "recordings") == []
        assert "nobody" in await refusal(client, "state", session="nobody")
    async with connected(service, "w" * 20) as client:
        assert "Token not accepted." in await refusal(client, "sessions")


async def test_with_control_it_marks_and_records(service: Live) -> None:
    async with connected(service, CONTROL, allow_control=True) as client:
        tools = {each.name: each for each in (await client.list_tools()).tools}
        assert tools.keys() == READING | {"mark", "start_recording", "stop_recording"}
        assert {name for name, tool in tools.items() if tool.annotations.read_only_hint} == READING
        await call(client, "start_recording", session="simulate-1", name="asked")
        marker = await call(client, "mark", session="simulate-1", label="go")
        assert marker["label"] == "go"
        await predicted(client, marker["timestamp"])  # else the recording names no model
        stopped = await call(client, "stop_recording", name="asked")
        assert stopped["state"] == "finished"
        (recording,) = await call(client, "recordings")
        assert recording["name"] == "asked"
    async with connected(service, VIEW, allow_control=True) as client:
        report = await call(client, "report", recording="asked")
        assert (report["name"], report["model"], report["simulated"]) == ("asked", "demo", True)
        assert "no-such" in await refusal(client, "report", recording="no-such")
        assert "allows only view" in await refusal(client, "mark", session="simulate-1", label="x")


async def test_the_program_speaks_on_stdio(service: Live) -> None:
    import mcp

    program = mcp.StdioServerParameters(
        command=sys.executable,
        args=[
            "-c",
            PROGRAM,
            "mcp",
            "--url",
            service.url,
        ],
        env={"MIMAMBA_TOKEN": VIEW, "PYTHONPATH": ":".join(sys.path)},
    )
    async with mcp.Client(program) as client:
        (session,) = await call(client, "sessions")
        assert session["id"] == "simulate-1"


@asynccontextmanager
async def http_client(url: str, token: str) -> AsyncIterator[Any]:
    import httpx2
    import mcp
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=bearer(token)) as sender,
        mcp.Client(streamable_http_client(url, http_client=sender)) as client,
    ):
        yield client


async def test_an_agent_reads_over_http(over_http: str) -> None:
    async with http_client(over_http, SHOWN) as client:
        assert {each.name for each in (await client.list_tools()).tools} == READING
        (session,) = await call(client, "sessions")
        assert session["id"] == "simulate-1"
        quality = await call(client, "quality", session="simulate-1")
        assert set(quality["channels"]) == {"TP9", "AF7", "AF8", "TP10"}


def test_over_http_strangers_get_nothing(over_http: str) -> None:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepted = {"Accept": "application/json, text/event-stream"}

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = accepted | named
        return httpx.post(
            over_http, json=ask, headers=headers, timeout=PATIENCE, verify=False
        ).status_code

    right = bearer(SHOWN)["Authorization"]
    assert status(Authorization=right, Host="evil.example") == 403
    assert status(Authorization=right, Origin="http://evil.example") == 403
    assert status(Authorization=right, Sec_Fetch_Site="cross-site") == 403
    assert status() == status(Authorization=bearer(VIEW)["Authorization"]) == 401
    missing = httpx.post(over_http, json=ask, timeout=PATIENCE, verify=False)
    assert missing.headers["www-authenticate"] == 'Bearer realm="mimamba"'
    assert "MIMAMBA_MCP_TOKEN" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--http", "8766"], "Expected HOST:PORT with an IP address"),
        (["--http", "lab.example:8766"], "Expected HOST:PORT with an IP address"),
        (["--http", "0.0.0.0:8766"], "Expected TLS beyond this machine"),
        (["--http", "127.0.0.1:0"], "Expected a token for agents, but found none"),
        (["--http", ":0", "--ssl-keyfile", "a.key"], "Expected a certificate with the key"),
        (["--http", ":0", "--public-url", "lab.example"], "Expected the address at which"),
        (["--allowed-host", "lab"], "Expected --http with --allowed-host"),
    ],
)
def test_what_cannot_be_offered_is_one_line(options: list[str], words: str) -> None:
    ended = CliRunner().invoke(app, ["mcp", *options])
    assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
    assert words in ended.output


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.delitem(sys.modules, "mimamba.service.agent.tools", raising=False)
    ended = CliRunner().invoke(app, ["mcp"])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("mimamba: Expected the package mcp, but found ")
    assert ended.stderr.endswith("Install it: pip install mcp.\n")
