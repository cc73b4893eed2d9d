"""Command ``watch``: a running service in the terminal, by its public WebSocket."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from mimamba.service.cli.options import (
    LIVE,
    SERVICE_URL,
    CaFile,
    Json,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)
from mimamba.service.server.console import print_json_line

if TYPE_CHECKING:
    from rich.table import Table

    from mimamba.service.client.client import Client
    from mimamba.service.protocol.messages import (
        BandsMessage,
        LinkMessage,
        PredictionMessage,
        QualityMessage,
        ServerMessage,
        Subscribed,
    )
    from mimamba.service.topics import Topic

TOPICS: list[Topic] = ["prediction", "quality", "bands", "marker", "link"]
HEADINGS = ("session", "source", "prediction", "signal", "bands, µV²", "age", "gaps", "link")
OLD = 2.0
"""Age from which a row is marked as old, s."""
NOT_OPEN = "not open"
"""State of a session that was named and is not there."""

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def watch(
    address: Annotated[
        str | None,
        typer.Argument(help="Address of the service, in place of --url.", show_default=False),
    ] = None,
    json: Json = False,
    session: Annotated[
        list[str] | None,
        typer.Option(help="Id of a session, repeat for several. [default: all sessions]"),
    ] = None,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Show the predictions and the signal quality of a running service in the terminal."""
    with one_line_errors(least_memory=0):
        from mimamba.service.client.client import Client

        client = Client(
            url if address is None else address, credentials=credentials(token_file, cafile)
        )
        show = _print_json if json else _show_table
        asyncio.run(show(client, session or []))


@dataclass
class TableRow:
    """State of one session in the table."""

    subscribed: Subscribed | None = None
    prediction: PredictionMessage | None = None
    quality: QualityMessage | None = None
    bands: BandsMessage | None = None
    link: str = ""
    state: str = "opened"
    updated: float = field(default_factory=time.monotonic)
    gaps: int = 0
    lost: int = 0

    def update(self, message: ServerMessage) -> None:
        """Take a message of the session, if the row shows its kind."""
        from mimamba.service.protocol.messages import (
            BandsMessage,
            PredictionMessage,
            QualityMessage,
            Subscribed,
        )

        if isinstance(message, Subscribed):
            self.subscribed, self.quality, self.bands = message, None, None
            self.updated = time.monotonic()
        elif isinstance(message, PredictionMessage):
            self.prediction, self.updated = message, time.monotonic()
        elif isinstance(message, QualityMessage):
            self.quality = message
            if self.subscribed is None or self.subscribed.model is None:
                self.updated = time.monotonic()
        elif isinstance(message, BandsMessage):
            self.bands = message

    def update_link(self, message: LinkMessage) -> None:
        """Count a gap, or note what else has happened to the link."""
        if message.event == "gap":
            self.gaps, self.lost = self.gaps + 1, self.lost + (message.lost or 0)
        else:
            self.link = f"{message.event.replace('_', ' ')}: {message.detail}"


async def _print_json(client: Client, only: list[str]) -> None:
    from mimamba.service.protocol.messages import Hello, SessionState, encode

    opened: set[str] = set()
    greeted = False
    async with client:
        async for message in client:
            await _subscribe(client, message, only)
            if isinstance(message, SessionState):
                opened.add(message.session)
            elif not greeted and not isinstance(message, Hello):  # all open ones are named by now
                greeted = True
                _report_absent(only, opened)
            name = getattr(message, "session", None)
            if name is not None and (not only or name in only):
                print_json_line(encode(message, binary=False))
                sys.stdout.flush()


def _report_absent(only: list[str], opened: set[str]) -> None:
    """Say on stderr which named sessions are not open, so that nobody waits for a wrong name."""
    for name in only:
        if name not in opened:
            there = ", ".join(sorted(opened)) or "none"
            sys.stderr.write(f"Session {name} is not open yet; waiting for it. Open: {there}.\n")
    sys.stderr.flush()


async def _show_table(client: Client, only: list[str]) -> None:
    from rich.console import Console
    from rich.live import Live

    shown = WatchTable(only)
    async with client:
        # Empty until the first answer.
        with _quiet_client(client), Live(console=Console(), auto_refresh=False) as live:
            async for message in client:
                await _subscribe(client, message, only)
                shown.update(message)
                live.update(shown.render(), refresh=True)


@contextmanager
def _quiet_client(client: Client) -> Iterator[None]:
    """Keep refusals out of the log, whose lines would break the table, which shows them itself."""
    logger = logging.getLogger(type(client).__module__)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _subscribe(client: Client, message: ServerMessage, only: list[str]) -> None:
    """Subscribe to each session as it opens."""
    from mimamba.service.protocol.messages import SessionState

    if not isinstance(message, SessionState) or message.state != "opened":
        return
    if not only or message.session in only:
        await client.subscribe(message.session, TOPICS)


