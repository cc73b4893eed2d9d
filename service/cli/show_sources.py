"""``mimamba sources``: what can be watched from here, as tables or JSON."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.drivers.discovery.discover import Sources, scan


def show_sources(timeout: float, json: bool) -> None:
    """Print all sources; headsets and LSL streams are listened for during ``timeout`` seconds."""
    if json:
        found = scan(timeout)
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    console = Console()
    with Console(stderr=True).status("Looking for sources"):
        found = scan(timeout)
    for table in _tables(found):
        console.print(table)
    sign = {True: "yes", False: "none", None: "unknown"}[found.bluetooth.present]
    told = escape(found.bluetooth.problem or found.bluetooth.detail)
    console.print(f"[bold]Bluetooth adapter:[/] {sign}: {told}", highlight=False)
    for line in found.missing:
        console.print(f"[yellow]{escape(line)}[/]", highlight=False)
    console.print("Watch one with: mimamba serve --source URL", highlight=False)


def _tables(found: Sources) -> list[Table]:
    simulations = _table("Simulator", "URL", "scenario")
    for each in found.simulations:
        simulations.add_row(each.url, each.summary)
    boards = _table("Boards that BrainFlow knows", "URL (fill in ..)", "board")
    for board in found.boards:
        boards.add_row(board.url, board.title or board.name.replace("_", " "))
    streams = _table("LSL streams on the network", "URL", "stream")
    for stream in found.streams:
        facts = f"{stream.type}, {stream.n_channels} channels, {stream.sfreq:g} Hz"
        url = stream.url or "not a signal of an even rate"
        streams.add_row(escape(url), escape(f"{stream.name} on {stream.hostname} ({facts})"))
    if not found.streams:
        streams.add_row("none found", "")
    return [simulations, boards, streams, _headsets(found)]


def _headsets(found: Sources) -> Table:
    table = _table("Headsets that are near", "URL", "headset")
    for headset in found.headsets:
        strength = "" if headset.rssi is None else f", {headset.rssi} dBm"
        note = f" ({headset.note})" if headset.note else ""
        facts = f"{headset.title}: {headset.name}{strength}{note}"
        table.add_row(escape(headset.url), escape(facts))
    if not found.headsets:
        table.add_row("none found", "")
    return table


def _table(title: str, url: str, what: str) -> Table:
    """Two columns, so that a URL is never broken over lines."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    table.add_column(url, no_wrap=True)
    table.add_column(what)
    return table
