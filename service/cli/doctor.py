"""Commands about this machine: ``sources``, ``doctor`` and ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.service.cli.options import LIVE, MACHINE, Config, DataDir, Json, one_line_errors
from mimamba.service.server.console import print_json

if TYPE_CHECKING:
    from rich.table import Table

    from mimamba.drivers.discovery.discover import Sources

NARROW = 72
"""Characters of a terminal in which the longest URL does not fit into one line."""

app = typer.Typer()


@app.command(rich_help_panel=MACHINE)
def doctor(
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Skip the latency measurement, which takes 15 s.")
    ] = False,
    bus: Annotated[
        str | None,
        typer.Option(help="Address of a NATS server, nats://HOST:4222.", show_default=False),
    ] = None,
    mqtt_out: Annotated[
        str | None,
        typer.Option(
            help="Address of an MQTT broker, mqtt://USER@HOST:1883; its password is that of "
            "MIMAMBA_MQTT_PASSWORD.",
            show_default=False,
        ),
    ] = None,
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(help="TLS certificate of the service (PEM).", show_default=False),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None,
        typer.Option(help="Private key of the certificate (PEM).", show_default=False),
    ] = None,
) -> None:
    """Check that everything that mimamba needs is installed and works.

    The exit status is 1 if a check fails.
    """
    with one_line_errors():
        from mimamba.service.doctor.doctor import run_checks
        from mimamba.service.settings.load import find_config, load_doctor_settings

        flags = {
            "data_dir": data_dir,
            "bus": bus,
            "mqtt_out": mqtt_out,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        if not run_checks(load_doctor_settings(given, find_config(config)), json, quick):
            raise typer.Exit(1)


@app.command(rich_help_panel=MACHINE)
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Measurement, repeat for several: startup, latency, sessions or steps. "
            "[default: all]",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Approximate duration of each measurement, s; a short one tries fewer sessions. "
            "[default: 30; 60 for steps]",
            show_default=False,
            min=0.1,
            max=3600,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="File to write the figures to, as JSON.", show_default=False),
    ] = None,
) -> None:
    """Measure this machine: startup, latency, sessions, hops per second.

    The exit status is 1 if an aim is missed.
    """
    with one_line_errors():
        from mimamba.service.bench.bench import run_measurements
        from mimamba.service.bench.measurements import choose

        if not run_measurements(choose(only or []), seconds, json):
            raise typer.Exit(1)


@app.command(rich_help_panel=LIVE)
def sources(
    timeout: Annotated[
        float, typer.Option(help="Duration of the search, s.", min=0.1, max=60)
    ] = 5.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find sources: headsets nearby, LSL streams, supported boards, apps, simulations."""
    with one_line_errors():
        from rich.console import Console
        from rich.markup import escape

        from mimamba.drivers.discovery.discover import discover_sources

        if json:
            print_json(discover_sources(timeout))
            return
        console = Console()
        with Console(stderr=True).status("Looking for sources"):
            found = discover_sources(timeout)
        for table in _source_tables(found):
            console.print(table)
        present = {True: "yes", False: "none", None: "unknown"}[found.bluetooth.present]
        detail = escape(found.bluetooth.problem or found.bluetooth.detail)
        console.print(f"[bold]Bluetooth adapter:[/] {present}: {detail}", highlight=False)
        for line in found.missing:
            console.print(f"[yellow]{escape(line)}[/]", highlight=False)
        console.print("Stream one with: mimamba serve --source URL", highlight=False)


def _source_tables(found: Sources) -> list[Table]:
    from rich.markup import escape

    simulations = _two_columns("Simulations", "URL", "scenario")
    for each in found.simulations:
        simulations.add_row(each.url, each.summary)
    boards = _two_columns("Boards that BrainFlow supports", "URL (fill in ..)", "board")
    for board in found.boards:
        boards.add_row(board.url, board.title or board.name.replace("_", " "))
    streams = _two_columns("LSL streams on the network", "URL", "stream")
    for stream in found.streams:
        facts = f"{stream.type}, {stream.n_channels} channels, {stream.sfreq:g} Hz"
        url = stream.url or "no signal with a regular rate"
        streams.add_row(escape(url), escape(f"{stream.name} on {stream.hostname} ({facts})"))
    if not found.streams:
        streams.add_row("none found", "")
    headsets = _two_columns("Headsets nearby", "URL", "headset")
    for headset in found.headsets:
        strength = "" if headset.rssi is None else f", {headset.rssi} dBm"
        note = f" ({headset.note})" if headset.note else ""
        facts = f"{headset.title}: {headset.name}{strength}{note}"
        headsets.add_row(escape(headset.url), escape(facts))
    if not found.headsets:
        headsets.add_row("none found", "")
    apps = _two_columns("Apps on a phone, which send OSC to this machine", "URL", "app")
    for app in found.apps:
        apps.add_row(app.url, f"{app.title}. {app.setup}")
    return [simulations, boards, apps, streams, headsets]


def _two_columns(title: str, url: str, content: str) -> Table:
    """Make a table of two columns; a URL goes over lines only if the terminal is narrower."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    table.add_column(url, no_wrap=Console().width >= NARROW, overflow="fold")
    table.add_column(content)
    return table
