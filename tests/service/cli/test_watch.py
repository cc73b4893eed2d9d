"""What ``mimamba watch`` says about sessions, their predictions, and refusals."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result
from websockets.asyncio.server import ServerConnection, serve

from mimamba.drivers.driver import StreamInfo
from mimamba.models.prediction import LabelSet
from mimamba.service.cli.main import app
from mimamba.service.cli.watch import NOT_OPEN, WatchTable, describe_sets
from mimamba.service.protocol.messages import (
    PROTOCOL,
    Clock,
    Error,
    Heartbeat,
    Hello,
    PredictionMessage,
    ServerMessage,
    SessionState,
    Subscribed,
    encode,
)
from mimamba.service.topics import Timing

CLOCK = Clock(0.0, 0.0)


def test_sets_are_described_with_their_coverage() -> None:
    def said(sets: dict[str, LabelSet] | None) -> str:
        timing = Timing(0.0, 0.0, 0.0)
        return describe_sets(PredictionMessage("a", 0, 1, 2.0, "ok", None, {}, timing, None, sets))

    assert said(None) == ""
    sets = {
        "valence": LabelSet(("low", "high"), 0.875, 40),
        "arousal": LabelSet((), None, 0),
    }
    assert said(sets) == "9 of 10: valence low or high (right in 88%), arousal none"


def printed(table: WatchTable) -> str:
    file = io.StringIO()
    Console(file=file, width=200).print(table.render())
    return file.getvalue()


def test_a_session_is_as_old_as_what_came_since_it_opened() -> None:
    info = StreamInfo("made", "/made", 256.0, ("TP9",), live=True)
    table = WatchTable(["a"])
    table.rows["a"].updated -= 600  # it was waited for
    assert NOT_OPEN in printed(table)
    for message in (
        SessionState("b", "opened"),
        SessionState("a", "opened"),
        Subscribed("a", "1", info, None, None, None, None, {}),
    ):
        table.update(message)
    assert list(table.rows) == ["a"]
    assert "now" in printed(table)
    table.rows["a"].updated -= 600
    assert "old: 600 s" in printed(table)
    table.update(SessionState("a", "closed"))
    assert NOT_OPEN in printed(table)
    assert "old" not in printed(table)
    everything = WatchTable()
    for message in (SessionState("a", "opened"), SessionState("a", "closed")):
        everything.update(message)
    assert not everything.rows


@asynccontextmanager
async def scripted(*messages: ServerMessage) -> AsyncIterator[str]:
    """Address of a server that sends these messages, and then one that ends every client."""

    async def greet(socket: ServerConnection) -> None:
        for each in messages:
            await socket.send(encode(each, binary=False).decode())
        await socket.send("{}")
        await socket.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@pytest.mark.anyio
async def test_refusals_and_sessions_that_are_not_open_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def watch(url: str, *options: str) -> Result:
        words = ["watch", url, "--session", "nobody", *options]
        return await asyncio.to_thread(CliRunner().invoke, app, words)

    hello, opened = Hello(PROTOCOL, "mimamba", CLOCK, "view"), SessionState("other", "opened")
    refusal = Error("no_session", "Expected a [session].")
    async with scripted(hello, opened, refusal, Heartbeat(CLOCK)) as url:
        shown = await watch(url)
        assert not caplog.records  # a line of the log would break the table
        listed = await watch(url, "--json")
    assert (shown.exit_code, listed.exit_code) == (2, 2)
    assert NOT_OPEN in " ".join(shown.stdout.split())
    assert "Expected a [session]." in shown.stdout
    told = "Session nobody is not open yet; waiting for it. Open: other.\n"
    assert listed.stderr.startswith(told)
    assert listed.stdout == ""
    assert refusal.message in caplog.text
