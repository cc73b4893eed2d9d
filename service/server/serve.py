"""``mimamba serve``: bind the port, open the sources, run until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.markup import escape

from mimamba.drivers.errors import UserError
from mimamba.drivers.lsl.discovery import load_pylsl
from mimamba.drivers.runtime.cpu_affinity import pin_to_one_cpu
from mimamba.models.inference.device import find_device
from mimamba.service.api.dependencies import ServiceState
from mimamba.service.auth.tokens import Tokens, write_tokens
from mimamba.service.bridges.osc_out import find_address
from mimamba.service.bridges.udp_markers import bind_datagrams
from mimamba.service.monitoring import logging as eventlog
from mimamba.service.server.app import make_app
from mimamba.service.server.blas import stay_single
from mimamba.service.server.console import print_montage
from mimamba.service.server.malloc import keep_small
from mimamba.service.server.server import Server
from mimamba.service.sessions.registry import view_session
from mimamba.service.settings.load import CannotServe
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.folders import data_folder
from mimamba.service.stream.stalled_clients import KEEPALIVE_TIMEOUT, KeepaliveProtocol

log = logging.getLogger(__name__)

CLIENT_MESSAGE_BYTES = 1 << 20
GRACE_SECONDS = 1
"""For clients to take their close; their sessions have ended before, and they were told."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises
    ------
    CannotServe
        If the port is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # whoever comes before the service is up waits for it
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"Expected to listen on {host}:{port}, but found: {error.strerror}. "
            "Stop the program that uses it, or choose another with --port (0 takes a free one)."
        ) from None
    return listener


class SourceOpener:
    """Opens the sources beside the running server, and stops it where none can be opened."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self.server: Server | None = None
        self.failed = False

    async def __call__(self, running: ServiceState) -> None:
        """Open all sources at once; each that fails is told in one line."""
        sources = self._settings.source
        opened = await asyncio.gather(*(self._open(running, source) for source in sources))
        if sources and not any(opened) and not running.sessions.ending:
            self.failed = True
            assert self.server is not None
            self.server.should_exit = True

    async def _open(self, running: ServiceState, source: str) -> bool:
        try:
            session = await running.sessions.open(source, person=self._settings.person)
        except UserError as error:
            if not running.sessions.ending:
                self._tell_failure(source, error)
            return False
        seen = view_session(session)
        assert seen.info is not None
        model = f"model {seen.model.name}" if seen.model else "signal only"
        facts = f"{seen.info.sfreq:g} Hz, {', '.join(seen.info.ch_names)}, {model}"
        said = escape(f"{seen.info.name} ({facts})")
        self._console.print(f"[bold]{seen.id}[/]: {said}", highlight=False)
        print_montage(self._console, seen.montage or [])
        for notice in (*seen.info.notices, seen.model.notice if seen.model else None):
            if notice:
                self._console.print(f"  [yellow]{escape(notice)}[/]", highlight=False)
        return True

    def _tell_failure(self, source: str, error: UserError) -> None:
        if self._settings.log_format == "json":
            log.error("source failed", extra={"source": source, "reason": str(error)})
        else:
            print(f"mimamba: {source}: {error}", file=sys.stderr)  # noqa: T201


def make_config(
    app: FastAPI, settings: Settings, patience: float = KEEPALIVE_TIMEOUT
) -> uvicorn.Config:
    """How uvicorn runs the service; ``patience`` is for clients that do not read, seconds."""
    config = uvicorn.Config(
        app,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        log_config=None,  # its events go where ours go
        log_level="warning",
        access_log=False,
        lifespan="on",  # a start that fails ends the process, instead of serving without sessions
        ws=KeepaliveProtocol,  # flow control on writes, no deprecated API
        ws_ping_interval=patience / 2,
        ws_ping_timeout=patience / 2,
        ws_max_size=CLIENT_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_hide_frames)
    return config


def _hide_frames(record: logging.LogRecord) -> bool:
    """The WebSocket library's debug lines hold headers and frames, and so tokens."""
    return record.levelno > logging.DEBUG or "websockets" not in Path(record.pathname).parts


def check_certificate(settings: Settings) -> None:
    """Raise CannotServe where TLS is asked for and cannot be had."""
    certificate, key = settings.ssl_certfile, settings.ssl_keyfile
    if certificate is None:
        return
    try:
        # Without a password of ours, OpenSSL would ask for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except OSError as error:  # an ssl.SSLError is one
        raise CannotServe(
            f"Expected a certificate in {certificate} and its key, without a password, in "
            f"{key or 'the same file'}, but found: {error.strerror or error}. Correct the paths."
        ) from error


def announce(settings: Settings, tokens: Tokens, port: int, console: Console) -> None:
    """Tell where the service is, and once the tokens that were made for it."""
    scheme = "https" if settings.ssl_certfile else "http"
    host = settings.allowed_host[0] if settings.allowed_host else settings.host
    everywhere = ", and at every address of this machine" if host in ("0.0.0.0", "::") else ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    name = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{name}:{port}/"
    console.print(f"mimamba is at {url}{everywhere} (Ctrl+C stops it)", highlight=False)
    console.print("This is not a medical device.", style="dim")
    log.info("serving", extra={"address": url})
    if tokens != settings.given_tokens():
        for line in _made(settings, tokens, port):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _made(settings: Settings, tokens: Tokens, port: int) -> list[str]:
    """Made tokens: in the clear for whoever watches, never in a log; else where to find them."""
    if sys.stderr.isatty() and settings.log_format == "text":
        shown = [f"Token to view:    {tokens.view}"] if tokens.view else []
        return [f"Token to control: {tokens.control}", *shown]
    path = data_folder(settings.data_dir) / f"tokens-{port}"
    try:
        write_tokens(path, tokens)
    except OSError as error:
        raise CannotServe(
            f"Expected to write the tokens made to {path}, but found: {error.strerror}. "
            "Give tokens with --token-file, or another --data-dir."
        ) from error
    log.info("tokens were made", extra={"file": str(path)})
    return [f"Tokens to control and to view, a line each, are in {path}"]


def serve(settings: Settings, kind: type[Server] = Server) -> None:
    """Run the service until it is interrupted.

    Parameters
    ----------
    settings
        What it is told.
    kind
        Of server that runs it.

    Raises
    ------
    CannotServe
        If the port or the certificate cannot be had, or none of the sources can be opened.
    BadToken
        If a token that was given is none.
    LibraryMissing
        If streams are to go out and liblsl does not load.
    CannotSend
        If OSC messages are to go where there is no place.
    CannotListen
        If the port for markers cannot be had.
    DeviceError
        If models cannot be stepped where they should be.
    """
    keep_small()
    stay_single()
    device = find_device(settings.device, settings.precision)
    if settings.lsl_out:
        load_pylsl()
    check_certificate(settings)
    tokens = settings.tokens()
    if settings.osc_out is not None:
        find_address(settings.osc_out)
    if settings.udp_markers is not None:
        bind_datagrams(settings.udp_markers).close()
    listener = bind(settings.host, settings.port)
    console = Console(stderr=True, quiet=settings.log_format == "json")
    start = SourceOpener(settings, console)
    app = make_app(settings, start, tokens, device=device)
    start.server = kind(make_config(app, settings), app)
    events = eventlog.configure_logging(settings.log_format, settings.log_level)
    with contextlib.closing(listener), events, pin_to_one_cpu():
        announce(settings, tokens, listener.getsockname()[1], console)
        log.info("models", extra={"device": str(device)})
        start.server.run(sockets=[listener])
    if start.failed:
        raise CannotServe(
            "Expected at least one source that opens, but found none. See the lines above."
        )
