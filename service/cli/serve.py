"""Commands ``serve``, which runs the service, and ``config``, which prints its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mimamba.service.cli.options import (
    ACCESS,
    LIVE,
    Config,
    DataDir,
    Device,
    InsecureHTTP,
    LogFormat,
    LogLevel,
    Memory,
    Model,
    Person,
    Precision,
    PublicURL,
    SSLCertfile,
    SSLKeyfile,
    find_source,
    one_line_errors,
)
from mimamba.service.server.runtime_tuning import freeze_gc

OUTPUTS = "Other programs"

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def serve(
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Source to stream, repeat for several: simulate://, muse://, osc://:5000, "
            "brainflow://cyton, lsl://?type=EEG, the name or title of a recording, or the path of "
            "any file. [default: simulate://]",
            show_default=False,
        ),
    ] = None,
    bus: Annotated[
        str | None,
        typer.Option(
            help="Address of a NATS server, nats://HOST:4222: show the sessions that workers "
            "compute (mimamba worker) instead of computing them here. [default: none]",
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
            help="Address to listen on. Any other than loopback needs tokens, and TLS or "
            "--insecure-http. [default: 127.0.0.1]",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 0 for any free one. [default: 8765]", rich_help_panel=ACCESS
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings that the API may play. [default: none]"),
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option(
            help="Folder of studies, one TOML file each. [default: studies/ in the data folder]",
            show_default=False,
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of rules: webhooks, OSC and MQTT messages and markers that follow when "
            "an output, a band or the link crosses a value. [default: none]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    data_dir: DataDir = None,
    upload_mib: Annotated[
        int | None,
        typer.Option(help="Largest recording that may be uploaded, MiB. [default: 1024]"),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS",
            help="Delete recordings of this service that ended more than so many days ago; the log "
            "names each. [default: never]",
            show_default=False,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name that browsers may use as well as localhost, repeat for several. "
            "[default: none]",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin of pages that may use the API and the WebSocket with a token, and show "
            "/embed/SESSION in a frame, such as https://lab.example; repeat for several. Tokens "
            "are then asked for on loopback, too. [default: none]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-For and X-Forwarded-Proto count, "
            "repeat for several. [default: none]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(
            help="Path below which a proxy shows the service, such as /eeg. [default: that of "
            "--public-url]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token to control on its first line and the token to view on its "
            "second. [default: MIMAMBA_TOKEN and MIMAMBA_VIEW_TOKEN; made if needed]",
            show_default=False,
            rich_help_panel=ACCESS,
        ),
    ] = None,
    public_url: PublicURL = None,
    ssl_certfile: SSLCertfile = None,
    ssl_keyfile: SSLKeyfile = None,
    insecure_http: InsecureHTTP = False,
    lsl_out: Annotated[
        bool,
        typer.Option(
            "--lsl-out",
            help="Send predictions, quality, bands and markers as LSL streams, which everyone on "
            "the network can read.",
            rich_help_panel=OUTPUTS,
        ),
    ] = False,
    osc_out: Annotated[
        str | None,
        typer.Option(
            help="Send predictions, quality and bands as OSC messages to this HOST:PORT. "
            "[default: none]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    mqtt_out: Annotated[
        str | None,
        typer.Option(
            help="Publish predictions, link and quality to this MQTT broker, such as "
            "mqtt://USER@HOST:1883/PREFIX, or mqtts:// with TLS. Home Assistant finds the sessions "
            "there. [default: none]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    mqtt_password_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the broker's password on its first line. [default: "
            "MIMAMBA_MQTT_PASSWORD, else that of the address]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    mqtt_cafile: Annotated[
        Path | None,
        typer.Option(
            help="Certificates to trust (PEM), for a broker with a self-signed certificate. "
            "[default: the system's]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    mqtt_discovery: Annotated[
        str | None,
        typer.Option(
            help="Prefix of Home Assistant's discovery, or none. [default: homeassistant]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    udp_markers: Annotated[
        int | None,
        typer.Option(
            help="Receive markers as UDP datagrams on this port of the loopback interface. "
            "[default: none]",
            show_default=False,
            rich_help_panel=OUTPUTS,
        ),
    ] = None,
    detect: Annotated[
        str | None,
        typer.Option(
            help="Mark events of the signal: blink, jaw, or both with a comma. With --bus, give it "
            "to the workers. [default: none]",
            show_default=False,
        ),
    ] = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    config: Config = None,
) -> None:
    """Run the service: stream sources to the page in the browser, the WebSocket and the API.

    Each option can also be set by an environment variable (MIMAMBA_PORT=9000) or in the settings
    file (port = 9000). An option overrides a variable, and a variable overrides the file.
    Several values of a variable are separated by spaces, or are a JSON list:
    MIMAMBA_SOURCE="simulate:// lsl://?type=EEG".
    """
    with one_line_errors():
        with freeze_gc():
            from mimamba.service.server.serve import serve as run_service
            from mimamba.service.settings.load import find_config, make_settings
            from mimamba.service.storage.folders import data_folder

        flags = {
            "source": source or None,
            "bus": bus,
            "model": model,
            "memory": None if memory else False,
            "device": device,
            "precision": precision,
            "person": person,
            "host": host,
            "port": port,
            "files": files,
            "studies": studies,
            "rules": rules,
            "data_dir": data_dir,
            "upload_mib": upload_mib,
            "keep": keep,
            "allowed_host": allowed_host or None,
            "allowed_origin": allowed_origin or None,
            "trusted_proxy": trusted_proxy or None,
            "root_path": root_path,
            "public_url": public_url,
            "token_file": token_file,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
            "insecure_http": insecure_http or None,
            "lsl_out": lsl_out or None,
            "osc_out": osc_out,
            "mqtt_out": mqtt_out,
            "mqtt_password_file": mqtt_password_file,
            "mqtt_cafile": mqtt_cafile,
            "mqtt_discovery": mqtt_discovery,
            "udp_markers": udp_markers,
            "detect": detect,
            "log_format": log_format,
            "log_level": log_level,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        settings = make_settings(given, find_config(config))
        folder = data_folder(settings.data_dir)
        settings.source = [find_source(each, folder) for each in settings.source]
        run_service(settings)


@app.command(
    rich_help_panel=LIVE,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def config(context: typer.Context) -> None:
    """Print the settings that `mimamba serve` would use, and the origin of each.

    Accepts all options of `mimamba serve`.
    """
    with one_line_errors(least_memory=0):
        from mimamba.service.settings.load import find_config, make_settings, origins, show_config

        flags = _serve_options(context)
        file = find_config(flags.pop("config", None))
        show_config(make_settings(flags, file), origins(flags, file))


def _serve_options(context: typer.Context) -> dict[str, Any]:
    """Options of ``mimamba serve`` that are on this command line."""
    assert context.parent is not None
    group = context.parent.command
    assert isinstance(group, TyperGroup)
    with group.commands["serve"].make_context("serve", list(context.args)) as serve_context:
        parameters = serve_context.params.items()
        return {name: value for name, value in parameters if _is_given(serve_context, name)}


def _is_given(context: Any, name: str) -> bool:
    """Tell options of the command line from those of the environment and from defaults."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
