"""``mimamba watch``: a running service in the terminal, through its public WebSocket."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from mimamba.service.client.client import Client
from mimamba.service.client.credentials import Credentials
from mimamba.service.protocol.events import LinkMessage
from mimamba.service.protocol.measures import BandsMessage, QualityMessage
from mimamba.service.protocol.messages import (
    PredictionMessage,
    ServerMessage,
    SessionState,
    Subscribed,
    Topic,
    encode,
)

TOPICS: list[Topic] = ["prediction", "quality", "bands", "marker", "link"]
WatchedMessage: TypeAlias = (
    SessionState | Subscribed | PredictionMessage | QualityMessage | BandsMessage | LinkMessage
)
HEADINGS = ("session", "source", "prediction", "signal", "bands, µV²", "age", "gaps", "link")
OLD = 2.0
"""Seconds after which what is shown is called old."""


@dataclass
class TableRow:
    """What the table shows of one session."""

    subscribed: Subscribed | None = None
    prediction: PredictionMessage | None = None
    quality: QualityMessage | None = None
    bands: BandsMessage | None = None
    link: str = ""
    state: str = "opened"
    heard: float = field(default_factory=time.monotonic)
    gaps: int = 0
    lost: int = 0


def watch(url: str, json: bool, only: list[str], credentials: Credentials) -> None:
    """Follow all sessions, or ``only`` some, until interrupted.

    Raises
    ------
    ServiceUnreachable
        If no service answers.
    NotLetIn
        If it wants a token, or another one.
    """
    client = Client(url, credentials=credentials)
    asyncio.run(_print_json(client, only) if json else _show_table(client, only))


async def _print_json(client: Client, only: list[str]) -> None:
    async with client:
        async for message in client:
            await _follow(client, message, only)
            name = getattr(message, "session", None)
            if name is not None and (not only or name in only):
                sys.stdout.write(encode(message, binary=False).decode() + "\n")
                sys.stdout.flush()


async def _show_table(client: Client, only: list[str]) -> None:
    rows: dict[str, TableRow] = {}
    console = Console()
    async with client:
        with Live(console=console, auto_refresh=False) as live:  # empty until somebody answers
            async for message in client:
                await _follow(client, message, only)
                _note(rows, message)
                live.update(_table(rows), refresh=True)


async def _follow(client: Client, message: ServerMessage, only: list[str]) -> None:
    """Subscribe to each session as it opens."""
    if not isinstance(message, SessionState) or message.state != "opened":
        return
    if not only or message.session in only:
        await client.subscribe(message.session, TOPICS)


def _note(rows: dict[str, TableRow], message: ServerMessage) -> None:
    """Take a message into the table."""
    if not isinstance(message, WatchedMessage):
        return
    row = rows.setdefault(message.session, TableRow())
    if isinstance(message, SessionState):
        row.state = message.reason or message.state
        if message.state == "closed":
            del rows[message.session]
    elif isinstance(message, Subscribed):
        row.subscribed, row.quality, row.bands = message, None, None
    elif isinstance(message, PredictionMessage):
        row.prediction, row.heard = message, time.monotonic()
    elif isinstance(message, QualityMessage):
        row.quality = message
        if row.subscribed is None or row.subscribed.model is None:
            row.heard = time.monotonic()
    elif isinstance(message, BandsMessage):
        row.bands = message
    elif message.event == "gap":
        row.gaps, row.lost = row.gaps + 1, row.lost + (message.lost or 0)
    else:
        row.link = f"{message.event.replace('_', ' ')}: {message.detail}"


def _table(rows: dict[str, TableRow]) -> Table:
    table = Table(caption="Ctrl+C leaves. mimamba is not a medical device.", expand=True)
    for heading in HEADINGS:
        table.add_column(heading)
    for name, row in sorted(rows.items()):
        info = row.subscribed.info if row.subscribed else None
        age = time.monotonic() - row.heard
        table.add_row(
            name,
            escape(f"{info.name}{' (simulated)' if info.simulated else ''}") if info else "",
            _judgement(row),
            describe_quality(row.quality),
            describe_bands(row.bands),
            f"[bold red]old: {age:.0f} s[/]" if age > OLD else "now",
            f"{row.gaps} ({row.lost} samples)" if row.gaps else "none",
            escape(row.link if row.state == "opened" else row.state),
        )
    return table


def _judgement(row: TableRow) -> str:
    """The last prediction in words, or why there is none."""
    if row.subscribed is not None and row.subscribed.model is None:
        return "no model: signal only"
    if row.prediction is None:
        return "waiting"
    if row.prediction.outputs is None:
        return f"[yellow]{escape(str(row.prediction.reason))}[/]"
    best = (
        f"{output} {max(shares, key=shares.__getitem__)} {max(shares.values()):.0%}"
        for output, shares in row.prediction.outputs.items()
    )
    notice = row.subscribed.model.notice if row.subscribed and row.subscribed.model else None
    return escape(", ".join(best)) + (f"\n[yellow]{escape(notice)}[/]" if notice else "")


def describe_quality(message: QualityMessage | None) -> str:
    """The worst channel and why, or that all are good; in rich's markup."""
    if message is None:
        return "waiting"
    name, worst = min(message.channels.items(), key=lambda item: item[1].score)
    if worst.reason is None:
        return "good"
    return f"[yellow]{escape(name)}: {worst.reason}[/] ({worst.score:.0%})"


def describe_bands(message: BandsMessage | None) -> str:
    """Each band's median over the channels that have a value."""
    if message is None:
        return "waiting"
    channels = [asdict(each) for each in message.channels.values()]
    values = {
        band: [each[band] for each in channels if each[band] is not None] for band in channels[0]
    }
    return "\n".join(
        f"{band} {median(values[band]):.3g}" if values[band] else f"{band} none" for band in values
    )