class WatchTable:
    """Table of sessions with a row each, and the newest refusal of the service below it.

    Parameters
    ----------
    only
        Ids of the sessions to show, each with a row from the start; empty for all that open.
    """

    def __init__(self, only: Sequence[str] = ()) -> None:
        self._only = only
        self.rows = {name: TableRow(state=NOT_OPEN) for name in only}
        self._refused: str | None = None

    def update(self, message: ServerMessage) -> None:
        """Put a message into its row."""
        from mimamba.service.protocol.messages import Error, LinkMessage, SessionState, Subscribed

        if isinstance(message, Error):
            self._refused = message.message
        elif isinstance(message, Subscribed):
            self._refused = None
        name = getattr(message, "session", None)
        if name is None or (self._only and name not in self._only):
            return
        if isinstance(message, SessionState) and message.state == "closed":
            self._close(name)
        elif isinstance(message, SessionState):
            row = self.rows.setdefault(name, TableRow())
            row.state = message.reason or message.state
        elif isinstance(message, LinkMessage) and name in self.rows:
            self.rows[name].update_link(message)
        elif name in self.rows:
            self.rows[name].update(message)

    def _close(self, session: str) -> None:
        """Remove a session's row, or empty it if the session was named and may open again."""
        self.rows.pop(session, None)
        if session in self._only:
            self.rows[session] = TableRow(state=NOT_OPEN)

    def render(self) -> Table:
        """Make the table as it is now."""
        from rich.markup import escape
        from rich.table import Table

        refused = f"[yellow]{escape(self._refused)}[/]\n" if self._refused else ""
        caption = f"{refused}Ctrl+C stops. mimamba is not a medical device."
        table = Table(caption=caption, expand=True)
        for heading in HEADINGS:
            table.add_column(heading, overflow="fold")
        for name, row in sorted(self.rows.items()):
            info = row.subscribed.info if row.subscribed else None
            table.add_row(
                name,
                escape(f"{info.name}{' (simulated)' if info.simulated else ''}") if info else "",
                _describe_prediction(row),
                describe_quality(row.quality),
                describe_bands(row.bands),
                _describe_age(row),
                f"{row.gaps} ({row.lost} samples)" if row.gaps else "none",
                escape(row.link if row.state == "opened" else row.state),
            )
        return table


def _describe_age(row: TableRow) -> str:
    """Describe the age of the newest entry; empty before the session is open."""
    if row.subscribed is None:
        return ""
    age = time.monotonic() - row.updated
    return f"[bold red]old: {age:.0f} s[/]" if age > OLD else "now"


def _describe_prediction(row: TableRow) -> str:
    """Describe the last prediction, or the reason that there is none; in rich's markup."""
    from rich.markup import escape

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
    sets, personal = describe_sets(row.prediction), describe_personal(row.prediction)
    notice = row.subscribed.model.notice if row.subscribed and row.subscribed.model else None
    shown = "\n".join(escape(each) for each in (", ".join(best), sets, personal) if each)
    return shown + (f"\n[yellow]{escape(notice)}[/]" if notice else "")


def describe_sets(message: PredictionMessage) -> str:
    """Describe the labels that a prediction leaves open, and how often its sets were right."""
    parts = []
    for output, found in (message.set or {}).items():
        labels = " or ".join(found.labels) or "none"
        right = "" if found.coverage is None else f" (right in {found.coverage:.0%})"
        parts.append(f"{output} {labels}{right}")
    return f"9 of 10: {', '.join(parts)}" if parts else ""


def describe_personal(message: PredictionMessage) -> str:
    """Describe the person's own output; empty without one."""
    reading = message.personal
    if reading is None:
        return ""
    if reading.probabilities is None:
        return f"personal: {reading.reason}"
    if reading.state is None:
        return "personal: unsure"
    return f"personal: {reading.state} {reading.probabilities[reading.state]:.0%}"


def describe_quality(message: QualityMessage | None) -> str:
    """Describe the worst channel, or say that all are good; in rich's markup."""
    from rich.markup import escape

    if message is None:
        return "waiting"
    name, worst = min(message.channels.items(), key=lambda item: item[1].score)
    if worst.reason is None:
        return "good"
    return f"[yellow]{escape(name)}: {worst.reason}[/] ({worst.score:.0%})"


def describe_bands(message: BandsMessage | None) -> str:
    """Describe each band by its median over the channels that have a value, µV²."""
    if message is None:
        return "waiting"
    channels = [msgspec.structs.asdict(each) for each in message.channels.values()]
    values = {
        band: [each[band] for each in channels if each[band] is not None] for band in channels[0]
    }
    return "\n".join(
        f"{band} {median(values[band]):.3g}" if values[band] else f"{band} none" for band in values
    )
