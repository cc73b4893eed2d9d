"""The command line. Here: what runs, or talks to, a service; ``cli_*.py`` have the rest.

Each command imports what it needs when it runs, so that help and errors come at once. Errors that a
person can mend are one line and exit status 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamba.service.cli import bench, operate, people, play, training
from mimamba.service.cli import files as cli_files
from mimamba.service.cli.options import (
    CaFile,
    Config,
    DataDir,
    Device,
    Memory,
    Model,
    Person,
    Precision,
    TokenFile,
    credentials,
    one_line_errors,
    options,
)
from mimamba.service.server.gc import lasting

NOT_MEDICAL = "mimamba is not a medical device."

app = typer.Typer(
    callback=options,
    help=f"Live emotion predictions from consumer EEG. {NOT_MEDICAL}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.command()
def serve(
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="What to watch; may be given several times: simulate://, "
            "brainflow://muse_2, lsl://?type=EEG, or a recording's path. [default: simulate://]",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    memory: Memory = True,
    device: Device = None,
    precision: Precision = None,
    person: Person = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="The address to listen on. Any but loopback needs tokens, and TLS or "
            "--insecure-http. [default: 127.0.0.1]"
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one. [default: 8765]")] = None,
    files: Annotated[
        Path | None, typer.Option(help="The folder whose recordings the API may play.")
    ] = None,
    data_dir: DataDir = None,
    upload_mib: Annotated[
        int | None,
        typer.Option(help="The longest recording that may be uploaded. [default: 1024]"),
    ] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name besides localhost that browsers may use.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token to control and, on a second line, that to view; else "
            "MIMAMBA_TOKEN and MIMAMBA_VIEW_TOKEN hold them. [default: made where one is needed]",
            show_default=False,
        ),
    ] = None,
    ssl_certfile: Annotated[
        Path | None, typer.Option(help="The certificate for TLS (PEM).", show_default=False)
    ] = None,
    ssl_keyfile: Annotated[
        Path | None,
        typer.Option(help="Its key. [default: in the certificate's file]", show_default=False),
    ] = None,
    insecure_http: Annotated[
        bool,
        typer.Option("--insecure-http", help="Listen beyond this machine without TLS."),
    ] = False,
    lsl_out: Annotated[
        bool,
        typer.Option(
            "--lsl-out",
            help="Send predictions, quality, bands and markers out as LSL streams, which everyone "
            "on the network can read.",
        ),
    ] = False,
    osc_out: Annotated[
        str | None,
        typer.Option(
            help="Send predictions, quality and bands to HOST:PORT as OSC messages.",
            show_default=False,
        ),
    ] = None,
    udp_markers: Annotated[
        int | None,
        typer.Option(
            help="Take each datagram to this port of the loopback interface for a marker.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="'json' for one object a line. [default: text]")
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            help="debug, info, warning or error. [default: warning for text, info for json]"
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Watch sources and serve the page, the stream and the API.

    Every option can also be set in the environment: MIMAMBA_PORT=9000, and so on. Several values
    have spaces between them: MIMAMBA_SOURCE="simulate:// lsl://?type=EEG"; a JSON list may hold
    values with spaces. Or in a file: port = 9000. Flags win over the environment, it over the file.
    """
    with one_line_errors():
        with lasting():
            from mimamba.service.server.serve import serve as run
            from mimamba.service.settings.load import make_settings
            from mimamba.service.settings.sources import find_config

        flags = {
            "source": source or None,
            "model": model,
            "memory": None if memory else False,
            "device": device,
            "precision": precision,
            "person": person,
            "host": host,
            "port": port,
            "files": files,
            "data_dir": data_dir,
            "upload_mib": upload_mib,
            "allowed_host": allowed_host or None,
            "token_file": token_file,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
            "insecure_http": insecure_http or None,
            "lsl_out": lsl_out or None,
            "osc_out": osc_out,
            "udp_markers": udp_markers,
            "log_format": log_format,
            "log_level": log_level,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        run(make_settings(given, find_config(config)))


@app.command()
def acquire(
    source: Annotated[str, typer.Option(help="What to send, as mimamba serve takes it.")],
    to: Annotated[str, typer.Option(help="The service, e.g. wss://host or ws://127.0.0.1:8765.")],
    session: Annotated[
        str | None, typer.Option("--id", help="The session's id there. [default: push-1, ...]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A checkpoint's name there, or 'none' to send signal only.")
    ] = None,
    memory: Memory = True,
    buffer: Annotated[
        float,
        typer.Option(help="Seconds of signal kept while the connection is lost.", min=1, max=3600),
    ] = 90.0,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Send a source of this machine to a service on another one, without losing a sample."""
    with one_line_errors():
        from mimamba.service.cli.acquire import acquire as run

        run(source, to, session, model, memory, buffer, credentials(token_file, cafile))


@app.command()
def watch(
    url: Annotated[str, typer.Argument(help="The service's address.")] = "http://127.0.0.1:8765",
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    session: Annotated[
        list[str] | None, typer.Option(help="Only this session; may be given several times.")
    ] = None,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Follow a running service in the terminal, through its public WebSocket."""
    with one_line_errors():
        from mimamba.service.cli.watch import watch as run

        run(url, json, session or [], credentials(token_file, cafile))


@app.command()
def mark(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    label: Annotated[str, typer.Argument(help="What happens now.")],
    timestamp: Annotated[
        float | None,
        typer.Option(help="When it was, s on the LSL clock. [default: now]", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="The service's address.")] = "http://127.0.0.1:8765",
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Set a marker in a session of a running service."""
    with one_line_errors():
        from mimamba.service.cli.remote_control import mark as run

        run(url, session, label, timestamp, credentials(token_file, cafile))


@app.command()
def control(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    paused: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Play no more, or play on.")
    ] = None,
    seek: Annotated[
        float | None, typer.Option(help="Go on from this position, s.", show_default=False)
    ] = None,
    marker: Annotated[
        str | None, typer.Option(help="Go on from the marker with this label.")
    ] = None,
    nth: Annotated[
        int | None, typer.Option(help="Which one of the markers with this label. [default: 1]")
    ] = None,
    speed: Annotated[
        str | None, typer.Option(help="0.1 to 64 times the recorded pace, or max.")
    ] = None,
    loop: Annotated[
        bool | None, typer.Option("--loop/--no-loop", help="Start anew at the end, or end there.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Let this checkpoint speak, or 'none'; any session.", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="The service's address.")] = "http://127.0.0.1:8765",
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Change a session's model, or pause, move and pace the recording that it plays."""
    with one_line_errors():
        from mimamba.service.cli.remote_control import control as run
        from mimamba.service.cli.remote_control import set_model

        changes: dict[str, object] = {
            "paused": paused,
            "position": seek,
            "marker": marker,
            "nth": nth,
            "speed": speed,
            "loop": loop,
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        shown = credentials(token_file, cafile)
        if model is not None:
            set_model(url, session, model, shown)
        if changes or model is None:
            run(url, session, changes, shown)


app.add_typer(cli_files.app)
app.add_typer(training.app)
app.add_typer(operate.app)
app.add_typer(play.app)
app.add_typer(people.app)
app.add_typer(bench.app)


def main() -> None:
    """The console script."""
    app()
